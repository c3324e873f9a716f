"""Free slots as credits: capture reads on only while it has one."""

from __future__ import annotations

import time

from stream.channel import Readiness
from stream.errors import ChannelTimeout, PeerGone
from stream.slot import Slot
from stream.stages import IDLE_S, Stage


class FreeSlots:
    """Slots that nobody holds: first all of the pool, then those that come back."""

    def __init__(self, stage: Stage) -> None:
        """Take all slots of the stage's pool as free."""
        credit = stage.setup.credit_in
        if credit is None:
            raise ValueError(f"{stage.setup.label}: no channel for free slots.")
        self._stage = stage
        self._credit = credit
        self._pool = stage.setup.pools[0]
        self._free = list(range(self._pool.slot_count))
        self._ready = Readiness([credit.fileno(), stage.control.fileno()])
        self.why_early = ""
        """Why the source was left before its end."""

    def wait_for_go(self) -> bool:
        """Returns True once the supervisor says go, False if the run ends before it began."""
        waiting = Readiness([self._stage.control.fileno()])
        while True:
            waiting.wait(IDLE_S)
            message = self._stage.control.receive()
            if message is not None and message.word == "go":
                return True
            if message is not None and message.word == "drain":
                self.why_early = "the run ended before it began"
                return False

    def is_drain_asked(self) -> bool:
        """Whether the supervisor wants the source to end here."""
        message = self._stage.control.receive()
        if message is not None and message.word == "drain":
            self.why_early = "the run was told to end"
        return bool(self.why_early)

    def take(self) -> Slot | None:
        """Returns a free slot, waiting for one; None if a drain is asked for meanwhile.

        Raises:
            PeerGone: The stage that returns slots is gone.
        """
        begun_ns = time.monotonic_ns()
        while not self._collect():
            if self.is_drain_asked():
                return None
            self._ready.wait(IDLE_S)
            self._stage.page.sample_usage(time.monotonic_ns())
        self._stage.page.wait.record(time.monotonic_ns() - begun_ns)
        # The slot that came back last is the one whose memory is most likely still in a cache.
        return self._pool.slot(self._free.pop())

    def _collect(self) -> bool:
        """Take back what has come; returns whether a slot is free."""
        while True:
            try:
                self._free.append(self._credit.receive(0).slot)
            except ChannelTimeout:
                return bool(self._free)
            except PeerGone:
                # Slots at hand lead nowhere: who returns them is gone, and with it the line's end.
                raise PeerGone("the stage that returns free slots is gone.") from None
