"""Records frames for ever, to be killed in the middle: ``python -m tests.stream.recorder FILE``."""

import sys
from fractions import Fraction
from pathlib import Path

from stream.writer import VideoWriter
from tests.stream.clips import gradient, planes_from


def main(path: Path) -> None:
    """Write frames at 25 a second of video time; say on stdout how many have gone in."""
    writer = VideoWriter(
        path,
        width=64,
        height=48,
        time_base=Fraction(1, 25),
        frame_rate=25.0,
        color_range=0,
        color_matrix=6,
        preset="ultrafast",
    )
    number = 0
    while True:
        writer.write(planes_from(gradient(number, 64, 48), 64, 48), number)
        number += 1
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
