"""What every stage's process does around its body: set-up, taking and giving slots, the last word.

A body is a top-level function ``run(stage, settings)``. It says ``stage.ready()`` once it can work,
takes slots, gives them on, and returns. Whatever happens, this module sees to it that every feed
downstream ends with exactly one END and that the supervisor hears one last word: ``done``,
``failed`` with the traceback, or ``cut_off`` when a neighbour is gone.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2

from stream import process
from stream.channel import Kind, Message, Receiver, Sender
from stream.control import ControlEnd, ControlMessage
from stream.errors import ChannelTimeout, PeerGone, StreamError
from stream.frame import Holder
from stream.page import StagePage
from stream.pool import BufferPool
from stream.redact import scrubbed
from stream.slot import Slot

IDLE_S = 1.0
"""A waiting stage wakes up this often to say how much processor time and memory it uses."""
SEND_S = 10.0
"""Room for a message: there always is some, as there are fewer slots than a socket holds."""
_FAULT_EXIT_CODE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSetup:
    """All that a stage's process is started with."""

    label: str
    holder: Holder
    body: Callable[[Stage, Any], None]
    settings: Any
    """What the body needs; one of the ``*Settings`` classes."""
    source_ids: tuple[int, ...]
    """Sources that pass through the stage; pools, inputs and outputs are in their order."""
    page: StagePage
    control: ControlEnd
    pools: tuple[BufferPool, ...]
    inputs: tuple[Receiver, ...] = ()
    outputs: tuple[Sender, ...] = ()
    credit_in: Receiver | None = None
    """Where capture gets free slots from."""
    credit_out: Sender | None = None
    """Where the sink returns free slots to."""
    saves_on_parent_death: bool = False
    """Whether the stage holds something worth saving, as a recording is."""


class Stage:
    """What a body works with: its slots, its neighbours, its page and the supervisor's ear."""

    def __init__(self, setup: StageSetup) -> None:
        """Take over the ends and mappings in ``setup``."""
        self.setup = setup
        self.page = setup.page
        self.control = setup.control
        self.ends: dict[int, Message] = {}
        """Per input, the END that came in; made up with ``is_error`` if the giver is gone."""
        self._facts: dict[str, Any] = {}
        self._is_ended = [False] * len(setup.outputs)

    def ready(self, **facts: Any) -> None:
        """Tell the supervisor that the first frame may come, with ``facts`` worth knowing."""
        self.page.mark_ready()
        self.control.send(ControlMessage("ready", facts=facts))

    def note(self, text: str) -> None:
        """Tell the user something although the run goes on; passwords in it are hidden."""
        text = scrubbed(text)
        self.page.note(text)
        self.control.send(ControlMessage("note", text=text))

    def tell(self, text: str) -> None:
        """Tell the user something that may happen again and again; passwords in it are hidden."""
        self.control.send(ControlMessage("note", text=scrubbed(text)))

    def add_facts(self, **facts: Any) -> None:
        """Add ``facts`` to the stage's last word."""
        self._facts.update(facts)

    def receive(self, lane: int, timeout_s: float) -> Message | None:
        """Returns the next message of input ``lane``, None when time is up.

        A giver that is gone reads as an END with an error, so its receivers end in good order.
        """
        try:
            message = self.setup.inputs[lane].receive(timeout_s)
        except ChannelTimeout:
            self.page.sample_usage(time.monotonic_ns())
            return None
        except PeerGone:
            cause = f"{self.setup.label}: the stage before it is gone"
            message = Message(Kind.END, cause=cause, is_error=True)
        if message.kind == Kind.END:
            self.ends[lane] = message
        return message

    def slots(self) -> Iterator[Slot]:
        """Yields the slots of the only input until its END, each taken and marked as in work."""
        while (message := self.receive(0, IDLE_S)) is None or message.kind != Kind.END:
            if message is not None:
                slot = self.setup.pools[0].slot(message.slot)
                self.take(slot, time.monotonic_ns())
                self.page.begin(slot.header.sequence, slot.header.taken_ns[self.setup.holder - 1])
                yield slot

    def take(self, slot: Slot, now_ns: int) -> None:
        """Stamp ``slot`` as taken and count how long it lay ready."""
        place = self.setup.holder - 1
        slot.header.taken_ns[place] = now_ns
        self.page.wait.record(now_ns - slot.header.put_ns[place - 1])
        self.page.count_taken()

    def give(self, slot: Slot, lane: int = 0, *, work_ns: int | None = None) -> None:
        """Give ``slot`` to the next stage.

        Args:
            slot: Not touched by this stage any more.
            lane: Index of the output.
            work_ns: The frame's share of the work; since it was taken, where None.

        Raises:
            PeerGone: The next stage is gone; the slot stays marked as held by it.
        """
        now_ns = self.stamp(slot, work_ns)
        slot.header.holder = self.setup.holder + 1
        self.page.count_given()
        self.page.rest(now_ns)
        message = Message(Kind.FRAME, slot.index, slot.header.sequence, slot.header.source_id)
        self.setup.outputs[lane].send(message, SEND_S)

    def stamp(self, slot: Slot, work_ns: int | None = None) -> int:
        """Stamp ``slot`` as finished here, count its times and return the moment in ns."""
        place = self.setup.holder - 1
        now_ns = time.monotonic_ns()
        slot.header.put_ns[place] = now_ns
        self.page.work.record(now_ns - slot.header.taken_ns[place] if work_ns is None else work_ns)
        self.page.total.record(now_ns - slot.header.captured_ns)
        return now_ns

    def end(self, lane: int, *, captured: int = 0, cause: str = "", is_error: bool = False) -> None:
        """End output ``lane``; only the first call for a lane does anything.

        Args:
            captured: How many frames capture counted in all.
            cause: Why, if it ended badly.
            is_error: Whether it ended badly.
        """
        if self._is_ended[lane]:
            return
        self._is_ended[lane] = True
        source_id = self.setup.source_ids[lane]
        end = Message(Kind.END, 0, captured, source_id, cause, is_error)
        try:
            self.setup.outputs[lane].send(end, SEND_S)
        except (PeerGone, ChannelTimeout):
            # The next stage is gone or hangs; the supervisor sees that by itself.
            return

    def pass_end_on(self, lane: int) -> None:
        """End output ``lane`` as its input ended; without an input, well."""
        came = self.ends.get(lane, Message(Kind.END, sequence=self.page.taken))
        self.end(lane, captured=came.sequence, cause=came.cause, is_error=came.is_error)

    def finish(self, word: ControlMessage) -> None:
        """End what is not ended yet and say the last word."""
        for lane in range(len(self._is_ended)):
            if word.word == "done":
                self.pass_end_on(lane)
            else:
                self.end(lane, cause=word.text, is_error=True)
        now_ns = time.monotonic_ns()
        self.page.rest(now_ns)
        self.page.sample_usage(now_ns, is_due=True)
        self.control.send(word)

    def close(self) -> None:
        """Close this process's ends of all channels."""
        setup = self.setup
        for end in (*setup.inputs, *setup.outputs, setup.credit_in, setup.credit_out):
            if end is not None:
                end.close()
        self.control.close()

    def last_word(self) -> ControlMessage:
        """Returns the word of a body that returned."""
        return ControlMessage("done", facts=self._facts)


def run_stage(setup: StageSetup) -> None:
    """Run one stage to its end. This is what a stage's process executes."""
    process.ignore_interrupts()
    process.set_title(setup.label)
    if setup.saves_on_parent_death:
        process.outlive_parent_shortly()
    else:
        process.die_with_parent()
    # The stages run side by side already; a runtime's own threads are in its settings.
    cv2.setNumThreads(1)
    stage = Stage(setup)
    exit_code = 0
    try:
        setup.body(stage, setup.settings)
        word = stage.last_word()
    except Exception as exc:  # noqa: BLE001 - carried to the supervisor
        word = _word_for(setup.label, exc)
        exit_code = word.exit_code
    stage.finish(word)
    stage.close()
    sys.exit(exit_code)


def _word_for(label: str, error: Exception) -> ControlMessage:
    """Returns the last word of a body that raised ``error``.

    What the user can put right is one line; everything else is ours, with its traceback.
    """
    if isinstance(error, PeerGone):
        return ControlMessage("cut_off", f"{label}: {error}", exit_code=_FAULT_EXIT_CODE)
    if isinstance(error, StreamError) and error.exit_code != _FAULT_EXIT_CODE:
        return ControlMessage("failed", scrubbed(str(error)), exit_code=error.exit_code)
    return ControlMessage(
        "failed",
        scrubbed(f"{label}: {type(error).__name__}: {error}".splitlines()[0]),
        scrubbed("".join(traceback.format_exception(error))),
        _FAULT_EXIT_CODE,
    )
