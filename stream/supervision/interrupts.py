"""SIGINT and SIGTERM as something that a waiting loop can see, instead of an exception anywhere."""

from __future__ import annotations

import signal
import socket
from types import FrameType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Counts requests to stop while it is entered. In the main thread only.

    ``fileno()`` becomes readable with each, so a selector wakes up at once.
    """

    def __init__(self) -> None:
        """Change nothing yet."""
        self.count = 0
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._former_fd = signal.set_wakeup_fd(self._wake_in.fileno(), warn_on_full_buffer=False)
        self._handlers = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._former_fd)
        self._wake_in.close()
        self._wake_out.close()

    def fileno(self) -> int:
        """Returns the descriptor to wait on."""
        return self._wake_out.fileno()

    def clear(self) -> None:
        """Take what woke the loop off the descriptor; ``count`` stays."""
        try:
            while self._wake_out.recv(64):
                continue
        except BlockingIOError:
            return

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
