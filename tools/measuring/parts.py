"""The parts of `maskstream bench` that every installation has: each measures and shows tables."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console

from maskstream.errors import ConfigError, SourceError
from maskstream.stream.processes.machine import available_cores
from maskstream.tools.arguments.engine_choice import EngineChoice
from maskstream.tools.arguments.extras import needs_training_parts
from maskstream.tools.arguments.opening import open_any
from maskstream.tools.arguments.pictures import pictures_of
from maskstream.tools.measuring.bench_compare import KEY, changes, changes_table
from maskstream.tools.measuring.bench_engine import measure_engine
from maskstream.tools.measuring.bench_engine_view import engine_table, plot_engine
from maskstream.tools.measuring.clips import make_clip
from maskstream.tools.measuring.images import images_table, measure_images
from maskstream.tools.measuring.line import line_table, measure_line

_FULL_HD = (1920, 1080)


@dataclass(frozen=True)
class Job:
    """What all parts are told."""

    wanted: tuple[Path, ...]
    """Clips; none for the demonstration's."""
    images: Path | None
    """A picture, or a folder of them."""
    engine: str
    frames: int
    rounds: int
    seconds: float | None
    """Of a live run; None for each part's own."""
    count: int | None
    """Of what a part does again and again; None for each part's own."""
    console: Console
    backend: str
    """Of an engine that is measured by itself."""
    batches: tuple[int, ...]
    """Frames at once, likewise."""
    plot: Path | None
    """Takes a picture of its figures."""
    before: dict[str, Any] | None
    """The document of an earlier run, to compare its figures with."""

    @cached_property
    def clips(self) -> Sequence[Path]:
        """Return the clips, fetched when they are needed first.

        Raises:
            SourceError: There is no such file, or the demonstration's cannot be had.
        """
        clips = self.wanted or (_demo_clip(self.console),)
        for clip in clips:
            if not clip.is_file():
                raise SourceError(f"{clip}: no such file; name a video file.")
        return clips


def _demo_clip(console: Console) -> Path:
    """Return the clip of the demonstration, which only a checkout knows how to fetch."""
    try:
        demo_clip = import_module("maskstream.tools.dev.demo_clip")
    except ModuleNotFoundError as exc:
        raise ConfigError("bench: no video is named; name one: maskstream bench FILE.") from exc
    try:
        clip: Path = demo_clip.fetch_demo_clip(console.print)
    except demo_clip.FetchError as exc:
        raise SourceError(str(exc)) from exc
    return clip


def _line(job: Job) -> Any:
    measured = []
    with tempfile.TemporaryDirectory(prefix="maskstream-bench-") as name:
        folder = Path(name)
        width, height = _FULL_HD
        path = folder / "synthetic-1080p.mp4"
        synthetic = make_clip(path, width=width, height=height, frame_count=job.frames)
        for clip in (*job.clips, synthetic):
            figures = measure_line(
                clip, job.engine, frame_count=job.frames, rounds=job.rounds, folder=folder
            )
            measured.append(figures)
            job.console.print(line_table(figures))
    return [
        {**asdict(row), "limit_s": row.limit_s, "ratio": row.ratio, "line_fps": row.line_fps}
        for row in measured
    ]


def _engine(job: Job) -> Any:
    if job.plot is not None:
        with needs_training_parts("bench --plot"):
            import matplotlib  # noqa: F401 - to fail before minutes of measuring, not after
    choice = EngineChoice(job.engine, job.engine, job.backend)
    figures = measure_engine(
        choice, job.clips[0], job.batches, rounds=job.rounds, frame_count=job.frames
    )
    job.console.print(engine_table(figures))
    if job.before is not None:
        job.console.print(f"before: {job.before['machine']}", soft_wrap=True)
        job.console.print(changes_table(changes(job.before[KEY], figures)))
    if job.plot is not None:
        plot_engine(figures, job.plot)
        job.console.print(str(job.plot), soft_wrap=True)
    return asdict(figures)


def _images(job: Job) -> Any:
    assert job.images is not None
    paths = pictures_of(job.images)[: job.frames]

    def tell(path: Path) -> None:
        job.console.print(f"{path}: cannot be read as a picture.", soft_wrap=True)

    with open_any(job.engine, backend=job.backend, threads=available_cores()) as engine:
        figures = measure_images(engine, paths, rounds=job.rounds, on_bad=tell)
    job.console.print(images_table(figures))
    return {**asdict(figures), "total_ms": figures.total_ms}


Part = Callable[[Job], Any]
"""Measures, shows tables, and returns what goes into the document."""

PARTS: dict[str, Part] = {KEY: _engine, "line": _line, "images": _images}
USUAL = ("line",)
"""Measured where none is named."""
NEED_CLIPS = frozenset({KEY, "line"})


def developers_parts() -> tuple[dict[str, Part], tuple[str, ...], frozenset[str]]:
    """Return the parts of the repository's checkout, the usual ones, and those that need clips.

    They are not in the wheel; there is none where they are not installed.
    """
    try:
        parts = import_module("maskstream.tools.bench.parts")
    except ModuleNotFoundError as exc:
        if exc.name and "maskstream.tools.bench".startswith(exc.name):
            return {}, (), frozenset()
        raise
    return parts.PARTS, parts.USUAL, parts.NEED_CLIPS
