"""Records frames for ever, to be killed in the middle: ``python -m tests.helpers.recorder FILE``.

With a second argument it records in chunks of so many seconds; ``FILE.m3u8`` is a live folder.
"""

import sys
from pathlib import Path

from maskstream.stream.options import SegmentOptions
from maskstream.stream.recording.hls import HlsWriter
from maskstream.stream.recording.segments import SegmentedWriter
from maskstream.stream.recording.writer import VideoWriter
from tests.helpers.clips import gradient, planes_from
from tests.helpers.writers import small_settings

SETTINGS = small_settings()


def open_writer(path: Path, length_s: float | None) -> HlsWriter | SegmentedWriter | VideoWriter:
    """The writer that the arguments ask for."""
    if path.suffix == ".m3u8":
        return HlsWriter(path, SETTINGS)
    if length_s is not None:
        return SegmentedWriter(path, SegmentOptions(length_s=length_s), SETTINGS)
    return VideoWriter(path, SETTINGS)


def main(path: Path, length_s: float | None = None) -> None:
    """Write frames at 25 a second of video time; say on stdout how many have gone in."""
    writer = open_writer(path, length_s)
    number = 0
    while True:
        writer.write(planes_from(gradient(number, 64, 48), 64, 48), number)
        number += 1
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(float, sys.argv[2:]))
