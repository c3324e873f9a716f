"""Runs one line in a process of its own and tells what happens, as it happens.

``python -m tests.helpers.live_run '{"sources": ["/dev/video42"], "max_frames": 100}'`` prints one
JSON object a line: ``at_s`` (monotonic) with an ``event`` or with figures, and the result.
"""

from __future__ import annotations

import json
import sys
import time

from maskstream.stream.options import LiveOptions
from maskstream.stream.supervision.supervisor import run_pipeline
from maskstream.stream.telemetry.snapshot import Event, Snapshot
from tests.helpers.line import options
from tests.helpers.telling import say


def on_event(event: Event) -> None:
    say({"at_s": time.monotonic(), "event": event.text})


def on_tick(figures: Snapshot) -> None:
    frames = figures.frames
    counts = {"captured": frames.captured, "delivered": frames.delivered}
    say({"at_s": time.monotonic(), **counts})


def main() -> None:
    """Run what the only argument asks for, with a fake engine and a fake writer."""
    asked = json.loads(sys.argv[1])
    asked["live"] = LiveOptions(timeout_s=asked.pop("timeout_s", None))
    run_options = options(*asked.pop("sources"), real=("source",), **asked)
    result = run_pipeline(run_options, on_event=on_event, on_tick=on_tick)
    frames = result.figures.frames
    say(
        {
            "exit_code": result.exit_code,
            "message": result.message,
            "captured": frames.captured,
            "delivered": frames.delivered,
            "dropped": frames.dropped,
            "gap": frames.gap,
        }
    )


if __name__ == "__main__":
    main()
