"""Frames in the process that called: the newest of live sources, every one of files.

The caller is a viewer without a process of its own. The supervisor runs in a thread beside it and
opens a new way to it whenever a sink is started.
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from maskstream.stream.memory.pool import BufferPool
from maskstream.stream.memory.slot import Slot
from maskstream.stream.stages.views import View, ViewReceiver, ViewSender


@dataclass(frozen=True, slots=True)
class CallerSource:
    """What the frames of one source have in common, for the caller."""

    source: int
    """Its place among the run's sources, from 0."""
    name: str
    """What people call it."""
    class_names: tuple[str, ...]
    """Of the engine, by class id."""


class CallerView:
    """Where the caller takes its frames from. `close` may be called at any time, more than once."""

    def __init__(self) -> None:
        """Start without a source."""
        self._lock = threading.Lock()
        self._receivers: dict[int, ViewReceiver] = {}
        self.sources: dict[int, CallerSource] = {}
        """By source id; there before a source's first frame is."""
        self._lossless: dict[int, bool] = {}
        self._turn = 0
        self._is_closed = False
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)

    def open(self, described: CallerSource, pool: BufferPool, *, is_lossless: bool) -> ViewSender:
        """Return the sink's end of a new way to the caller; called by the supervisor's thread.

        Args:
            described: The source of the sink.
            pool: For frames that are on their way to the caller, or in its hands.
            is_lossless: Whether the sink waits for the caller.
        """
        source_id = described.source
        view = View(source_id, pool, is_lossless=is_lossless)
        with self._lock:
            self.sources[source_id] = described
            self._lossless[source_id] = is_lossless
            former = self._receivers.get(source_id)
            if self._is_closed:
                view.receiver.close()
            elif former is None:
                self._receivers[source_id] = view.receiver
                view.receiver.begin()
            else:
                former.join(*view.receiver.descriptors)
                view.receiver.close()
        self.wake()
        return view.sender

    def next(self, timeout_s: float) -> tuple[int, Slot] | None:
        """Return the next frame with its source, None where none came in time.

        The slot is the caller's until the next frame of its source is returned.
        """
        found = self._look()
        if found is None and not self._is_closed:
            with suppress(OSError, ValueError):  # a way that was closed meanwhile
                select.select(self._waited(), [], [], timeout_s)
            with suppress(BlockingIOError):
                self._wake_out.recv(64)
            found = self._look()
        return found

    def wake(self) -> None:
        """Let `next` return soon."""
        with suppress(BlockingIOError):
            self._wake_in.send(b"!")

    def close(self) -> None:
        """Take no more frames; sinks that wait for the caller go on."""
        with self._lock:
            self._is_closed = True
            for receiver in self._receivers.values():
                receiver.close()
            self._receivers.clear()
        self.wake()

    def release(self) -> None:
        """Give back what is left, once the supervisor's thread has ended."""
        self._wake_in.close()
        self._wake_out.close()

    def _waited(self) -> list[int]:
        """Return the descriptors that something may come in on."""
        with self._lock:
            ways = [way for way in self._receivers.values() if not (way.is_ended or way.is_parted)]
            return [self._wake_out.fileno(), *(way.fileno() for way in ways)]

    def _look(self) -> tuple[int, Slot] | None:
        """Return a frame that is there; sources take turns."""
        with self._lock:
            for source_id in self._in_turn():
                receiver = self._receivers[source_id]
                take = receiver.oldest if self._lossless[source_id] else receiver.newest
                slot = take()
                if slot is not None:
                    self._turn = source_id + 1
                    return source_id, slot
        return None

    def _in_turn(self) -> Iterator[int]:
        ids = sorted(self._receivers)
        yield from (i for i in ids if i >= self._turn)
        yield from (i for i in ids if i < self._turn)
