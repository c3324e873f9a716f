"""How a slot changes hands: one-way channels of fixed-size datagrams between two processes.

A SOCK_SEQPACKET pair per producer and consumer keeps message boundaries: a killed writer leaves a
whole message or none, and the reader sees end-of-file within a millisecond or so. Each end belongs
to one process alone: the process that spawns the stages closes its copies once they run, else a
dead peer would never be noticed.

Every feed ends with exactly one ``END``, which carries the cause if the feed ended badly.
"""

from __future__ import annotations

import math
import select
import socket
import struct
from collections.abc import Iterable
from enum import IntEnum
from multiprocessing import reduction
from typing import Any, NamedTuple, Self

from maskstream.stream.errors import ChannelTimeout, PeerGone

# kind, is_error, source id, slot index, sequence, length of the text, text
_FORMAT = struct.Struct("<BBHIQH238s")
DATAGRAM_BYTES = _FORMAT.size
CAUSE_BYTES = 238
"""An end's cause is cut to this many bytes of UTF-8; the whole story goes to the supervisor."""


class Kind(IntEnum):
    """What a message says."""

    FRAME = 1
    END = 2


class Message(NamedTuple):
    """One datagram."""

    kind: Kind
    slot: int = 0
    """Index of the slot that changes hands; 0 for an end."""
    sequence: int = 0
    """The frame's number; for an end, how many frames were captured in all."""
    source_id: int = 0
    cause: str = ""
    """Why the feed ended; empty when it ended well."""
    is_error: bool = False


class _End:
    """One end of a channel. Picklable only while a process is being spawned."""

    @classmethod
    def of(cls, descriptor: int) -> Self:
        """Returns the end behind ``descriptor``, which it owns from here on."""
        return cls(socket.socket(fileno=descriptor))

    _wanted = select.POLLIN

    def __init__(self, sock: socket.socket) -> None:
        # Never blocking: what is there is taken with one system call, and only a wait polls.
        sock.setblocking(False)
        self._socket = sock
        self._poll = select.poll()
        self._poll.register(sock, self._wanted)

    def fileno(self) -> int:
        """Returns the descriptor to wait on; -1 once closed."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close this end; the other end then sees that its peer is gone."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> Any:
        return reduction.DupFd(self._socket.fileno())

    def __setstate__(self, state: Any) -> None:
        _End.__init__(self, socket.socket(fileno=state.detach()))

    def _wait(self, timeout_s: float | None, what: str) -> None:
        if not self._poll.poll(to_poll_ms(timeout_s)):
            raise ChannelTimeout(f"channel: {what} within {timeout_s} s.")


class Sender(_End):
    """The end that gives slots away."""

    _wanted = select.POLLOUT

    def send(self, message: Message, timeout_s: float | None = None) -> None:
        """Send one message.

        Args:
            message: Its cause is cut to CAUSE_BYTES.
            timeout_s: Longest wait for room; None waits for ever.

        Raises:
            ChannelTimeout: The receiver took nothing for that long.
            PeerGone: The receiver's process is gone.
        """
        cause = message.cause.encode()[:CAUSE_BYTES] if message.cause else b""
        datagram = _FORMAT.pack(
            message.kind,
            message.is_error,
            message.source_id,
            message.slot,
            message.sequence,
            len(cause),
            cause,
        )
        try:
            self._send(datagram, timeout_s)
        except (BrokenPipeError, ConnectionResetError) as exc:
            raise PeerGone("channel: the receiving process is gone.") from exc

    def _send(self, datagram: bytes, timeout_s: float | None) -> None:
        try:
            self._socket.send(datagram)
        except BlockingIOError:
            self._wait(timeout_s, "not taken")
            self._socket.send(datagram)


class Receiver(_End):
    """The end that takes slots."""

    def receive(self, timeout_s: float | None = None) -> Message:
        """Returns the next message.

        Args:
            timeout_s: Longest wait; 0 takes only what is there, None waits for ever.

        Raises:
            ChannelTimeout: Nothing came in that time.
            PeerGone: The sender's process is gone and all that it sent is read.
        """
        try:
            datagram = self._receive(timeout_s)
        except ConnectionResetError as exc:
            raise PeerGone("channel: the sending process is gone.") from exc
        if not datagram:
            raise PeerGone("channel: the sending process is gone.")
        kind, is_error, source_id, slot, sequence, length, text = _FORMAT.unpack(datagram)
        if kind == Kind.FRAME:
            return Message(Kind.FRAME, slot, sequence, source_id)
        cause = text[:length].decode(errors="ignore")
        return Message(Kind(kind), slot, sequence, source_id, cause, bool(is_error))

    def _receive(self, timeout_s: float | None) -> bytes:
        try:
            return self._socket.recv(DATAGRAM_BYTES)
        except BlockingIOError:
            self._wait(timeout_s, "nothing came")
            return self._socket.recv(DATAGRAM_BYTES)


def open_channel() -> tuple[Sender, Receiver]:
    """Returns the two ends of a new channel."""
    giving, taking = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return Sender(giving), Receiver(taking)


class Readiness:
    """Waits for any of several descriptors. Cheaper than a selector made anew for every wait."""

    def __init__(self, descriptors: Iterable[int]) -> None:
        """Watch ``descriptors`` for something to read, a dead peer included."""
        self._poll = select.poll()
        self._watched = set(descriptors)
        for descriptor in self._watched:
            self._poll.register(descriptor, select.POLLIN)

    def watch(self, descriptor: int) -> None:
        """Watch ``descriptor`` too."""
        self._watched.add(descriptor)
        self._poll.register(descriptor, select.POLLIN)

    def forget(self, descriptor: int) -> None:
        """Watch ``descriptor`` no longer; one that is not watched is ignored."""
        if descriptor in self._watched:
            self._watched.discard(descriptor)
            self._poll.unregister(descriptor)

    def wait(self, timeout_s: float | None) -> set[int]:
        """Returns the descriptors with something to read, an empty set when time is up."""
        return {descriptor for descriptor, _ in self._poll.poll(to_poll_ms(timeout_s))}


def to_poll_ms(timeout_s: float | None) -> int | None:
    """Returns a timeout as poll wants it.

    Rounded up: a wait that ended just before its deadline would make the caller spin.
    """
    return None if timeout_s is None else max(0, math.ceil(timeout_s * 1000))
