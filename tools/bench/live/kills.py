"""How soon a run delivers again after a stage of it was killed, many times over."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Generator
from dataclasses import dataclass

from rich.table import Table

from maskstream.stream.telemetry.snapshot import Snapshot, StageState
from maskstream.tools.bench.live.numbered_camera import cameras
from maskstream.tools.bench.live.processes import descendants
from maskstream.tools.bench.live.script import (
    Script,
    Spread,
    healthy,
    live_options,
    pause,
    play,
    source_of,
    stage_of,
    until,
)
from maskstream.tools.measuring.tables import table

SOURCES = 2
KINDS = ("capture", "infer", "overlay", "sink")
BUDGET_S = 2.0
"""Until frames are delivered again, with the engine's loading on top."""
_LIVED_S = (0.5, 2.5)
"""Between two faults, at random."""
_END_S = 5.0


@dataclass(frozen=True, slots=True)
class Kill:
    """One stage that was killed."""

    stage: str
    waited_s: float
    """Until its next process was started: the back-off."""
    started_s: float
    """From there until it was ready; for infer, the loading of the engine is most of it."""
    recovered_s: float
    """From the kill until all sources that pass the stage were delivered from again."""
    other_frames: int
    """Delivered from the other source meanwhile."""
    is_shared: bool
    """Whether there was no other source: all pass the stage."""

    @property
    def kind(self) -> str:
        """Of the stage."""
        return self.stage.partition("[")[0]


@dataclass(frozen=True, slots=True)
class KillFigures:
    """All kills of one run."""

    kills: tuple[Kill, ...]
    fps: float
    """Of each camera."""
    restarts: int
    """Of all stages; as many as kills where nothing else happened."""
    gap: int
    """Frames that nothing accounts for."""
    in_flight: int
    left_count: int
    """Processes that were there after the run's end."""

    @property
    def other_rate(self) -> float | None:
        """Of the source whose stages were not hit, as a share of its camera's; None: no kill."""
        told = [kill for kill in self.kills if not kill.is_shared]
        elapsed_s = sum(kill.recovered_s for kill in told)
        return sum(kill.other_frames for kill in told) / elapsed_s / self.fps if told else None

    @property
    def load_s(self) -> float:
        """What starting infer took in the middle, the engine's loading included; 0: no kill."""
        loads_s = [kill.started_s for kill in self.kills if kill.kind == "infer"]
        return Spread.of(loads_s).p50 if loads_s else 0.0


def measure_kills(engine: str, *, count: int, fps: float = 15, seed: int = 1) -> KillFigures:
    """Kill ``count`` stages at random, one after the other. To be called from the main thread."""
    kills: list[Kill] = []
    before = descendants(os.getpid())
    with cameras(SOURCES, fps=fps) as made:
        ours = descendants(os.getpid()) - before
        options = live_options([camera.uri for camera in made], engine)
        played = play(options, _script(kills, count, random.Random(seed)))
        left = _left(before | ours)
    figures = played.result.figures
    return KillFigures(
        kills=tuple(kills),
        fps=fps,
        restarts=sum(stage.restarts for stage in figures.stages),
        gap=figures.frames.gap,
        in_flight=figures.frames.in_flight,
        left_count=len(left),
    )


def _script(kills: list[Kill], count: int, chance: random.Random) -> Script:
    # Each kind as often as any other, though there is only one infer.
    for _ in range(count):
        kind = chance.choice(KINDS)
        stage = kind if kind == "infer" else f"{kind}[{chance.randrange(SOURCES)}]"
        yield from healthy()
        yield from pause(chance.uniform(*_LIVED_S))
        kills.append((yield from kill_and_wait(stage)))
    yield from healthy()


def kill_and_wait(name: str) -> Generator[None, Snapshot, Kill]:
    """Kill a stage in a script, and wait until its sources are delivered from again."""
    before = yield
    stage = stage_of(before, name)
    every = range(len(before.sources))
    ids = list(every) if stage.source_id is None else [stage.source_id]
    others = [source_id for source_id in every if source_id not in ids]
    killed_s = time.monotonic()
    os.kill(stage.pid, signal.SIGKILL)

    def is_again(state: StageState) -> Generator[None, Snapshot, Snapshot]:
        return until(
            lambda figures: (
                (now := stage_of(figures, name)).restarts > stage.restarts
                and now.state in (state, "running")
            )
        )

    begun = yield from is_again("starting")
    begun_s = time.monotonic()
    # Frames that were under way have all come by now: what comes from here on is new.
    under_way = {source_id: source_of(begun, source_id).delivered for source_id in ids}
    yield from is_again("running")
    ready_s = time.monotonic()
    figures = yield from until(
        lambda figures: all(
            source_of(figures, source_id).delivered > count
            for source_id, count in under_way.items()
        )
    )
    return Kill(
        stage=name,
        waited_s=begun_s - killed_s,
        started_s=ready_s - begun_s,
        recovered_s=time.monotonic() - killed_s,
        other_frames=sum(
            source_of(figures, i).delivered - source_of(before, i).delivered for i in others
        ),
        is_shared=not others,
    )


def _left(expected: set[int]) -> set[int]:
    """Return the processes of this one that are there after a while, but for those expected."""
    deadline_s = time.monotonic() + _END_S
    while (left := descendants(os.getpid()) - expected) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    return left


def kills_table(figures: KillFigures) -> Table:
    """Return the figures as they are shown."""
    made = table(
        f"{len(figures.kills)} kills at random, {SOURCES} cameras of {figures.fps:g} fps",
        ("stage", "kills", "back-off p50 s", "start p50 s", "again p50 s", "p95 s", "max s"),
    )
    for kind in (*KINDS, "all"):
        kills = [kill for kill in figures.kills if kind in (kill.kind, "all")]
        if not kills:
            continue
        again = Spread.of([kill.recovered_s for kill in kills])
        made.add_row(
            kind,
            str(len(kills)),
            f"{Spread.of([kill.waited_s for kill in kills]).p50:.2f}",
            f"{Spread.of([kill.started_s for kill in kills]).p50:.2f}",
            f"{again.p50:.2f}",
            f"{again.p95:.2f}",
            f"{again.most:.2f}",
        )
    made.add_section()
    made.add_row("budget", "", "", "", "", "", f"{BUDGET_S + figures.load_s:.2f}")
    other = figures.other_rate
    made.add_row("the other source's rate", "-" if other is None else f"{other:.0%}")
    made.add_row("started anew", str(figures.restarts))
    made.add_row("frames unaccounted for", str(figures.gap + figures.in_flight))
    made.add_row("processes left", str(figures.left_count))
    return made
