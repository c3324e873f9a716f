"""A stage's ends of its channels: how it waits, takes and gives, and gets new ones.

A neighbour may die and be started anew. Its channels die with it, for nobody can tell what a killed
process has read of them. What this stage could not give is kept until the supervisor sends the new
channel's end; what the dead one had given before is still read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from maskstream.stream.errors import ChannelTimeout, PeerGone
from maskstream.stream.memory.channel import Kind, Message, Readiness, Receiver, Sender
from maskstream.stream.memory.frame import Holder
from maskstream.stream.memory.slot import Slot
from maskstream.stream.processes.control import Join

if TYPE_CHECKING:
    from maskstream.stream.stages.stage import StageSetup

SEND_S = 10.0
"""Room for a message: there always is some, as there are fewer slots than a socket holds."""


class _HasDescriptor(Protocol):
    def fileno(self) -> int: ...


class _Closable(Protocol):
    def close(self) -> None: ...


class Ports:
    """All ends of one stage. Inputs and outputs are counted by lanes, one a source."""

    def __init__(self, setup: StageSetup) -> None:
        """Take over the ends in ``setup``."""
        lanes = range(max(len(setup.inputs), len(setup.outputs)))
        self._setup = setup
        self._inputs = list(setup.inputs)
        self._outputs = list(setup.outputs)
        self._generations = list(setup.generations) or [0] * len(setup.outputs)
        self.is_awaiting = setup.is_awaiting
        """Whether a neighbour that is gone will be started anew."""
        self._pending: list[deque[Message]] = [deque() for _ in lanes]
        self._unsent: list[list[Message]] = [[] for _ in lanes]
        self._held: list[set[int]] = [set() for _ in lanes]
        self._parted: set[int] = set()
        self._ready = Readiness([setup.control.fileno(), *(end.fileno() for end in self._inputs)])
        self.put_back(setup.free_slots)

    @property
    def has_unsent(self) -> bool:
        """Whether something waits for a neighbour that is to be started anew."""
        return self.is_awaiting and any(self._unsent)

    def watch(self, end: _HasDescriptor) -> None:
        """Let ``wait`` end when there is something to read on ``end`` too."""
        self._ready.watch(end.fileno())

    def ignore(self, end: _HasDescriptor) -> None:
        """Let ``wait`` look at ``end`` no longer."""
        self._ready.forget(end.fileno())

    def wait(self, timeout_s: float) -> None:
        """Wait until something is there to be read."""
        is_left_alone = self._parted and not self.is_awaiting
        if not is_left_alone and not any(self._pending):
            self._ready.wait(timeout_s)

    def receive(self, lane: int) -> Message | None:
        """Returns what has come in, None where there is nothing now; an END only once."""
        message = self._next(lane)
        if message is None:
            return None
        if message.kind == Kind.END:
            self._ready.forget(self._inputs[lane].fileno())
            self._parted.discard(lane)
        else:
            self._held[lane].add(message.slot)
        return message

    def mark(self, slot: Slot, lane: int, holder: Holder) -> None:
        """Mark ``slot`` as held by who is at the other end of ``lane``, before it is sent."""
        slot.header.hold(holder, self._generations[lane])

    def send(self, lane: int, message: Message) -> None:
        """Send ``message``, or keep it where the taker is to be started anew.

        Raises:
            PeerGone: The taker is gone for good.
        """
        try:
            self._outputs[lane].send(message, SEND_S)
        except PeerGone:
            if not self.is_awaiting:
                raise
            self._unsent[lane].append(message)
            self._keep(lane, message)
            return
        if message.kind == Kind.FRAME:
            self._held[lane].discard(message.slot)

    def release(self, lane: int, slot: Slot) -> None:
        """Return ``slot``, marked as free, to capture, which may have ended long ago."""
        self._held[lane].discard(slot.index)
        try:
            self._outputs[lane].send(Message(Kind.FRAME, slot.index), SEND_S)
        except PeerGone:
            # Its mark tells the supervisor, should capture be started anew.
            return

    def put_back(self, slots: Iterable[int]) -> None:
        """Let ``slots`` come in on the first lane: free ones, for capture."""
        for slot in slots:
            self._held[0].add(slot)
            self._pending[0].append(Message(Kind.FRAME, slot))

    def abandon(self) -> None:
        """Wait for nobody any more: who is gone stays away."""
        self.is_awaiting = False

    def join(self, message: Join) -> tuple[int, ...]:
        """Take the new ends that came with ``message``; return the slots held on their lane.

        A viewer's number is no lane: no slot of the pipeline is held for it.
        """
        lane = message.lane
        match message.port:
            case "input":
                self._join_input(lane, Receiver.of(message.descriptors[0]))
            case "output":
                self._join_output(lane, Sender.of(message.descriptors[0]), message.generation)
            case "shown":
                self._setup.shown[lane].join(*message.descriptors)
            case "view":
                view = self._setup.views[lane]
                self.ignore(view)
                view.join(*message.descriptors)
                self.watch(view)
        is_of_a_lane = message.port in ("input", "output")
        return tuple(sorted(self._held[lane])) if is_of_a_lane else ()

    def close(self) -> None:
        """Close all ends."""
        setup = self._setup
        ends: tuple[_Closable, ...]
        ends = (*self._inputs, *self._outputs, *setup.shown, *setup.views)
        for end in ends:
            end.close()

    def _next(self, lane: int) -> Message | None:
        if self._pending[lane]:
            return self._pending[lane].popleft()
        if lane not in self._parted:
            try:
                return self._inputs[lane].receive(0)
            except ChannelTimeout:
                return None
            except PeerGone:
                self._parted.add(lane)
                self._ready.forget(self._inputs[lane].fileno())
        if self.is_awaiting:
            return None
        cause = f"{self._setup.label}: the stage before it is gone"
        return Message(Kind.END, cause=cause, is_error=True)

    def _join_input(self, lane: int, end: Receiver) -> None:
        former = self._inputs[lane]
        self._ready.forget(former.fileno())
        # What the dead giver had given is whole, and comes first.
        try:
            while True:
                message = former.receive(0)
                self._pending[lane].append(message)
                if message.kind == Kind.FRAME:
                    self._held[lane].add(message.slot)
        except (PeerGone, ChannelTimeout):
            former.close()
        self._parted.discard(lane)
        self._inputs[lane] = end
        self._ready.watch(end.fileno())

    def _join_output(self, lane: int, end: Sender, generation: int) -> None:
        self._outputs[lane].close()
        self._outputs[lane], self._generations[lane] = end, generation
        unsent, self._unsent[lane] = self._unsent[lane], []
        for message in unsent:
            if message.kind == Kind.FRAME:
                slot = self._setup.pools[lane].slot(message.slot)
                self.mark(slot, lane, self._setup.holder.following)
            self.send(lane, message)

    def _keep(self, lane: int, message: Message) -> None:
        """Mark a slot that could not be given as held by this stage again."""
        if message.kind == Kind.FRAME:
            self._setup.pools[lane].slot(message.slot).header.hold(self._setup.holder)
