"""Timestamps of live sources, with a made-up clock."""

from fractions import Fraction
from itertools import pairwise

from maskstream.stream.sources.live_clock import LiveClock

MS = Fraction(1, 1000)
HZ = 90_000


def test_frames_keep_their_own_spacing_though_they_arrive_shaken():
    clock = LiveClock()
    arrivals_s = [100.0, 100.045, 100.081, 100.12]
    times = [clock.next(5000 + 40 * n, MS, at) for n, at in enumerate(arrivals_s)]
    assert times[0] == 0
    # 40 ms are 3600 units; our clock may pull by one part in 200.
    assert all(abs(later - earlier - 3600) <= 18 for earlier, later in pairwise(times))


def test_a_frame_without_a_timestamp_belongs_to_its_arrival():
    clock = LiveClock()
    assert [clock.next(None, MS, at) for at in (7.0, 7.5, 9.0)] == [0, HZ // 2, 2 * HZ]


def test_a_reconnection_leaves_a_gap_as_long_as_it_took():
    clock = LiveClock()
    clock.next(900_000, MS, 50.0)
    clock.reconnect()
    assert clock.next(3, MS, 55.0) == 5 * HZ
    assert abs(clock.next(43, MS, 55.04) - (5 * HZ + 3600)) <= 18


def test_times_increase_though_the_source_repeats_itself():
    clock = LiveClock()
    times = [clock.next(t, MS, 10 + n / 100) for n, t in enumerate([0, 40, 40, 20, 80])]
    assert all(later > earlier for earlier, later in pairwise(times))


def test_a_source_that_jumps_is_placed_by_its_arrival():
    clock = LiveClock()
    clock.next(0, MS, 10.0)
    assert clock.next(3_600_000, MS, 10.04) == round(0.04 * HZ)


def test_a_source_that_runs_fast_is_followed_without_a_jump():
    clock = LiveClock()
    # 1000 frames, each 40 ms by the source and 39.9 ms by ours.
    times = [clock.next(40 * n, MS, 39.9e-3 * n) for n in range(1000)]
    assert abs(times[-1] / HZ - 39.9e-3 * 999) < 0.01
    assert all(3560 <= later - earlier <= 3640 for earlier, later in pairwise(times))


def test_frames_that_come_in_bursts_keep_their_own_spacing_and_late_ones_move_what_follows():
    clock = LiveClock()
    clock.reconnect("bursts")
    # Five seconds at once, then five that come half a second after their time.
    early = [clock.next(1000 * n, MS, 10.0) for n in range(5)]
    late = [clock.next(5000 + 1000 * n, MS, 15.5) for n in range(5)]
    assert early == [n * HZ for n in range(5)]
    assert late == [round((5.5 + n) * HZ) for n in range(5)]
    assert clock.due_s(late[0]) == 15.5


def test_a_recordings_times_are_its_own_however_fast_it_is_read():
    clock = LiveClock()
    clock.reconnect("recording")
    assert [clock.next(40 * n, MS, 10.0 + n / 1e4) for n in range(200)] == [
        3600 * n for n in range(200)
    ]
