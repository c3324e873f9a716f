"""Functions of the caller that are told of frames, each in a thread beside the run."""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from maskstream.tools.library.frames import Frame

Handler = Callable[[Frame], Any]

WAITING_MAX = 8
"""Frames that wait for a handler; further ones are late, and dropped for it."""
_END_S = 2.0
"""How long a handler that is at work when the run ends is waited for."""

_log = logging.getLogger("maskstream")


class HandlerThread:
    """Calls one handler with what is offered; it may raise or take its time."""

    def __init__(self, handler: Handler) -> None:
        """Start to wait for frames."""
        self.error_count = 0
        self.late_count = 0
        self._handler = handler
        self._ends_s = math.inf
        self._waiting: queue.Queue[Frame | None] = queue.Queue(WAITING_MAX)
        self._thread = threading.Thread(target=self._run, name="maskstream-handler", daemon=True)
        self._thread.start()

    def offer(self, frame: Frame) -> None:
        """Hand a frame over, or count it as late; never waits."""
        try:
            self._waiting.put_nowait(frame)
        except queue.Full:
            self.late_count += 1

    def close(self) -> None:
        """Let the handler finish what waits, but not for long; the rest is late."""
        self._ends_s = time.monotonic() + _END_S
        with suppress(queue.Full):
            self._waiting.put(None, timeout=_END_S)
        self._thread.join(_END_S)

    def _run(self) -> None:
        while (frame := self._waiting.get()) is not None:
            if time.monotonic() > self._ends_s:
                self.late_count += 1
                continue
            try:
                self._handler(frame)
            except Exception:  # noqa: BLE001 - the handler's own: counted and logged
                self.error_count += 1
                _log.exception("a handler of frames failed")
