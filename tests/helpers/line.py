"""Runs one line with fakes, in a process of its own: ``python -m tests.helpers.line '{...}'``.

Prints one JSON object a line: the stages' process ids once frames flow, and the result.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from maskstream.stream.delivery import parse_deliveries
from maskstream.stream.options import RunOptions, TimeOptions
from maskstream.stream.supervision.supervisor import run_pipeline
from maskstream.stream.telemetry.snapshot import Event, RunResult, Snapshot
from tests.helpers.telling import say

FAKES = {
    "engine": "tests.helpers.fakes:engine",
    "source": "tests.helpers.fakes:source",
    "writer": "tests.helpers.fakes:writer",
}


class Recorder:
    """Keeps what a run says, and calls ``act`` with the first snapshot that ``when`` accepts."""

    def __init__(self, when=None, act=None) -> None:
        self.events: list[Event] = []
        self.snapshots: list[Snapshot] = []
        self._when, self._act = when, act

    def on_event(self, event: Event) -> None:
        self.events.append(event)

    def on_tick(self, snapshot: Snapshot) -> None:
        self.snapshots.append(snapshot)
        if self._act is not None and self._when(snapshot):
            act, self._act = self._act, None
            act(snapshot)

    def pid(self, name: str) -> int:
        return next(stage.pid for stage in self.snapshots[-1].stages if stage.name == name)


def options(
    *sources: str,
    engine: str = "fake",
    real: tuple[str, ...] = (),
    times: Any = None,
    output: str | None = None,
    results: Any = None,
    **others: Any,
) -> RunOptions:
    """Returns options of a run with fakes, but for those named in ``real``.

    An engine whose name begins with ``reader`` reads the frames' numbers.
    """
    replaced = {part: name for part, name in FAKES.items() if part not in real}
    if engine.startswith("reader"):
        replaced["engine"] = "tests.helpers.fakes:reading_engine"
    return RunOptions(
        sources=sources,
        engine=engine,
        deliveries=parse_deliveries(
            [] if output is None else [output], [] if results is None else [str(results)]
        ),
        replaced=replaced,
        times=TimeOptions(**{"tick_s": 0.02, "batch_deadline_s": 0.05, **(times or {})}),
        **others,
    )


def run(*sources: str, recorder: Recorder | None = None, **others: Any) -> RunResult:
    """Runs a line with fakes in this process and returns its result."""
    recorder = recorder or Recorder()
    return run_pipeline(
        options(*sources, **others), on_event=recorder.on_event, on_tick=recorder.on_tick
    )


def main() -> None:
    """Run what the only argument asks for."""
    asked = json.loads(sys.argv[1])
    if "results" in asked:
        asked["results"] = Path(asked["results"])

    def tell(snapshot: Snapshot) -> None:
        pids = {stage.name: stage.pid for stage in snapshot.stages}
        say({"pids": pids})

    recorder = Recorder(when=lambda s: s.frames.delivered >= 3, act=tell)
    result = run(*asked.pop("sources"), recorder=recorder, **asked)
    frames = result.figures.frames
    said = {
        "exit_code": result.exit_code,
        "message": result.message,
        "captured": frames.captured,
        "delivered": frames.delivered,
        "dropped": frames.dropped,
        "gap": frames.gap,
    }
    say(said)
    sys.exit(result.exit_code)


if __name__ == "__main__":
    main()
