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

from maskstream.errors import ConfigError, OutputError, SourceError
from maskstream.stream.addresses.redact import scrubbed
from maskstream.stream.errors import ChannelTimeout, PeerGone
from maskstream.stream.memory.channel import Kind, Message, Receiver, Sender
from maskstream.stream.memory.counters import StagePage
from maskstream.stream.memory.frame import Holder
from maskstream.stream.memory.pool import BufferPool
from maskstream.stream.memory.slot import Slot
from maskstream.stream.processes import process
from maskstream.stream.processes.control import (
    Abandon,
    ControlEnd,
    ControlMessage,
    CutOff,
    Done,
    Drain,
    EngineFacts,
    Failed,
    Free,
    Go,
    Join,
    Joined,
    LastWord,
    Note,
    Ready,
)
from maskstream.stream.stages.ports import Ports
from maskstream.stream.stages.views import ViewReceiver, ViewSender

IDLE_S = 1.0
"""A waiting stage wakes up this often to say how much processor time and memory it uses."""
_FAULT_EXIT_CODE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSetup:
    """All that a stage's process is started with."""

    label: str
    holder: Holder
    """Whose mark its slots bear; FREE for a viewer, which has none of the line's slots."""
    body: Callable[[Stage, Any], None]
    settings: Any
    """What the body needs; one of the ``*Settings`` classes."""
    source_ids: tuple[int, ...]
    """Sources that pass through the stage; pools, inputs and outputs are in their order."""
    page: StagePage
    control: ControlEnd
    pools: tuple[BufferPool, ...]
    inputs: tuple[Receiver, ...] = ()
    """From the stage before; capture's gives free slots."""
    outputs: tuple[Sender, ...] = ()
    """To the stage after; the sink's takes free slots back."""
    generations: tuple[int, ...] = ()
    """Of the outputs."""
    free_slots: tuple[int, ...] = ()
    """That capture begins with."""
    shown: tuple[ViewSender, ...] = ()
    """Viewers that the sink shows each frame to."""
    views: tuple[ViewReceiver, ...] = ()
    """Where a viewer gets its frames from, one a source."""
    is_awaiting: bool = False
    """Whether a neighbour that dies is started anew, so that it is waited for."""
    start_count: int = 1
    """Counts the processes that this stage has had, this one included."""
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
        self.is_going = False
        """Whether the supervisor said go."""
        self.is_draining = False
        """Whether the supervisor wants the source to end here."""
        self.ports = Ports(setup)
        self._captured: int | None = None
        self._is_ended = [False] * len(setup.outputs)

    def ready(self, engine: EngineFacts | None = None) -> None:
        """Tell the supervisor that the first frame may come, and what the engine runs in."""
        self.page.mark_ready()
        self.control.send(Ready(engine))

    def note(self, text: str) -> None:
        """Tell the user something although the run goes on; passwords in it are hidden."""
        text = scrubbed(text)
        self.page.note(text)
        self.control.send(Note(text))

    def tell(self, text: str) -> None:
        """Tell the user something that may happen again and again; passwords in it are hidden."""
        self.control.send(Note(scrubbed(text)))

    def note_captured(self, count: int) -> None:
        """Say in the last word how many frames the feed's end said there were."""
        self._captured = count

    def attend(self) -> None:
        """Do what the supervisor asks for. Not while a slot is being worked on."""
        self.page.turn()
        try:
            while (message := self.control.receive()) is not None:
                self._obey(message)
        except PeerGone:
            self.ports.ignore(self.control)

    def wait(self, timeout_s: float) -> None:
        """Wait until something comes in or the supervisor says something, and attend to it."""
        self.ports.wait(timeout_s)
        self.attend()
        self.page.sample_usage(time.monotonic_ns())

    def receive(self, lane: int) -> Message | None:
        """Returns what has come in on ``lane``, None where there is nothing now.

        A giver that is gone for good reads as an END with an error, so its receivers end in good
        order.
        """
        message = self.ports.receive(lane)
        if message is not None and message.kind == Kind.END:
            self.ends[lane] = message
        return message

    def slots(self) -> Iterator[Slot]:
        """Yields the slots of the only input until its END, each at work until the next."""
        while (message := self.receive(0)) is None or message.kind != Kind.END:
            if message is None:
                self.wait(IDLE_S)
                continue
            slot = self.setup.pools[0].slot(message.slot)
            self.take(slot, time.monotonic_ns())
            self.page.begin(slot.header.sequence, slot.header.taken_ns[self.setup.holder.place])
            yield slot
            self.page.rest(time.monotonic_ns())
            self.attend()

    def take(self, slot: Slot, now_ns: int) -> None:
        """Stamp ``slot`` as taken and count how long it lay ready."""
        place = self.setup.holder.place
        slot.header.taken_ns[place] = now_ns
        self.page.wait.record(now_ns - slot.header.put_ns[place - 1])
        self.page.count_taken()

    def give(self, slot: Slot, lane: int = 0, *, work_ns: int | None = None) -> None:
        """Give ``slot`` to the next stage, or keep it for the one that is started in its place.

        Whoever is at work rests only afterwards: a process that stops between count and message is
        else not to be told from one that has given all it has.

        Args:
            slot: Not touched by this stage any more.
            lane: Index of the output.
            work_ns: The frame's share of the work; since it was taken, where None.

        Raises:
            PeerGone: The next stage is gone for good; the slot stays marked as held by it.
        """
        self.stamp(slot, work_ns)
        self.ports.mark(slot, lane, self.setup.holder.following)
        self.page.count_given()
        message = Message(Kind.FRAME, slot.index, slot.header.sequence, slot.header.source_id)
        self.ports.send(lane, message)

    def stamp(self, slot: Slot, work_ns: int | None = None) -> None:
        """Stamp ``slot`` as finished here and count its times."""
        place = self.setup.holder.place
        now_ns = time.monotonic_ns()
        slot.header.put_ns[place] = now_ns
        self.page.work.record(now_ns - slot.header.taken_ns[place] if work_ns is None else work_ns)
        self.page.total.record(now_ns - slot.header.captured_ns)

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
            self.ports.send(lane, end)
        except (PeerGone, ChannelTimeout):
            # The next stage is gone or hangs; the supervisor sees that by itself.
            return

    def pass_end_on(self, lane: int) -> None:
        """End output ``lane`` as its input ended; without an input, well."""
        came = self.ends.get(lane, Message(Kind.END, sequence=self.page.taken))
        self.end(lane, captured=came.sequence, cause=came.cause, is_error=came.is_error)

    def finish(self, word: LastWord) -> None:
        """End what is not ended yet and say the last word."""
        # Whoever comes after waits for the next process, as it does where this one is killed.
        is_fault = isinstance(word, Failed) and word.exit_code == _FAULT_EXIT_CODE
        is_replaced = is_fault and self.ports.is_awaiting
        if self.setup.holder not in (Holder.SINK, Holder.FREE):
            for lane in range(len(self._is_ended)):
                if isinstance(word, Done):
                    self.pass_end_on(lane)
                elif not is_replaced:
                    self.end(lane, cause=word.text, is_error=True)
            # What a neighbour could not take yet must not end with this process.
            while isinstance(word, Done) and self.ports.has_unsent:
                self.wait(IDLE_S)
        now_ns = time.monotonic_ns()
        self.page.rest(now_ns)
        self.page.sample_usage(now_ns, is_due=True)
        self.control.send(word)

    def close(self) -> None:
        """Close this process's ends of all channels."""
        self.ports.close()
        self.control.close()

    def last_word(self) -> Done:
        """Return the word of a body that returned."""
        return Done(self._captured)

    def _obey(self, message: ControlMessage) -> None:
        match message:
            case Go():
                self.is_going = True
            case Drain():
                self.is_draining = True
            case Abandon():
                self.ports.abandon()
            case Free():
                self.ports.put_back(message.slots)
            case Join():
                held = self.ports.join(message)
                answer = Joined(message.port, message.lane, message.generation, held)
                self.control.send(answer)


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
    word: LastWord
    try:
        setup.body(stage, setup.settings)
        word = stage.last_word()
    except Exception as exc:  # noqa: BLE001 - carried to the supervisor
        word = _word_for(setup.label, exc)
    stage.finish(word)
    stage.close()
    sys.exit(word.exit_code)


def _word_for(label: str, error: Exception) -> LastWord:
    """Return the last word of a body that raised ``error``.

    What the user can put right is one line; everything else is ours, with its traceback.
    """
    if isinstance(error, PeerGone):
        return CutOff(f"{label}: {error}", _FAULT_EXIT_CODE)
    if isinstance(error, ConfigError | OutputError | SourceError):
        return Failed(scrubbed(str(error)), error.exit_code)
    return Failed(
        scrubbed(f"{label}: {type(error).__name__}: {error}".splitlines()[0]),
        _FAULT_EXIT_CODE,
        scrubbed("".join(traceback.format_exception(error))),
    )
