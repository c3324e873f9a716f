"""What every stage's process does around its body, seen from its neighbours."""

from __future__ import annotations

import itertools
import multiprocessing
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from maskstream.errors import SourceError
from maskstream.stream.errors import ChannelTimeout, PeerGone
from maskstream.stream.memory.channel import Kind, Message, Receiver, Sender, open_channel
from maskstream.stream.memory.counters import StagePage
from maskstream.stream.memory.frame import Holder
from maskstream.stream.memory.pool import BufferPool
from maskstream.stream.memory.slot import SlotLayout
from maskstream.stream.processes.control import (
    ControlEnd,
    ControlMessage,
    CutOff,
    Done,
    Ready,
    open_control,
)
from maskstream.stream.stages.stage import Stage, StageSetup, run_stage


def passes_on(stage: Stage, _) -> None:
    stage.ready()
    for slot in stage.slots():
        slot.planes.y[...] += 1
        stage.give(slot)
    stage.note_captured(stage.page.taken)


def raises(stage: Stage, _) -> None:
    next(stage.slots())
    raise ArithmeticError("one\ntwo")


def raises_for_the_user(stage: Stage, _) -> None:
    raise SourceError("a.mp4: is gone; give another.")


def ends_early(stage: Stage, _) -> None:
    stage.end(0, captured=7, cause="enough")
    stage.end(0, captured=8)


def exits(stage: Stage, _) -> None:
    next(stage.slots())
    sys.exit(5)


@dataclass
class Neighbours:
    """The other ends of a stage in the middle, and its process."""

    pool: BufferPool
    page: StagePage
    control: ControlEnd
    give: Sender
    take: Receiver
    process: multiprocessing.process.BaseProcess

    def put(self, slot: int, sequence: int) -> None:
        self.pool.slot(slot).header.sequence = sequence
        self.give.send(Message(Kind.FRAME, slot, sequence))

    def feed(self) -> list[Message]:
        """Returns all messages up to the end of file."""
        messages = []
        try:
            while True:
                messages.append(self.take.receive(20))
        except PeerGone:
            return messages

    def words(self) -> list[ControlMessage]:
        """Returns all that the stage said."""
        self.process.join()
        said = []
        try:
            while (message := self.control.receive()) is not None:
                said.append(message)
        except PeerGone:
            return said
        return said


@pytest.fixture
def start(nothing_left) -> Iterator[Callable[[Callable[[Stage, Any], None]], Neighbours]]:
    made = []

    def make(body) -> Neighbours:
        pool = BufferPool.create(SlotLayout(16, 16, top_k=1, patch_px=1), 3)
        page = StagePage.create()
        control, its_control = open_control()
        (give, its_input), (its_output, take) = open_channel(), open_channel()
        setup = StageSetup(
            label="middle", holder=Holder.OVERLAY, body=body, settings=None, source_ids=(0,),
            page=page, control=its_control, pools=(pool,), inputs=(its_input,),
            outputs=(its_output,),
        )  # fmt: skip
        process = multiprocessing.get_context("spawn").Process(target=run_stage, args=(setup,))
        process.start()
        for end in (its_control, its_input, its_output):
            end.close()
        made.append(Neighbours(pool, page, control, give, take, process))
        return made[-1]

    yield make
    for neighbours in made:
        neighbours.process.kill()
        neighbours.process.join()
        neighbours.process.close()
        for thing in (neighbours.pool, neighbours.page, neighbours.control):
            thing.close()
        neighbours.give.close()
        neighbours.take.close()


def test_slots_are_passed_on_worked_on_and_the_end_once(start):
    stage = start(passes_on)
    for sequence in range(3):
        stage.put(sequence, sequence)
    stage.give.send(Message(Kind.END, sequence=3))
    assert stage.feed() == [
        Message(Kind.FRAME, 0, 0),
        Message(Kind.FRAME, 1, 1),
        Message(Kind.FRAME, 2, 2),
        Message(Kind.END, sequence=3),
    ]
    assert [int(stage.pool.slot(index).planes.y[0, 0]) for index in range(3)] == [1, 1, 1]
    assert {slot.header.holder for slot in stage.pool.held()} == {Holder.SINK}
    header = stage.pool.slot(1).header
    assert 0 < header.taken_ns[Holder.OVERLAY.place] <= header.put_ns[Holder.OVERLAY.place]
    ready, done = stage.words()
    assert (ready, done) == (Ready(), Done(captured=3))
    assert stage.process.exitcode == 0
    assert (stage.page.taken, stage.page.given) == (3, 3)


def test_a_stage_is_at_work_until_its_frame_is_given(start):
    stage = start(passes_on)
    stage.put(0, 0)
    stage.take.receive(20)
    with suppress(ChannelTimeout):  # nobody takes, so before long it is not rid of one
        for sequence in itertools.count(1):
            stage.give.send(Message(Kind.FRAME, 0, sequence), timeout_s=1.0)
    assert stage.page.given == stage.page.taken
    assert stage.page.busy_on() is not None


def test_an_end_with_a_cause_goes_on_as_it_came(start):
    stage = start(passes_on)
    end = Message(Kind.END, sequence=5, cause="damaged", is_error=False)
    stage.give.send(end)
    assert stage.feed() == [end]


def test_a_giver_that_dies_ends_the_feed_with_an_error(start):
    stage = start(passes_on)
    stage.put(0, 0)
    stage.give.close()
    frame, end = stage.feed()
    assert frame.kind == Kind.FRAME
    assert (end.kind, end.is_error, end.cause) == (
        Kind.END, True, "middle: the stage before it is gone",
    )  # fmt: skip
    assert isinstance(stage.words()[-1], Done)


def test_a_taker_that_dies_cuts_the_stage_off(start):
    stage = start(passes_on)
    stage.take.close()
    stage.put(0, 0)
    assert isinstance(stage.words()[-1], CutOff)
    assert stage.process.exitcode == 4


def test_an_error_ends_the_feed_and_is_told_with_its_traceback(start):
    stage = start(raises)
    stage.put(0, 0)
    (end,) = stage.feed()
    assert (end.is_error, end.cause) == (True, "middle: ArithmeticError: one")
    (failed,) = stage.words()
    assert (failed.text, failed.exit_code) == (end.cause, 4)
    assert "in raises" in failed.detail
    assert stage.process.exitcode == 4


def test_an_error_for_the_user_comes_without_a_traceback(start):
    stage = start(raises_for_the_user)
    (end,) = stage.feed()
    assert end.is_error
    (failed,) = stage.words()
    assert (failed.text, failed.detail) == ("a.mp4: is gone; give another.", "")
    assert failed.exit_code == stage.process.exitcode == 3


def test_a_feed_ends_once_however_often_it_is_ended(start):
    stage = start(ends_early)
    assert stage.feed() == [Message(Kind.END, sequence=7, cause="enough")]


def test_a_process_that_just_exits_says_nothing(start):
    stage = start(exits)
    stage.put(0, 0)
    assert stage.feed() == []
    assert stage.words() == []
    assert stage.process.exitcode == 5
