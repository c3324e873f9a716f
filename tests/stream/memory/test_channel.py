"""Channels: whole messages, exactly what was sent, and a dead peer noticed at once."""

from __future__ import annotations

import multiprocessing
import time

import pytest

from maskstream.stream.errors import ChannelTimeout, PeerGone
from maskstream.stream.memory.channel import (
    CAUSE_BYTES,
    Kind,
    Message,
    Readiness,
    Receiver,
    Sender,
    open_channel,
    to_poll_ms,
)


@pytest.fixture
def ends(nothing_left):
    sender, receiver = open_channel()
    with sender, receiver:
        yield sender, receiver


@pytest.mark.parametrize(
    "message",
    [
        Message(Kind.FRAME, slot=7, sequence=2**40, source_id=3),
        Message(Kind.END, sequence=795, source_id=1),
        Message(Kind.END, cause="capture: Schaden in Bild 28: ü", is_error=True),
    ],
    ids=["frame", "end", "end-with-cause"],
)
def test_a_message_arrives_as_it_was_sent(ends, message):
    sender, receiver = ends
    sender.send(message)
    assert receiver.receive(1) == message


def test_messages_keep_their_order_and_bounds(ends):
    sender, receiver = ends
    for sequence in range(100):
        sender.send(Message(Kind.FRAME, slot=sequence % 5, sequence=sequence))
    assert [receiver.receive(0).sequence for _ in range(100)] == list(range(100))


def test_a_long_cause_is_cut_at_a_whole_character(ends):
    sender, receiver = ends
    sender.send(Message(Kind.END, cause="ü" * 500, is_error=True))
    assert receiver.receive(1).cause == "ü" * (CAUSE_BYTES // 2)


def test_waiting_for_nothing_ends_in_time(ends):
    _, receiver = ends
    begun_s = time.monotonic()
    with pytest.raises(ChannelTimeout):
        receiver.receive(0.05)
    assert 0.05 <= time.monotonic() - begun_s < 0.5
    with pytest.raises(ChannelTimeout):
        receiver.receive(0)


def test_a_receiver_that_takes_nothing_times_the_sender_out(ends):
    sender, _ = ends
    # Many more than a pool has slots, so a line never comes to the end of the room.
    for sequence in range(100):
        sender.send(Message(Kind.FRAME, sequence=sequence), timeout_s=0)
    with pytest.raises(ChannelTimeout, match=r"not taken within 0\.02 s"):
        fill(sender)


def fill(sender: Sender) -> None:
    for sequence in range(100_000):
        sender.send(Message(Kind.FRAME, sequence=sequence), timeout_s=0.02)


def test_what_was_sent_before_the_end_is_read_first(ends):
    sender, receiver = ends
    sender.send(Message(Kind.FRAME, sequence=1))
    sender.close()
    assert receiver.receive(1).sequence == 1
    with pytest.raises(PeerGone):
        receiver.receive(1)


def test_sending_to_nobody_says_so(ends):
    sender, receiver = ends
    sender.send(Message(Kind.FRAME))
    receiver.close()  # with a message unread, which resets the connection
    with pytest.raises(PeerGone):
        sender.send(Message(Kind.FRAME))


def send_for_ever(sender: Sender) -> None:
    sequence = 0
    while True:
        sender.send(Message(Kind.FRAME, slot=sequence % 7, sequence=sequence), 60)
        sequence += 1


@pytest.mark.parametrize("attempt", range(3))
def test_a_killed_sender_is_noticed_within_milliseconds_and_leaves_whole_messages(ends, attempt):
    sender, receiver = ends
    process = multiprocessing.get_context("spawn").Process(target=send_for_ever, args=(sender,))
    process.start()
    sender.close()
    expected = 0
    while expected < 500 + 37 * attempt:
        assert receiver.receive(20).sequence == expected
        expected += 1
    process.kill()
    killed_s = time.monotonic()
    with pytest.raises(PeerGone):
        read_in_order(receiver, expected)
    assert time.monotonic() - killed_s < 0.25
    process.join()
    process.close()


def read_in_order(receiver: Receiver, expected: int) -> None:
    while True:
        assert receiver.receive(5).sequence == expected
        expected += 1


def test_readiness_names_the_descriptor_with_something_to_read():
    (giver, taker), (other_giver, other_taker) = open_channel(), open_channel()
    with giver, taker, other_giver, other_taker:
        ready = Readiness([taker.fileno(), other_taker.fileno()])
        assert ready.wait(0) == set()
        other_giver.send(Message(Kind.FRAME))
        assert ready.wait(1) == {other_taker.fileno()}
        ready.forget(other_taker.fileno())
        assert ready.wait(0.01) == set()
        giver.close()
        assert ready.wait(1) == {taker.fileno()}


@pytest.mark.parametrize(
    ("timeout_s", "expected"), [(None, None), (0, 0), (-1, 0), (0.0001, 1), (1.0, 1000)]
)
def test_a_timeout_never_ends_before_its_time(timeout_s, expected):
    assert to_poll_ms(timeout_s) == expected
