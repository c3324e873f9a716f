"""How soon a camera's loss is noticed and its return used, and what each return costs."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from rich.table import Table

from maskstream.stream.telemetry.snapshot import Snapshot
from maskstream.tools.bench.live.numbered_camera import NumberedCamera, cameras
from maskstream.tools.bench.live.processes import descriptor_count, resident_bytes
from maskstream.tools.bench.live.script import (
    Script,
    Spread,
    healthy,
    live_options,
    pause,
    play,
    source_of,
    until,
)
from maskstream.tools.measuring.tables import table

NOTICE_S, BACK_S = 2.0, 3.0
"""Budgets."""
_AWAY_S = 1.0
_WARM_UP_SHARE = 0.2
"""Of the returns; caches grow until then."""


@dataclass(slots=True)
class _Log:
    noticed_s: list[float] = field(default_factory=list)
    back_s: list[float] = field(default_factory=list)
    held: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    """By stage: descriptors and bytes after each return."""


@dataclass(frozen=True, slots=True)
class ReconnectFigures:
    """A run whose camera went and came back."""

    noticed_s: Spread
    """From the camera's death until its source counts as lost."""
    back_s: Spread
    """From the moment it listens again to the next frame's delivery."""
    descriptors_each: dict[str, float]
    """By stage: descriptors more with each return, after the first ones."""
    bytes_each: dict[str, float]
    """By stage: resident memory more with each return, after the first ones."""
    other_rate: float
    """Of the source whose camera stayed, as a share of its camera's."""
    gap: int
    """Frames that nothing accounts for."""


def measure_reconnect(engine: str, *, count: int, fps: float = 15) -> ReconnectFigures:
    """Take a camera away and bring it back ``count`` times, beside one that stays.

    To be called from the main thread.
    """
    log = _Log()
    with cameras(2, fps=fps) as made:
        options = live_options([camera.uri for camera in made], engine)
        rates: list[float] = []
        played = play(options, _script(made[0], log, count, rates))
    frames = played.result.figures.frames
    return ReconnectFigures(
        noticed_s=Spread.of(log.noticed_s),
        back_s=Spread.of(log.back_s),
        descriptors_each=_slopes(log.held, 0),
        bytes_each=_slopes(log.held, 1),
        other_rate=rates[0] / fps,
        gap=frames.gap + frames.in_flight,
    )


def _script(camera: NumberedCamera, log: _Log, count: int, rates: list[float]) -> Script:
    begun = yield from healthy()
    for _ in range(count):
        yield from healthy()
        camera.kill()
        killed_s = time.monotonic()
        yield from until(lambda figures: source_of(figures, 0).state == "lost")
        log.noticed_s.append(time.monotonic() - killed_s)
        gone = yield from pause(_AWAY_S)
        camera.start()
        returned_s = time.monotonic()
        before = source_of(gone, 0).delivered
        yield from until(lambda figures, n=before: source_of(figures, 0).delivered > n)  # type: ignore[misc]
        log.back_s.append(time.monotonic() - returned_s)
        _look(log, (yield from healthy()))
    ended = yield from healthy()
    delivered = source_of(ended, 1).delivered - source_of(begun, 1).delivered
    rates.append(delivered / (ended.wall_s - begun.wall_s))


def _look(log: _Log, figures: Snapshot) -> None:
    pids = {stage.name: stage.pid for stage in figures.stages} | {"supervisor": os.getpid()}
    for name, pid in pids.items():
        log.held.setdefault(name, []).append((descriptor_count(pid), resident_bytes(pid)))


def _slopes(held: Mapping[str, list[tuple[int, int]]], column: int) -> dict[str, float]:
    """Return by stage how much a column grows from one return to the next; 0 for too few."""
    found = {}
    for name, rows in held.items():
        warm = [row[column] for row in rows[int(_WARM_UP_SHARE * len(rows)) :]]
        enough = len(warm) > 1
        found[name] = float(np.polyfit(range(len(warm)), warm, 1)[0]) if enough else 0.0
    return found


def reconnect_table(figures: ReconnectFigures) -> Table:
    """Return the figures as they are shown."""
    made = table(
        f"camera killed and back, {figures.noticed_s.count} times",
        ("", "p50 s", "p95 s", "max s", "budget s"),
    )
    for name, spread, budget_s in (
        ("loss noticed", figures.noticed_s, NOTICE_S),
        ("delivering after its return", figures.back_s, BACK_S),
    ):
        made.add_row(
            name,
            f"{spread.p50:.2f}",
            f"{spread.p95:.2f}",
            f"{spread.most:.2f}",
            f"{budget_s:.0f}",
        )
    made.add_section()
    made.add_row("the other source's rate", f"{figures.other_rate:.0%}")
    made.add_row("frames unaccounted for", str(figures.gap))
    made.add_section()
    made.add_row("each return costs", "descriptors", "kB")
    for name, descriptors in figures.descriptors_each.items():
        made.add_row(name, f"{descriptors:+.2f}", f"{figures.bytes_each[name] / 1e3:+.1f}")
    return made
