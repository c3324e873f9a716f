"""A recording that notes how old each frame is once it is written: for measurements.

The frames are those of ``tools.bench.live.numbered_camera``, which carry the clock of the moment
when they were drawn. The ages lie beside the recording, a line a frame: its number and its age in
ns.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from maskstream.stream.memory.frame import Planes
from maskstream.stream.pixels.stamp import read_stamp
from maskstream.stream.recording.writer import VideoWriter
from maskstream.stream.stages.sink import VideoSettings

OPENER = f"{__name__}:StampedWriter"
"""To be put in the place of the sink's own writer."""


def ages_path(path: Path) -> Path:
    """Return where the ages of the recording at ``path`` are."""
    return path.with_name(f"{path.name}.ages")


def read_ages_ms(path: Path) -> list[float]:
    """Return the ages of the recording at ``path``, in order, in milliseconds."""
    lines = ages_path(path).read_text(encoding="ascii").splitlines()
    return [int(line.split()[1]) / 1e6 for line in lines]


class StampedWriter:
    """Writes as the sink does, and notes ages; frames whose stamp cannot be read have none."""

    def __init__(self, video: VideoSettings) -> None:
        """Begin a recording."""
        self._file = ages_path(Path(video.path)).open("w", encoding="ascii", buffering=1)
        self._writer = VideoWriter(video.path, video.encoder, audio_from=video.audio_from)

    @property
    def warnings(self) -> Sequence[str]:
        """Of the recording."""
        return self._writer.warnings

    def write(self, planes: Planes, pts: int, *, duration: int | None) -> None:
        """Write one frame, then note its age."""
        self._writer.write(planes, pts, duration=duration)
        now_ns = time.monotonic_ns()
        try:
            stamp = read_stamp(planes.y)
        except ValueError:
            return
        self._file.write(f"{stamp.frame_number} {now_ns - stamp.clock_ns}\n")

    def close(self, *, complete: bool) -> None:
        """Finish the recording."""
        self._file.close()
        self._writer.close(complete=complete)

    def abort(self) -> None:
        """Give the recording up."""
        self._file.close()
        self._writer.abort()
