"""When a batch is due and what is in it; the clock is a number."""

from __future__ import annotations

from maskstream.stream.stages.batcher import Batcher


def batcher(live=None, *, batch_max=4, per_source_max=4, deadline_s=0.125) -> Batcher[str]:
    return Batcher(
        {0: False} if live is None else live,
        batch_max=batch_max,
        per_source_max=dict.fromkeys(live or {0: False}, per_source_max),
        deadline_s=deadline_s,
    )


def test_nothing_is_due_while_nothing_waits():
    waiting = batcher()
    assert waiting.due_in_s(0.0) is None
    waiting.end(0)
    assert waiting.due_in_s(0.0) is None
    assert waiting.take() == []


def test_a_full_batch_is_due_at_once():
    waiting = batcher(batch_max=2)
    waiting.add(0, "a", 10.0)
    assert waiting.due_in_s(10.0) == 0.125
    waiting.add(0, "b", 10.01)
    assert waiting.due_in_s(10.01) == 0
    assert waiting.take() == [(0, "a"), (0, "b")]


def test_the_oldest_frame_sets_the_deadline():
    waiting = batcher()
    waiting.add(0, "a", 10.0)
    waiting.add(0, "b", 10.0625)
    assert waiting.due_in_s(10.0625) == 0.0625
    assert waiting.due_in_s(10.2) == 0
    assert waiting.take() == [(0, "a"), (0, "b")]


def test_the_last_batch_is_short_and_waits_for_nobody():
    waiting = batcher()
    waiting.add(0, "a", 10.0)
    waiting.end(0)
    assert waiting.due_in_s(10.0) == 0
    assert waiting.take() == [(0, "a")]


def test_live_sources_wait_only_until_each_has_given_one():
    waiting = batcher({0: True, 1: True})
    waiting.add(0, "a", 10.0)
    assert waiting.due_in_s(10.0) == 0.125
    waiting.add(1, "b", 10.01)
    assert waiting.due_in_s(10.01) == 0


def test_a_live_source_that_ended_is_not_waited_for():
    waiting = batcher({0: True, 1: True})
    waiting.end(1)
    waiting.add(0, "a", 10.0)
    assert waiting.due_in_s(10.0) == 0


def test_a_file_beside_a_live_source_is_waited_for_until_the_deadline():
    waiting = batcher({0: True, 1: False})
    waiting.add(0, "a", 10.0)
    waiting.add(1, "b", 10.0)
    assert waiting.due_in_s(10.0) == 0.125


def test_sources_take_turns_and_the_next_one_begins_the_next_batch():
    waiting = batcher({0: False, 1: False, 2: False}, batch_max=4)
    for number in range(4):
        for source_id in range(3):
            waiting.add(source_id, f"{source_id}{number}", 10.0)
    assert waiting.take() == [(0, "00"), (1, "10"), (2, "20"), (0, "01")]
    assert waiting.take() == [(1, "11"), (2, "21"), (0, "02"), (1, "12")]
    assert waiting.take() == [(2, "22"), (0, "03"), (1, "13"), (2, "23")]
    assert waiting.take() == []


def test_no_source_gets_more_than_its_cap():
    waiting = batcher({0: False, 1: False}, batch_max=4, per_source_max=2)
    for number in range(3):
        waiting.add(0, f"0{number}", 10.0)
    assert waiting.due_in_s(10.0) == 0.125  # two at most can be taken, so it is not full
    waiting.add(1, "10", 10.0)
    assert waiting.due_in_s(11.0) == 0
    assert waiting.take() == [(0, "00"), (1, "10"), (0, "01")]
    assert waiting.has_waiting(0)
    assert not waiting.has_waiting(1)


def test_every_frame_comes_out_once_and_in_its_sources_order():
    waiting = batcher({0: False, 1: True}, batch_max=3, per_source_max=2)
    for number in range(10):
        waiting.add(number % 2, f"{number}", float(number))
    out = []
    while batch := waiting.take():
        assert len(batch) <= 3
        out += batch
    assert [item for source, item in out if source == 0] == ["0", "2", "4", "6", "8"]
    assert [item for source, item in out if source == 1] == ["1", "3", "5", "7", "9"]
