"""What stages and supervisor say to each other."""

from __future__ import annotations

import pytest

from maskstream.stream.errors import PeerGone
from maskstream.stream.processes.control import ControlMessage, open_control


@pytest.fixture
def ends(nothing_left):
    ours, theirs = open_control()
    yield ours, theirs
    ours.close()
    theirs.close()


def test_a_message_arrives_as_it_was_said(ends):
    ours, theirs = ends
    said = ControlMessage("ready", "text", "detail", 3, {"batch": 4, "backend": "openvino"})
    theirs.send(said)
    assert ours.receive() == said
    assert ours.receive() is None


def test_both_ends_can_speak(ends):
    ours, theirs = ends
    ours.send(ControlMessage("go"))
    assert theirs.receive() == ControlMessage("go")


def test_the_end_of_a_long_traceback_is_kept(ends):
    ours, theirs = ends
    theirs.send(ControlMessage("failed", detail="ü" * 100_000 + "ValueError: the cause"))
    assert ours.receive().detail.endswith("ValueError: the cause")


def test_a_closed_end_is_noticed_after_its_last_word(ends):
    ours, theirs = ends
    theirs.send(ControlMessage("done"))
    theirs.close()
    assert ours.receive().word == "done"
    with pytest.raises(PeerGone):
        ours.receive()


def test_speaking_to_nobody_is_no_error(ends):
    ours, theirs = ends
    ours.close()
    theirs.send(ControlMessage("done"))


def test_speaking_to_the_deaf_never_blocks(ends):
    _, theirs = ends
    for _ in range(10_000):
        theirs.send(ControlMessage("note", "x" * 1000))
