"""Frame age while the engine is asked for three times what it can do.

A line that queued would deliver older and older frames. This one leaves out what it has no time
for, so the age at delivery is that of one inference and its neighbours, however long it goes on.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from maskstream.stream.delivery import parse_deliveries
from maskstream.tools.bench.live.numbered_camera import cameras
from maskstream.tools.bench.live.script import (
    Played,
    Script,
    Spread,
    live_options,
    pause,
    play,
    until,
)
from maskstream.tools.bench.live.slowed_engine import OPENER, slowed
from maskstream.tools.bench.live.stamped_writer import OPENER as WRITER
from maskstream.tools.bench.live.stamped_writer import read_ages_ms
from maskstream.tools.measuring.tables import table

SLOWER = 3
"""Times that one inference takes, of a frame period."""


@dataclass(frozen=True, slots=True)
class OverloadFigures:
    """One run."""

    fps: float
    """Of the camera."""
    length_s: float
    inference_ms: float
    limit_ms: float
    """One inference and two frame periods."""
    latency_p95_ms: float
    """From capture to delivery."""
    age_ms: tuple[Spread, ...]
    """From the camera's drawing to the end of the sink's writing, in thirds of the run."""
    captured: int
    delivered: int
    dropped: dict[str, int]
    """By cause."""
    gap: int
    """Frames that nothing accounts for."""


def measure_overload(engine: str, *, length_s: float, fps: float = 15) -> OverloadFigures:
    """Return the figures of a run of ``length_s``. To be called from the main thread.

    Args:
        engine: To be slowed.
        length_s: With frames flowing.
        fps: Of the camera; the engine does a third of it.
    """
    inference_s = SLOWER / fps
    with (
        tempfile.TemporaryDirectory(prefix="maskstream-bench-") as folder,
        cameras(1, fps=fps) as (camera,),
    ):
        output = Path(folder) / "overload.mkv"
        options = live_options(
            [camera.uri],
            slowed(engine, inference_s),
            deliveries=parse_deliveries([str(output)]),
            replaced={"engine": OPENER, "writer": WRITER},
        )
        played = play(options, _script(length_s))
        ages_ms = read_ages_ms(output)
    return _figures(played, ages_ms, fps, length_s)


def _script(length_s: float) -> Script:
    yield from until(lambda figures: figures.frames.delivered > 0)
    yield from pause(length_s)


def _figures(played: Played, ages_ms: list[float], fps: float, length_s: float) -> OverloadFigures:
    third = len(ages_ms) // 3
    if not third:
        raise RuntimeError(f"bench: {len(ages_ms)} frames with a stamp; at least 3 are needed.")
    thirds = (ages_ms[:third], ages_ms[third : 2 * third], ages_ms[2 * third :])
    frames = played.result.figures.frames
    return OverloadFigures(
        fps=fps,
        length_s=length_s,
        inference_ms=1e3 * SLOWER / fps,
        limit_ms=1e3 * (SLOWER + 2) / fps,
        latency_p95_ms=played.result.figures.latency_ms.p95 or 0.0,
        age_ms=tuple(Spread.of(part) for part in thirds),
        captured=frames.captured,
        delivered=frames.delivered,
        dropped=dict(frames.dropped),
        gap=frames.gap,
    )


def overload_table(figures: OverloadFigures) -> Table:
    """Return the figures as they are shown."""
    made = table(
        f"overload: {figures.fps:g} fps into an engine of {figures.inference_ms:.0f} ms, "
        f"{figures.length_s:.0f} s",
        ("frame age at delivery", "frames", "p50 ms", "p95 ms", "max ms"),
    )
    for name, age in zip(
        ("first third", "second third", "last third"), figures.age_ms, strict=True
    ):
        made.add_row(name, str(age.count), f"{age.p50:.0f}", f"{age.p95:.0f}", f"{age.most:.0f}")
    made.add_section()
    made.add_row("capture to delivery", str(figures.delivered), "", f"{figures.latency_p95_ms:.0f}")
    made.add_row("one inference + two periods", "", "", f"{figures.limit_ms:.0f}")
    made.add_row("captured", str(figures.captured))
    for cause, count in figures.dropped.items():
        made.add_row(f"left out, {cause}", str(count))
    made.add_row("unaccounted for", str(figures.gap))
    return made
