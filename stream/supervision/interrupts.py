"""Requests to stop, as something that a waiting loop can see instead of an exception anywhere."""

from __future__ import annotations

import signal
import socket
from types import FrameType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequests:
    """Counts requests to stop while it is entered: the first drains a run, the second ends it.

    ``fileno()`` becomes readable with each, so a selector wakes up at once.
    """

    def __init__(self) -> None:
        """Start with no request."""
        self.count = 0

    def __enter__(self) -> Self:
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        return self

    def __exit__(self, *_: object) -> None:
        self._wake_in.close()
        self._wake_out.close()

    def ask(self) -> None:
        """Ask to stop, from any thread, while it is entered."""
        self.count += 1
        self._wake_in.send(b"!")

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._wake_out.fileno()

    def clear(self) -> None:
        """Take what woke the loop off the descriptor; ``count`` stays."""
        try:
            while self._wake_out.recv(64):
                continue
        except BlockingIOError:
            return


class Interrupts(StopRequests):
    """SIGINT and SIGTERM as requests to stop. In the main thread only."""

    def __init__(self) -> None:
        """Change nothing yet."""
        super().__init__()
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        super().__enter__()
        self._former_fd = signal.set_wakeup_fd(self._wake_in.fileno(), warn_on_full_buffer=False)
        self._handlers = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._former_fd)
        super().__exit__(*error)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
