"""The second part of `make soak`: live sources with a fault a minute, and nothing may grow.

``python -m maskstream.tools.bench.live.soak_live [--minutes 30] [--fault-s 60] [--engine person]``

Two numbered cameras go into recordings in chunks and onto a live page that somebody looks at. Once
a minute a stage is killed, the page is, a camera goes and comes back, or one stands still. After
that every frame has to be accounted for, stages have been started anew only where they were killed,
no process holds more descriptors than before, and memory has not grown while a process lived.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Annotated, TextIO

import typer
from rich.console import Console

from maskstream.errors import MaskstreamError
from maskstream.stream.delivery import parse_deliveries
from maskstream.stream.options import SegmentOptions
from maskstream.stream.telemetry.snapshot import Snapshot
from maskstream.tools.bench.live.numbered_camera import NumberedCamera, cameras
from maskstream.tools.bench.live.onlooker import onlooker
from maskstream.tools.bench.live.processes import descriptor_count, own_bytes
from maskstream.tools.bench.live.script import (
    Played,
    Script,
    healthy,
    live_options,
    pause,
    play,
    source_of,
    stage_of,
    until,
)
from maskstream.tools.bench.live.soak_trend import Sample, SoakFigures, trend_of
from maskstream.tools.measuring.tables import table

WARM_UP_S = 300.0
"""Of each process. The allocator settles with the first returns of a camera: until then a capture
takes 1 to 3 MB more, and nothing after."""
_AWAY_S = 5.0
_LOOK_S = 1.0
_SEGMENT_S = 60.0
_KEEP_BYTES = 200_000_000


@dataclass(slots=True)
class SoakLog:
    """What was done to a run, and what its processes held meanwhile.

    The samples go to a file: this process is the run's supervisor, and must not grow by them.
    """

    file: TextIO
    faults: Counter[str] = field(default_factory=Counter)
    """By what was done."""
    kills: Counter[str] = field(default_factory=Counter)
    """By stage."""
    _first_s: dict[int, float] = field(default_factory=dict)

    def take(self, figures: Snapshot) -> None:
        """Note what every process holds."""
        pids = {stage.name: stage.pid for stage in figures.stages} | {"supervisor": os.getpid()}
        for name, pid in pids.items():
            first_s = self._first_s.setdefault(pid, figures.wall_s)
            sample = Sample(
                at_s=figures.wall_s,
                life_s=figures.wall_s - first_s,
                pid=pid,
                own_bytes=own_bytes(pid),
                descriptor_count=descriptor_count(pid),
            )
            print(json.dumps([name, *astuple(sample)]), file=self.file)

    def samples(self) -> dict[str, list[Sample]]:
        """Return the samples by stage, in order."""
        self.file.seek(0)
        found: dict[str, list[Sample]] = {}
        for name, *values in map(json.loads, self.file):
            found.setdefault(name, []).append(Sample(*values))
        return found


def measure_soak(
    engine: str,
    folder: Path,
    *,
    length_s: float,
    fault_s: float,
    warm_up_s: float = WARM_UP_S,
    fps: float = 15,
    seed: int = 1,
    tell: Callable[[str], None] = lambda text: None,
) -> SoakFigures:
    """Run for ``length_s`` with a fault every ``fault_s``. To be called from the main thread.

    Args:
        engine: To run.
        folder: Takes the recordings.
        length_s: With frames flowing.
        fault_s: From one fault to the next.
        warm_up_s: Of each process: its memory is not judged before.
        fps: Of the cameras.
        seed: Of what is done when.
        tell: Called with a line about each fault.
    """
    with (
        tempfile.TemporaryFile("w+") as file,
        cameras(2, fps=fps) as made,
        _free_port() as port,
    ):
        log = SoakLog(file)
        options = live_options(
            [camera.uri for camera in made],
            engine,
            deliveries=parse_deliveries([str(folder), f"http://127.0.0.1:{port}"]),
            segment=SegmentOptions(length_s=min(_SEGMENT_S, length_s / 4), keep_bytes=_KEEP_BYTES),
        )
        script = _script(made, log, length_s, fault_s, random.Random(seed), tell)
        with onlooker(f"http://127.0.0.1:{port}/stream/0") as seen_bytes:
            played = play(options, script)
            return _figures(played, log, length_s, warm_up_s, seen_bytes())


def _script(
    made: Sequence[NumberedCamera],
    log: SoakLog,
    length_s: float,
    fault_s: float,
    chance: random.Random,
    tell: Callable[[str], None],
) -> Script:
    begun = yield from healthy()
    number = 0
    faults: list[str] = []
    while True:
        number += 1
        due_s = min(number * fault_s, length_s)
        while (figures := (yield from pause(_LOOK_S))).wall_s - begun.wall_s < due_s:
            if all(stage.state == "running" for stage in figures.stages):
                log.take(figures)
        if due_s >= length_s:
            return
        # Each kind once before any comes again.
        faults = faults or chance.sample(sorted(_FAULTS), len(_FAULTS))
        kind = faults.pop()
        log.faults[kind] += 1
        said = yield from _FAULTS[kind](made, log, chance)
        tell(f"{figures.wall_s:.0f} s: {kind}: {said}")
        yield from healthy()


_Fault = Generator[None, Snapshot, str]


def _kill_stage(made: Sequence[NumberedCamera], log: SoakLog, chance: random.Random) -> _Fault:
    figures = yield
    in_line = [stage.name for stage in figures.stages if stage.kind != "page"]
    return (yield from _kill(chance.choice(in_line), log))


def _kill_viewer(made: Sequence[NumberedCamera], log: SoakLog, chance: random.Random) -> _Fault:
    return (yield from _kill("page", log))


def _kill(name: str, log: SoakLog) -> _Fault:
    figures = yield
    stage = stage_of(figures, name)
    log.kills[name] += 1
    os.kill(stage.pid, signal.SIGKILL)
    yield from until(lambda figures: stage_of(figures, name).restarts > stage.restarts)
    return name


def _lose_camera(made: Sequence[NumberedCamera], log: SoakLog, chance: random.Random) -> _Fault:
    number = chance.randrange(len(made))
    made[number].kill()
    yield from until(lambda figures: source_of(figures, number).state == "lost")
    yield from pause(_AWAY_S)
    made[number].start()
    return f"camera {number}"


def _stop_camera(made: Sequence[NumberedCamera], log: SoakLog, chance: random.Random) -> _Fault:
    number = chance.randrange(len(made))
    made[number].pause()
    yield from until(lambda figures: source_of(figures, number).state == "lost")
    yield from pause(_AWAY_S)
    made[number].resume()
    return f"camera {number}"


_FAULTS: dict[str, Callable[[Sequence[NumberedCamera], SoakLog, random.Random], _Fault]] = {
    "a stage is killed": _kill_stage,
    "the page is killed": _kill_viewer,
    "a camera goes and comes back": _lose_camera,
    "a camera stands still": _stop_camera,
}


def _figures(
    played: Played, log: SoakLog, length_s: float, warm_up_s: float, seen_bytes: int
) -> SoakFigures:
    frames = played.result.figures.frames
    restarts = {stage.name: stage.restarts for stage in played.result.figures.stages}
    return SoakFigures(
        length_s=length_s,
        faults=dict(log.faults),
        stages=tuple(
            trend_of(name, samples, log.kills[name], restarts.get(name, 0), warm_up_s)
            for name, samples in log.samples().items()
        ),
        captured=frames.captured,
        delivered=frames.delivered,
        dropped=dict(frames.dropped),
        gap=frames.gap + frames.in_flight,
        seen_bytes=seen_bytes,
    )


@contextmanager
def _free_port() -> Iterator[int]:
    """Give a port that is free; the run takes it once it begins."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    yield port


def show(figures: SoakFigures, console: Console) -> None:
    """Print a soak's outcome, its complaints last."""
    made = table(
        f"{figures.length_s / 60:.0f} minutes, {sum(figures.faults.values())} faults",
        ("stage", "kills", "restarts", "kB an hour", "descriptors", "at the end"),
    )
    for stage in figures.stages:
        rate = stage.bytes_per_hour
        made.add_row(
            stage.name,
            str(stage.kills),
            str(stage.restarts),
            "-" if rate is None else f"{rate / 1e3:+.0f}",
            str(stage.descriptors_first),
            str(stage.descriptors_last),
        )
    console.print(made)
    for kind, count in figures.faults.items():
        console.print(f"{kind}: {count} times")
    console.print(
        f"captured {figures.captured}, delivered {figures.delivered}, dropped {figures.dropped}, "
        f"unaccounted for {figures.gap}"
    )


def soak_live(
    minutes: Annotated[float, typer.Option(min=0.5, help="With frames flowing.")] = 30,
    fault_s: Annotated[float, typer.Option(min=1, help="From one fault to the next.")] = 60,
    engine: Annotated[str, typer.Option(help="An engine file, or the name of one.")] = "person",
) -> None:
    """Run live sources with a fault a minute, and say whether anything grows or goes missing."""
    console = Console(highlight=False)
    try:
        with tempfile.TemporaryDirectory(prefix="maskstream-soak-") as folder:
            figures = measure_soak(
                engine, Path(folder), length_s=60 * minutes, fault_s=fault_s, tell=console.print
            )
    except (MaskstreamError, RuntimeError) as exc:
        print(f"soak: {exc}", file=sys.stderr)
        raise typer.Exit(2) from exc
    show(figures, console)
    complaints = figures.complaints()
    print("\n".join(complaints) or "nothing grows, nothing is missing")
    raise typer.Exit(1 if complaints else 0)


if __name__ == "__main__":
    typer.run(soak_live)
