"""What stages and supervisor say to each other."""

from __future__ import annotations

import os

import pytest

from maskstream.stream.errors import PeerGone
from maskstream.stream.processes.control import (
    Done,
    EngineFacts,
    Failed,
    Free,
    Go,
    Join,
    Joined,
    Note,
    Ready,
    open_control,
)


@pytest.fixture
def ends(nothing_left):
    ours, theirs = open_control()
    yield ours, theirs
    ours.close()
    theirs.close()


ENGINE: EngineFacts = {
    "backend": "openvino",
    "device": "cpu",
    "precision": "fp32",
    "reason": "",
    "batch": 4,
}


@pytest.mark.parametrize(
    "said",
    [
        Ready(),
        Ready(ENGINE),
        Note("Größe"),
        Done(captured=7),
        Failed("one line", 3, "a traceback"),
        Free((1, 2)),
        Joined("input", 0, 5, (3, 4)),
    ],
    ids=lambda said: type(said).__name__,
)
def test_a_message_arrives_as_it_was_said(ends, said):
    ours, theirs = ends
    theirs.send(said)
    assert ours.receive() == said
    assert ours.receive() is None


def test_ends_of_channels_arrive_as_copies(ends):
    ours, theirs = ends
    theirs.send(Join("output", 1, 9, (ours.fileno(),)))
    got = ours.receive()
    assert (got.port, got.lane, got.generation) == ("output", 1, 9)
    (copy,) = got.descriptors
    assert copy != ours.fileno()
    os.close(copy)


def test_both_ends_can_speak(ends):
    ours, theirs = ends
    ours.send(Go())
    assert theirs.receive() == Go()


def test_the_end_of_a_long_traceback_is_kept(ends):
    ours, theirs = ends
    theirs.send(Failed("line", 4, "ü" * 100_000 + "ValueError: the cause"))
    assert ours.receive().detail.endswith("ValueError: the cause")


def test_a_closed_end_is_noticed_after_its_last_word(ends):
    ours, theirs = ends
    theirs.send(Done())
    theirs.close()
    assert ours.receive() == Done()
    with pytest.raises(PeerGone):
        ours.receive()


def test_speaking_to_nobody_is_no_error(ends):
    ours, theirs = ends
    ours.close()
    theirs.send(Done())


def test_speaking_to_the_deaf_never_blocks(ends):
    _, theirs = ends
    for _ in range(10_000):
        theirs.send(Note("x" * 1000))
