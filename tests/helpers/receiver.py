"""Receives a stream and says what it sees: ``python -m tests.helpers.receiver URL [KEY=VALUE]``.

A process of its own, so that it can be stopped and killed as a player or a media server can. Prints
one JSON object a line: what is in each frame's stamp, when it was seen, and at last ``ended``.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import av
import av.error
import numpy as np

from maskstream.stream.pixels.stamp import read_stamp
from tests.helpers.telling import say

LONGEST_WAIT_S = 40.0
AT_ONCE = ("fflags=nobuffer", "analyzeduration=0", "probesize=32")
"""Options of a player that shows what comes instead of looking at seconds of it first."""


class Receiver:
    """The process, and what it has seen. ``with Receiver(url) as receiver: ...``"""

    def __init__(self, url: str, *options: str) -> None:
        command = [sys.executable, "-m", "tests.helpers.receiver", url, *options]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._said: list[dict[str, Any]] = []
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()
        self.wait_for(lambda: bool(self._said))

    def __enter__(self) -> Receiver:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def frames(self) -> list[dict[str, Any]]:
        """What was seen of each frame so far."""
        return [said for said in list(self._said) if "number" in said]

    @property
    def numbers(self) -> list[int]:
        """Of the frames seen so far, in the order in which they came."""
        return [frame["number"] for frame in self.frames]

    @property
    def end(self) -> str | None:
        """How the stream ended; None while it goes on."""
        return self._said[-1].get("ended") if self._said else None

    def wait_for(self, condition: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + LONGEST_WAIT_S
        while not condition():
            assert time.monotonic() < deadline_s, f"saw only {self._said[-3:]}"
            time.sleep(0.01)

    def wait_for_frames(self, count: int) -> None:
        self.wait_for(lambda: len(self.numbers) >= count)

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def close(self) -> None:
        with self._process:  # closes its pipe and waits; may be done twice
            self._process.kill()
            self._thread.join()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._said.append(json.loads(line))


def main(url: str, *pairs: str) -> None:
    """Receive until the stream ends."""
    options = dict(pair.split("=", 1) for pair in pairs)
    say({"opening": url})
    try:
        with av.open(url, format=options.pop("format", None), options=options) as container:
            stream = container.streams.video[0]
            stream.thread_type = "SLICE"
            for frame in container.decode(stream):
                stamp = read_stamp(frame.to_ndarray(format="gray").astype(np.uint8, copy=False))
                say(
                    {
                        "number": stamp.frame_number,
                        "size": [frame.width, frame.height],
                        "pts_s": frame.time,
                        "drawn_ns": stamp.clock_ns,
                        "seen_ns": time.monotonic_ns(),
                    }
                )
    except av.error.FFmpegError as exc:
        say({"ended": f"{type(exc).__name__}: {exc.strerror}"})
    else:
        say({"ended": "eof"})


if __name__ == "__main__":
    main(*sys.argv[1:])
