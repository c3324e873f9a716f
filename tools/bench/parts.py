"""The parts of `maskstream bench` for developers: each measures and shows tables."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from maskstream.stream.options import RunOptions
from maskstream.stream.processes.machine import available_cores
from maskstream.tools.arguments.extras import needs_training_parts
from maskstream.tools.arguments.opening import open_any
from maskstream.tools.bench.backends import backends_table, measure_backends
from maskstream.tools.bench.crops import crops_table, measure_crops, plot_crops
from maskstream.tools.bench.handover import measure_handover
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
    overlay_table,
    scaling_table,
    telemetry_table,
)
from maskstream.tools.bench.telemetry import measure_telemetry
from maskstream.tools.bench.wanted import measure_wanted, wanted_table
from maskstream.tools.measuring.clips import make_clip
from maskstream.tools.measuring.parts import Job, Part

PEERS_SIZE = (768, 576)
_KILLS, _SUPERVISOR_KILLS, _RETURNS, _GLANCES = 20, 3, 10, 300
_OVERLOAD_S, _ISOLATION_S = 60.0, 20.0
_SOURCES_FRAMES = 4
"""Times the frames of a clip, for all sources together."""


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


PARTS: dict[str, Part] = {
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
USUAL = ("handover", "overlay", "scaling", "telemetry")
"""Measured beside the usual ones of every installation."""
NEED_CLIPS = frozenset({"telemetry", "wanted"})
