"""Many sources: on one engine beside a process of its own for each, and beside bad company."""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from maskstream.stream.options import LiveOptions
from maskstream.stream.telemetry.snapshot import Snapshot
from maskstream.tools.bench.live.numbered_camera import cameras
from maskstream.tools.bench.live.processes import descendants, proportional_bytes
from maskstream.tools.bench.live.script import (
    Script,
    live_options,
    maskstream,
    pause,
    play,
    source_of,
    until,
)
from maskstream.tools.measuring.clips import make_clip
from maskstream.tools.measuring.tables import table

COUNTS = (1, 2, 4, 8)
COST_MAX = 0.05
"""Of their rate, that bad company may cost the others."""
_CLIP_SIDES = (640, 360)
_MEMORY_S = 0.5
_DEAD = "rtsp://127.0.0.1:9/dead"
"""A port of the reserved range, where nothing listens."""
_SLOW_FPS = 2.0
_GOOD = 2


@dataclass(frozen=True, slots=True)
class SourcesFigures:
    """So many sources, both ways; medians of the rounds."""

    source_count: int
    frame_count: int
    """Of all of them together."""
    one_fps: float
    """Of all sources together, through one engine."""
    one_bytes: int
    """Most memory of all processes; what they share counts once (PSS)."""
    each_fps: float
    """The same for a run of its own for each."""
    each_bytes: int
    ratios: tuple[float, ...]
    """``one_fps`` over ``each_fps``, each round by itself."""


@dataclass(frozen=True, slots=True)
class IsolationFigures:
    """Good sources alone, and with a dead and a slow one beside them."""

    kind: str
    """Of the good sources."""
    alone_fps: float
    """Of a source; median of the rounds."""
    together_fps: float
    ratios: tuple[float, ...]
    """``together`` over ``alone``, each round by itself."""

    @property
    def cost(self) -> float:
        """Share of their rate that the others cost; noise makes it negative."""
        return 1 - statistics.median(self.ratios)


def measure_sources(
    engine: str, *, frame_count: int, rounds: int, counts: Sequence[int] = COUNTS
) -> list[SourcesFigures]:
    """Return the figures for each of ``counts``, which share ``frame_count`` frames out."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="maskstream-bench-") as name:
        folder = Path(name)
        width, height = _CLIP_SIDES
        for count in counts:
            path = folder / f"{count}.mp4"
            clip = make_clip(path, width=width, height=height, frame_count=frame_count // count)
            one: list[tuple[float, int]] = []
            each: list[tuple[float, int]] = []
            for number in range(rounds):
                ways = [(one, [[clip] * count]), (each, [[clip]] * count)]
                for taken, runs in ways if number % 2 == 0 else reversed(ways):
                    taken.append(_run_all(runs, engine, folder))
            rows.append(
                SourcesFigures(
                    source_count=count,
                    frame_count=frame_count // count * count,
                    one_fps=statistics.median(fps for fps, _ in one),
                    one_bytes=max(held for _, held in one),
                    each_fps=statistics.median(fps for fps, _ in each),
                    each_bytes=max(held for _, held in each),
                    ratios=tuple(o[0] / e[0] for o, e in zip(one, each, strict=True)),
                )
            )
    return rows


def _run_all(runs: Sequence[Sequence[Path]], engine: str, folder: Path) -> tuple[float, int]:
    """Run commands side by side; returns all their frames a second, and their memory."""
    reports = [folder / f"report-{number}.json" for number in range(len(runs))]
    processes = [
        subprocess.Popen(
            [*maskstream(), "run", *clips, "--engine", engine, "--report", report, "--quiet"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for clips, report in zip(runs, reports, strict=True)
    ]
    ends_s = [0.0] * len(processes)

    def await_end(place: int) -> None:
        processes[place].wait()
        ends_s[place] = time.monotonic()

    waiters = [threading.Thread(target=await_end, args=(i,)) for i in range(len(processes))]
    for waiter in waiters:
        waiter.start()
    held_bytes = 0
    while any(process.poll() is None for process in processes):
        held_bytes = max(held_bytes, _memory_bytes([process.pid for process in processes]))
        time.sleep(_MEMORY_S)
    for waiter in waiters:
        waiter.join()
    if any(process.returncode for process in processes):
        raise RuntimeError(f"bench: {processes[0].args!r} failed; it has to end well.")
    facts = [json.loads(report.read_text(encoding="utf-8")) for report in reports]
    # From the first run's readiness to the last one's end: nobody runs alone unnoticed.
    begun_s = min(end_s - fact["wall_s"] for end_s, fact in zip(ends_s, facts, strict=True))
    return sum(f["frames"]["delivered"] for f in facts) / (max(ends_s) - begun_s), held_bytes


def _memory_bytes(pids: Sequence[int]) -> int:
    every = set(pids).union(*map(descendants, pids))
    return sum(map(proportional_bytes, every))


def measure_isolation(
    engine: str, *, length_s: float, rounds: int, fps: float = 15
) -> list[IsolationFigures]:
    """Return what a dead and a slow camera cost good sources: cameras, and clips at full speed.

    To be called from the main thread.
    """
    endless = "synthetic:numbered?size=640x360&fps=25&frames=999999999"
    with cameras(_GOOD, fps=fps) as good, cameras(1, fps=_SLOW_FPS) as (slow,):
        bad = [_DEAD, slow.uri]
        return [
            _isolate("cameras", [camera.uri for camera in good], bad, engine, length_s, rounds),
            _isolate("clips", [endless] * _GOOD, bad, engine, length_s, rounds),
        ]


def _isolate(
    kind: str, good: Sequence[str], bad: Sequence[str], engine: str, length_s: float, rounds: int
) -> IsolationFigures:
    taken: dict[bool, list[float]] = {False: [], True: []}
    for number in range(rounds):
        for is_together in (False, True) if number % 2 == 0 else (True, False):
            sources = [*good, *(bad if is_together else [])]
            taken[is_together].append(_rate(sources, len(good), engine, length_s))
    pairs = zip(taken[True], taken[False], strict=True)
    return IsolationFigures(
        kind=kind,
        alone_fps=statistics.median(taken[False]),
        together_fps=statistics.median(taken[True]),
        ratios=tuple(together / alone for together, alone in pairs),
    )


def _rate(sources: Sequence[str], good_count: int, engine: str, length_s: float) -> float:
    """Return the frames a second of one of the first ``good_count`` sources."""
    rates: list[float] = []

    def delivered(figures: Snapshot) -> int:
        return sum(source_of(figures, i).delivered for i in range(good_count))

    def script() -> Script:
        begun = yield from until(
            lambda figures: all(source_of(figures, i).delivered > 10 for i in range(good_count))
        )
        ended = yield from pause(length_s)
        elapsed_s = ended.wall_s - begun.wall_s
        rates.append((delivered(ended) - delivered(begun)) / elapsed_s / good_count)

    # The same batch with and without, as a live source among them would change it.
    options = live_options(sources, engine, batch=4, live=LiveOptions(timeout_s=2.0))
    play(options, script())
    return rates[0]


def sources_table(rows: Sequence[SourcesFigures]) -> Table:
    """Return the figures as they are shown."""
    made = table(
        f"sources of {_CLIP_SIDES[0]}x{_CLIP_SIDES[1]}, {rows[0].frame_count} frames in all",
        ("sources", "one engine fps", "MiB", "a run each fps", "MiB", "fps ratio", "(rounds)"),
    )
    for row in rows:
        made.add_row(
            str(row.source_count),
            f"{row.one_fps:.1f}",
            f"{row.one_bytes / 2**20:.0f}",
            f"{row.each_fps:.1f}",
            f"{row.each_bytes / 2**20:.0f}",
            f"{statistics.median(row.ratios):.2f}",
            ", ".join(f"{ratio:.2f}" for ratio in row.ratios),
        )
    return made


def isolation_table(rows: Sequence[IsolationFigures]) -> Table:
    """Return the figures as they are shown."""
    made = table(
        f"{_GOOD} sources with a dead and a slow one beside them",
        ("", "alone fps", "together fps", "cost", "(rounds)"),
    )
    for row in rows:
        made.add_row(
            row.kind,
            f"{row.alone_fps:.2f}",
            f"{row.together_fps:.2f}",
            f"{row.cost:.1%}",
            ", ".join(f"{1 - ratio:.1%}" for ratio in row.ratios),
        )
    made.add_row("budget", "", "", f"{COST_MAX:.0%}")
    return made
