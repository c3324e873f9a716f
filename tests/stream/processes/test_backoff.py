"""Waits between tries: doubling, bounded, spread."""

from maskstream.stream.processes.backoff import Backoff


def test_waits_double_up_to_the_longest_and_start_anew_after_health():
    backoff = Backoff(chance=lambda: 0.5)
    assert [backoff.next_s() for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    backoff.reset()
    assert backoff.next_s() == 0.5


def test_a_wait_is_spread_by_a_fifth_either_way():
    assert Backoff(chance=lambda: 0.0).next_s() == 0.4
    assert Backoff(chance=lambda: 1.0).next_s() == 0.6


def test_a_longest_wait_holds_for_one_call_only():
    backoff = Backoff(chance=lambda: 0.5)
    assert [backoff.next_s(1.0) for _ in range(4)] == [0.5, 1, 1, 1]
    assert backoff.next_s() == 8
