"""The parts of `maskstream bench`: each measures, shows tables, and gives what goes into JSON."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from rich.console import Console

from maskstream.errors import SourceError
from maskstream.stream.options import RunOptions
from maskstream.stream.processes.machine import available_cores
from maskstream.tools.arguments.engine_choice import EngineChoice
from maskstream.tools.arguments.extras import needs_training_parts
from maskstream.tools.arguments.opening import open_any
from maskstream.tools.arguments.pictures import pictures_of
from maskstream.tools.bench.backends import backends_table, measure_backends
from maskstream.tools.bench.crops import crops_table, measure_crops, plot_crops
from maskstream.tools.bench.handover import measure_handover
from maskstream.tools.bench.images import images_table, measure_images
from maskstream.tools.bench.line import measure_line
from maskstream.tools.bench.live.glass import glass_table, measure_glass
from maskstream.tools.bench.live.kills import kills_table, measure_kills
from maskstream.tools.bench.live.orphans import measure_orphans, orphans_table
from maskstream.tools.bench.live.overload import measure_overload, overload_table
from maskstream.tools.bench.live.reconnect import measure_reconnect, reconnect_table
from maskstream.tools.bench.live.sources import (
    isolation_table,
    measure_isolation,
    measure_sources,
    sources_table,
)
from maskstream.tools.bench.overlay import measure_overlay
from maskstream.tools.bench.peers import measure_peers, peers_table
from maskstream.tools.bench.scaling import measure_scaling
from maskstream.tools.bench.tables import (
    handover_table,
    line_table,
    overlay_table,
    scaling_table,
    telemetry_table,
)
from maskstream.tools.bench.telemetry import measure_telemetry
from maskstream.tools.bench.wanted import measure_wanted, wanted_table
from maskstream.tools.dev.demo_clip import fetch_demo_clip
from maskstream.tools.dev.fetch import FetchError
from maskstream.tools.measuring.bench_compare import KEY, changes, changes_table
from maskstream.tools.measuring.bench_engine import measure_engine
from maskstream.tools.measuring.bench_engine_view import engine_table, plot_engine
from maskstream.tools.measuring.clips import make_clip

_FULL_HD = (1920, 1080)
PEERS_SIZE = (768, 576)
_KILLS, _SUPERVISOR_KILLS, _RETURNS, _GLANCES = 20, 3, 10, 300
_OVERLOAD_S, _ISOLATION_S = 60.0, 20.0
_SOURCES_FRAMES = 4
"""Times the frames of a clip, for all sources together."""


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
        try:
            clips = self.wanted or (fetch_demo_clip(self.console.print),)
        except FetchError as exc:
            raise SourceError(str(exc)) from exc
        for clip in clips:
            if not clip.is_file():
                raise SourceError(f"{clip}: no such file; name a video file.")
        return clips


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


def _peers(job: Job) -> Any:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="maskstream-bench-")))
        width, height = PEERS_SIZE
        clips = job.wanted or (
            make_clip(folder / "synthetic.mp4", width=width, height=height, frame_count=job.frames),
        )
        documents = {}
        for clip in clips:
            rows = measure_peers(
                clip, job.engine, frame_count=job.frames, rounds=job.rounds, folder=folder
            )
            job.console.print(peers_table(clip.name, rows))
            documents[clip.name] = [{**asdict(row), "ratio": row.ratio} for row in rows]
    return documents


def _backends(job: Job) -> Any:
    rows = measure_backends(job.engine, rounds=job.rounds)
    job.console.print(backends_table(rows))
    return [{**asdict(row), "ratio": row.ratio} for row in rows]


def _wanted(job: Job) -> Any:
    with open_any(job.engine, backend=job.backend, threads=available_cores()) as engine:
        figures = measure_wanted(engine, job.clips[0], repeats=5 * job.rounds)
    job.console.print(wanted_table(figures))
    return {**asdict(figures), "shares": figures.shares}


def _crops(job: Job) -> Any:
    with needs_training_parts("bench --only crops"):
        import matplotlib  # noqa: F401 - to fail before minutes of measuring, not after
        import torch  # noqa: F401
    with open_any(job.engine, backend=job.backend, threads=available_cores(), batch=1) as engine:
        figures = measure_crops(engine, repeats=5 * job.rounds, has_native=True)
    job.console.print(crops_table(figures))
    if job.plot is not None:
        plot_crops(figures, job.plot)
        job.console.print(str(job.plot), soft_wrap=True)
    slopes_ms = {name: getattr(figures, name) for name in ("box_ms", "cut_box_ms", "mask_ms")}
    return {**asdict(figures), **slopes_ms}


def _handover(job: Job) -> Any:
    rows = measure_handover()
    job.console.print(handover_table(rows))
    return [asdict(row) for row in rows]


def _overlay(job: Job) -> Any:
    rows = [measure_overlay(), measure_overlay(width=768, height=576)]
    job.console.print(overlay_table(rows))
    return [asdict(row) for row in rows]


def _scaling(job: Job) -> Any:
    rows = [measure_scaling(), measure_scaling(width=768, height=576)]
    job.console.print(scaling_table(rows))
    return [asdict(row) for row in rows]


def _telemetry(job: Job) -> Any:
    options = RunOptions(sources=(str(job.clips[0]),), engine=job.engine)
    cost = measure_telemetry(options, rounds=job.rounds)
    job.console.print(telemetry_table(cost))
    return {**asdict(cost), "cost": cost.cost}


def _overload(job: Job) -> Any:
    figures = measure_overload(job.engine, length_s=job.seconds or _OVERLOAD_S)
    job.console.print(overload_table(figures))
    return asdict(figures)


def _kills(job: Job) -> Any:
    figures = measure_kills(job.engine, count=job.count or _KILLS)
    job.console.print(kills_table(figures))
    return {**asdict(figures), "load_s": figures.load_s, "other_rate": figures.other_rate}


def _orphans(job: Job) -> Any:
    rows = measure_orphans(job.engine, count=job.count or _SUPERVISOR_KILLS)
    job.console.print(orphans_table(rows))
    return [asdict(row) for row in rows]


def _reconnect(job: Job) -> Any:
    figures = measure_reconnect(job.engine, count=job.count or _RETURNS)
    job.console.print(reconnect_table(figures))
    return asdict(figures)


def _glass(job: Job) -> Any:
    figures = measure_glass(job.engine, count=job.count or _GLANCES)
    job.console.print(glass_table(figures))
    return asdict(figures)


def _sources(job: Job) -> Any:
    rows = measure_sources(job.engine, frame_count=_SOURCES_FRAMES * job.frames, rounds=job.rounds)
    job.console.print(sources_table(rows))
    return [asdict(row) for row in rows]


def _isolation(job: Job) -> Any:
    rows = measure_isolation(job.engine, length_s=job.seconds or _ISOLATION_S, rounds=job.rounds)
    job.console.print(isolation_table(rows))
    return [{**asdict(row), "cost": row.cost} for row in rows]


PARTS: dict[str, Callable[[Job], Any]] = {
    KEY: _engine,
    "line": _line,
    "images": _images,
    "peers": _peers,
    "backends": _backends,
    "wanted": _wanted,
    "crops": _crops,
    "handover": _handover,
    "overlay": _overlay,
    "scaling": _scaling,
    "telemetry": _telemetry,
    "overload": _overload,
    "kills": _kills,
    "orphans": _orphans,
    "reconnect": _reconnect,
    "glass": _glass,
    "sources": _sources,
    "isolation": _isolation,
}
"""By name; each returns what goes into the document."""
USUAL = ("line", "handover", "overlay", "scaling", "telemetry")
"""Measured where none is named."""
NEED_CLIPS = frozenset({KEY, "line", "telemetry", "wanted"})
