"""Free slots as credits: capture reads on only while it has one."""

from __future__ import annotations

import time

from maskstream.stream.errors import PeerGone
from maskstream.stream.memory.channel import Kind
from maskstream.stream.memory.slot import Slot
from maskstream.stream.stages.stage import IDLE_S, Stage


class FreeSlots:
    """Slots that nobody holds: those that capture begins with, then those that come back."""

    def __init__(self, stage: Stage) -> None:
        """Take the slots that come in at ``stage``."""
        self._stage = stage
        self._pool = stage.setup.pools[0]
        self._free: list[int] = []
        self.why_early = ""
        """Why the source was left before its end."""
        # Taken in at once: while something lies ready to be taken, no wait ever sleeps, and the
        # wait for the engine to load would take a core from it.
        for _ in stage.setup.free_slots:
            self._collect_one()

    def wait_for_go(self) -> bool:
        """Returns True once the supervisor says go, False if the run ends before it began."""
        while not self._stage.is_going:
            if self._stage.is_draining:
                self.why_early = "the run ended before it began"
                return False
            self._stage.wait(IDLE_S)
        return True

    def is_drain_asked(self) -> bool:
        """Whether the supervisor wants the source to end here."""
        self._stage.attend()
        if self._stage.is_draining:
            self.why_early = "the run was told to end"
        return self._stage.is_draining

    def take(self) -> Slot | None:
        """Returns a free slot, waiting for one; None if a drain is asked for meanwhile.

        Raises:
            PeerGone: The stage that returns slots is gone.
        """
        begun_ns = time.monotonic_ns()
        while not self._collect():
            if self.is_drain_asked():
                return None
            self._stage.wait(IDLE_S)
        self._stage.page.wait.record(time.monotonic_ns() - begun_ns)
        # The slot that came back last is the one whose memory is most likely still in a cache.
        return self._pool.slot(self._free.pop())

    def _collect(self) -> bool:
        """Take back what has come; returns whether a slot is free."""
        while self._collect_one():
            pass
        return bool(self._free)

    def _collect_one(self) -> bool:
        """Take back one slot; returns whether one had come."""
        message = self._stage.receive(0)
        if message is None:
            return False
        if message.kind == Kind.END:
            # Slots at hand lead nowhere: who returns them is gone, and with it the line's end.
            raise PeerGone("the stage that returns free slots is gone.")
        self._free.append(message.slot)
        return True
