"""What all measurements of live runs need: a script that acts on a run while it goes.

A script is a generator. It is given each snapshot of the run where it yields, may do something to
the run in between, and the run ends when it does ::

    def script():
        figures = yield from until(all_running)
        os.kill(pid_of(figures, "infer"), signal.SIGKILL)
        yield from until(lambda figures: stage_of(figures, "infer").restarts == 1)
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from maskstream.stream.options import RunOptions, TimeOptions
from maskstream.stream.supervision.supervisor import run_pipeline
from maskstream.stream.telemetry.snapshot import (
    Event,
    RunResult,
    Snapshot,
    SourceFigures,
    StageFigures,
)

Script = Generator[None, Snapshot, None]
LIMIT_S = 120.0
"""For anything that a script waits for."""
TICK_S = 0.02
"""Of the runs: times are known to within this."""
FRESH = 5
"""Frames that each source delivers before the next fault."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Of values that were measured."""

    count: int
    p50: float
    p95: float
    p99: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of ``values``, of which there is at least one."""
        p50, p95, p99 = (float(value) for value in np.percentile(values, (50, 95, 99)))
        return cls(len(values), p50, p95, p99, float(max(values)))


@dataclass(slots=True)
class Played:
    """A run that a script was played to."""

    result: RunResult
    events: list[tuple[float, Event]] = field(default_factory=list)
    """With the monotonic clock in seconds."""

    @property
    def is_conserved(self) -> bool:
        """Whether every captured frame is accounted for."""
        frames = self.result.figures.frames
        return (frames.gap, frames.in_flight) == (0, 0)


def play(options: RunOptions, script: Script) -> Played:
    """Run ``options`` until ``script`` ends. To be called from the main thread.

    Raises:
        RuntimeError: The run ended before the script did, or the script waited in vain.
    """
    player = _Player(script)
    result = run_pipeline(options, on_event=player.on_event, on_tick=player.on_tick)
    if not player.is_over:
        raise RuntimeError(f"bench: the run ended too early ({result.message}); it has to go on.")
    return Played(result, player.events)


class _Player:
    def __init__(self, script: Script) -> None:
        self.is_over = False
        self.events: list[tuple[float, Event]] = []
        self._script = script
        next(script)

    def on_event(self, event: Event) -> None:
        self.events.append((time.monotonic(), event))

    def on_tick(self, figures: Snapshot) -> None:
        if self.is_over or figures.state != "running":
            return
        try:
            self._script.send(figures)
        except StopIteration:
            self.is_over = True
            os.kill(os.getpid(), signal.SIGINT)


def until(
    condition: Callable[[Snapshot], bool], limit_s: float = LIMIT_S
) -> Generator[None, Snapshot, Snapshot]:
    """Wait in a script for ``condition``; returns the first snapshot that meets it.

    Raises:
        RuntimeError: It was not met in ``limit_s``.
    """
    deadline_s = time.monotonic() + limit_s
    while not condition(figures := (yield)):
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"bench: nothing came of it in {limit_s:.0f} s; {_states(figures)}.")
    return figures


def pause(length_s: float) -> Generator[None, Snapshot, Snapshot]:
    """Wait in a script for ``length_s``; returns the snapshot at its end."""
    due_s = time.monotonic() + length_s
    return (yield from until(lambda _: time.monotonic() >= due_s, limit_s=length_s + LIMIT_S))


def healthy() -> Generator[None, Snapshot, Snapshot]:
    """Wait in a script until all stages run and each source has delivered some more frames."""
    figures = yield
    goals = [source.delivered + FRESH for source in figures.sources]
    return (
        yield from until(
            lambda figures: (
                all(stage.state == "running" for stage in figures.stages)
                and all(
                    source.delivered >= goal
                    for source, goal in zip(figures.sources, goals, strict=True)
                )
            )
        )
    )


def stage_of(figures: Snapshot, name: str) -> StageFigures:
    """Return a stage's figures."""
    return next(stage for stage in figures.stages if stage.name == name)


def live_options(sources: Sequence[str], engine: str, **others: Any) -> RunOptions:
    """Return the options of a run that is looked at closely.

    Nothing is drawn, so that every stamp can be read.
    """
    others.setdefault("score_min", 1.0)
    return RunOptions(
        sources=tuple(sources), engine=engine, times=TimeOptions(tick_s=TICK_S), **others
    )


def maskstream() -> list[str]:
    """Return the installed command as a command line begins with it."""
    return [str(Path(sys.executable).with_name("maskstream"))]


def ended_well(played: Played) -> str:
    """Return what to say of a run's end: whether frames were conserved."""
    frames = played.result.figures.frames
    return (
        f"captured {frames.captured}, delivered {frames.delivered}, "
        f"dropped {frames.dropped or 'none'}, unaccounted for {frames.gap}"
    )


def document_of(figures: Any) -> dict[str, Any]:
    """Return a dataclass of figures as it goes into the JSON document."""
    return asdict(figures)


def source_of(figures: Snapshot, source_id: int) -> SourceFigures:
    """Return a source's figures."""
    return figures.sources[source_id]


def _states(figures: Snapshot) -> str:
    stages = [f"{stage.name} {stage.state}" for stage in figures.stages]
    sources = [f"source {s.source_id} {s.state}, {s.delivered}" for s in figures.sources]
    return ", ".join(stages + sources)
