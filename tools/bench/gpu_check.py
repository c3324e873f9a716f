"""`python -m maskstream.tools.bench.gpu_check`: everything that needs an NVIDIA GPU, in one go and
one table.

It runs the tests with the mark `gpu`, and then measures the shipped engine in each runtime that
puts it on the GPU: its time, the whole line's rate, and how far it agrees with the processor.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from maskstream.engines.backends import BACKENDS
from maskstream.engines.runtimes.nvidia import why_no_gpu
from maskstream.errors import ConfigError, MaskstreamError
from maskstream.tools.arguments.engine_choice import EngineChoice
from maskstream.tools.arguments.samples import read_samples
from maskstream.tools.dev.demo_clip import fetch_demo_clip
from maskstream.tools.dev.fetch import FetchError
from maskstream.tools.doctor.media import check_codecs
from maskstream.tools.engine_files.parity_command import compare
from maskstream.tools.measuring.bench_engine import BatchFigures, EngineFigures, measure_engine
from maskstream.tools.measuring.clips import make_clip

GPU_BACKENDS = ("tensorrt", "tensorrt-rtx", "onnxruntime:cuda", "onnxruntime:tensorrt")
_ENGINE = "person"
_REFERENCE = EngineChoice.parse(f"{_ENGINE}@onnxruntime")
_TESTS_MAX_S = 200.0
_WHOLE_MAX_S = 480.0
_TURN_S = 60.0
"""About what one runtime takes; no more are begun when less is left."""
_PARITY_FRAMES = 16
_REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Turn:
    """What was found in one runtime.

    Attributes:
        figures: None where it could not be measured.
        parity: Share of instances that the processor sees too, and the 5th percentile of their
            masks' IoU; or why there is no figure.
    """

    backend: str
    figures: EngineFigures | None
    parity: str


def main(
    clip: Annotated[
        Path | None, typer.Option(help="A clip of people; the demonstration's if left out.")
    ] = None,
    backends: Annotated[
        str, typer.Option(metavar="NAME,NAME", help="Runtimes to measure.")
    ] = ",".join(GPU_BACKENDS),
    batch: Annotated[str, typer.Option(metavar="N,N", help="Batch sizes.")] = "1,4,8",
    frames: Annotated[int, typer.Option(min=1, help="Frames that go through the line.")] = 300,
    tests: Annotated[bool, typer.Option(help="Run the tests that need a GPU first.")] = True,
) -> None:
    """Run all that needs a GPU, in less than eight minutes."""
    begun_s = time.monotonic()
    console = Console()
    names = backends.split(",")
    if unknown := [name for name in names if name not in BACKENDS]:
        raise ConfigError(f"--backends: {unknown[0]!r} was given; use {', '.join(BACKENDS)}.")
    reason = why_no_gpu()
    if reason is not None and (tests or set(names) & set(GPU_BACKENDS)):
        raise ConfigError(f"gpu_check: {reason}; run it on a machine with an NVIDIA GPU.")
    has_passed = run_tests() if tests else True
    sizes = [int(word) for word in batch.split(",")]
    with tempfile.TemporaryDirectory(prefix="maskstream-gpu-") as folder:
        chosen = clip or _clip(Path(folder), console)
        turns = []
        for name in names:
            left_s = _WHOLE_MAX_S - (time.monotonic() - begun_s)
            if left_s < _TURN_S:
                turns.append(Turn(name, None, "left out: the eight minutes are over"))
                continue
            console.print(f"{name}: measuring")
            turns.append(measure(name, chosen, sizes, frames))
    console.print(table(turns))
    for finding in check_codecs():
        console.print(f"{finding.subject}: {finding.found}", highlight=False)
    console.print(f"tests: {'passed' if has_passed else 'FAILED'}" if tests else "tests: not run")
    console.print(f"{time.monotonic() - begun_s:.0f} s")
    if not has_passed or not any(turn.figures for turn in turns):
        raise typer.Exit(1)


def run_tests() -> bool:
    """Run the tests that need a GPU; a missing one fails them instead of skipping them."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-m",
        "gpu",
        "--timeout=120",
        "-p",
        "no:cacheprovider",
    ]
    try:
        done = subprocess.run(
            command,
            cwd=_REPOSITORY,
            env={**os.environ, "REQUIRE_GPU": "1"},
            timeout=_TESTS_MAX_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        print(f"tests: not done after {_TESTS_MAX_S:.0f} s", file=sys.stderr)
        return False
    return done.returncode == 0


def measure(backend: str, clip: Path, batches: Sequence[int], frame_count: int) -> Turn:
    """Measure the shipped engine in one runtime; what goes wrong is in the table, too."""
    choice = EngineChoice(f"{_ENGINE}@{backend}", _ENGINE, backend)
    try:
        figures = measure_engine(choice, clip, batches, rounds=1, frame_count=frame_count)
        return Turn(backend, figures, _parity(choice, clip))
    except (MaskstreamError, RuntimeError) as exc:
        return Turn(backend, None, str(exc))


def table(turns: Sequence[Turn]) -> Table:
    """Return the one table."""
    made = Table(title=f"The engine {_ENGINE} on this machine")
    for column in ("runtime", "batch", "model ms", "line frames/s", "not the network", "parity"):
        made.add_column(column)
    for turn in turns:
        if turn.figures is None:
            made.add_row(turn.backend, "", "", "", "", turn.parity)
            continue
        for row in turn.figures.batches:
            made.add_row(
                f"{turn.backend} {turn.figures.precision} on {turn.figures.device}",
                str(row.batch),
                f"{row.model_ms.p50:.2f}",
                f"{row.line_fps.p50:.0f}",
                f"{100 * other_share(row):.0f} %",
                turn.parity,
            )
    return made


def other_share(row: BatchFigures) -> float:
    """Return the share of the line's time in which the network does not run, in [0, 1]."""
    network_share = row.line_fps.p50 * row.model_ms.p50 / (1e3 * row.batch)
    return max(0.0, 1.0 - network_share)


def _parity(choice: EngineChoice, clip: Path) -> str:
    with choice.open() as ours, _REFERENCE.open() as theirs:
        _, seen = compare(ours, theirs, read_samples(clip, _PARITY_FRAMES), score_min=0.3)
    if not sum(seen.counts):
        return "nothing is seen in the clip"
    return f"{100 * seen.matched:.1f} % matched, mask IoU {seen.iou(5):.3f}"


def _clip(folder: Path, console: Console) -> Path:
    """Return a clip of people, or a drawn one where none can be had."""
    try:
        return fetch_demo_clip(console.print)
    except FetchError as exc:
        console.print(f"{exc}; a drawn clip is taken, in which nobody is to be seen.")
        return make_clip(folder / "drawn.mp4", width=1280, height=720, frame_count=300)


if __name__ == "__main__":
    try:
        typer.run(main)
    except MaskstreamError as exc:
        print(f"maskstream: {exc}", file=sys.stderr)
        sys.exit(2)
