"""Frames for whoever looks on: a window, a page, a receiver. Newest first, never waited for.

Somebody who looks may be slow, stall or die, and a recording must not notice. So the sink copies a
frame into a small pool of the viewer's own, if one of its slots is free, and goes on. The copy
costs a third of a millisecond at 720p; handing out the line's own slots would make every viewer a
holder of credits.
"""

from __future__ import annotations

import select
from contextlib import suppress
from typing import Self

from maskstream.stream.errors import ChannelTimeout, PeerGone
from maskstream.stream.memory.channel import Kind, Message, Receiver, Sender, open_channel
from maskstream.stream.memory.pool import BufferPool
from maskstream.stream.memory.slot import Slot

SLOT_COUNT = 3
"""One that the viewer looks at, one that lies ready for it, one that is being filled."""


class ViewSender:
    """The sink's end of a view. Picklable only while a process is being spawned."""

    def __init__(
        self, pool: BufferPool, frames: Sender, returned: Receiver, *, is_lossless: bool = False
    ) -> None:
        """Show frames in ``pool``, whose slots are the viewer's until it gives them.

        Args:
            pool: Of the viewer.
            frames: Where frames are sent.
            returned: Where slots come back.
            is_lossless: Whether the viewer is waited for, so that it gets every frame.
        """
        self.is_lossless = is_lossless
        self._pool = pool
        self._frames = frames
        self._returned = returned
        self._free: list[int] = []
        self._is_gone = False

    def join(self, frames: int, returned: int) -> None:
        """Show frames to the viewer that was started anew, through these descriptors."""
        self.close()
        self._frames, self._returned = Sender.of(frames), Receiver.of(returned)
        self._free.clear()
        self._is_gone = False

    @property
    def descriptors(self) -> tuple[int, int]:
        """Of both ends, to send copies of them to a process that runs already."""
        return self._frames.fileno(), self._returned.fileno()

    def show(self, slot: Slot) -> bool:
        """Copy the frame in ``slot`` for the viewer; False if it is not ready for one."""
        if self._is_gone or not self._take_back():
            return False
        theirs = self._pool.slot(self._free.pop())
        theirs.copy_from(slot)
        return self._send(Message(Kind.FRAME, theirs.index, slot.header.sequence))

    def wait_ready(self, timeout_s: float) -> bool:
        """Return whether the viewer is ready for a frame, or gone; waits for that a while."""
        if self._is_gone or self._take_back():
            return True
        select.select([self._returned], [], [], timeout_s)
        return self._take_back() or self._is_gone

    def end(self) -> None:
        """Say that no frame will come any more."""
        if not self._is_gone:
            self._send(Message(Kind.END))

    def close(self) -> None:
        """Close this process's ends."""
        self._frames.close()
        self._returned.close()

    def _take_back(self) -> bool:
        try:
            while True:
                self._free.append(self._returned.receive(0).slot)
        except ChannelTimeout:
            pass
        except PeerGone:
            self._is_gone = self.is_lossless  # others may be started anew, and join again
        return bool(self._free)

    def _send(self, message: Message) -> bool:
        try:
            self._frames.send(message, 0)
        except (PeerGone, ChannelTimeout):
            self._is_gone = True
        return not self._is_gone


class ViewReceiver:
    """The viewer's end for one source. Picklable only while a process is being spawned."""

    def __init__(self, source_id: int, pool: BufferPool, frames: Receiver, given: Sender) -> None:
        """Receive frames of ``source_id``, which lie in ``pool``."""
        self.source_id = source_id
        self.layout = pool.layout
        self.is_ended = False
        """Whether no frame will come any more."""
        self.is_parted = False
        """Whether who shows them is gone, for good or for now."""
        self._pool = pool
        self._frames = frames
        self._given = given
        self._held: int | None = None

    @property
    def descriptors(self) -> tuple[int, int]:
        """Of both ends, to send copies of them to a process that runs already."""
        return self._frames.fileno(), self._given.fileno()

    def begin(self) -> None:
        """Ask for frames, once the viewer is ready for them."""
        for index in range(self._pool.slot_count):
            if index != self._held:
                self._give_back(index)

    def join(self, frames: int, given: int) -> None:
        """Receive from the sink that was started anew, through these descriptors."""
        self.close()
        self._frames, self._given = Receiver.of(frames), Sender.of(given)
        self.is_parted = False
        self.begin()

    def fileno(self) -> int:
        """Returns the descriptor to wait on for a frame or the end."""
        return self._frames.fileno()

    def newest(self) -> Slot | None:
        """Returns the newest frame that has come, None where none is new; never waits.

        The slot is the caller's until the next call that returns one, and then given back.
        """
        newest = self._held
        while (message := self._receive()) is not None:
            if newest != self._held and newest is not None:
                self._give_back(newest)
            newest = message.slot
        if newest == self._held or newest is None:
            return None
        if self._held is not None:
            self._give_back(self._held)
        self._held = newest
        return self._pool.slot(newest)

    def oldest(self) -> Slot | None:
        """Return the next frame in order, None where none has come; never waits.

        The slot is the caller's until the next call that returns one, and then given back.
        """
        message = self._receive()
        if message is None:
            return None
        if self._held is not None:
            self._give_back(self._held)
        self._held = message.slot
        return self._pool.slot(message.slot)

    def close(self) -> None:
        """Close this process's ends."""
        self._frames.close()
        self._given.close()

    def _receive(self) -> Message | None:
        """Returns the next frame's message; None where there is none now, or never again."""
        if self.is_ended or self.is_parted:
            return None
        try:
            message = self._frames.receive(0)
        except ChannelTimeout:
            return None
        except PeerGone:
            self.is_parted = True
            return None
        self.is_ended = message.kind == Kind.END
        return None if self.is_ended else message

    def _give_back(self, index: int) -> None:
        with suppress(PeerGone, ChannelTimeout):
            self._given.send(Message(Kind.FRAME, index), 0)


class View:
    """Both ends of one source's way to one viewer, before the processes take theirs."""

    def __init__(self, source_id: int, pool: BufferPool, *, is_lossless: bool = False) -> None:
        """Open the channels."""
        frames, theirs = open_channel()
        given, returned = open_channel()
        self.sender = ViewSender(pool, frames, returned, is_lossless=is_lossless)
        self.receiver = ViewReceiver(source_id, pool, theirs, given)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close these copies of the ends."""
        self.sender.close()
        self.receiver.close()
