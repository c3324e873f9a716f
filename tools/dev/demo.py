"""What `make demo` runs: a real clip, or the user's own, through the shipped engine.

``python -m maskstream.tools.dev.demo [VIDEO] --output-dir out``
"""

import shlex
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from maskstream.tools.cli import run_command_line
from maskstream.tools.dev.demo_clip import fetch_demo_clip
from maskstream.tools.dev.fetch import FetchError


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
        clip = video or fetch_demo_clip(print)
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
