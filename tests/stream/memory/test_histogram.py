"""The coarser histogram that others see of the stages' own."""

import ctypes
import itertools

import pytest

from maskstream.stream.memory.histogram import BOUNDS_S, BUCKET_COUNT, Histogram, at_most, sum_s

MS = 1_000_000


@pytest.fixture
def histogram():
    return Histogram((ctypes.c_uint64 * BUCKET_COUNT)())


def test_bounds_go_up_two_to_a_doubling():
    assert len(BOUNDS_S) == 43
    assert BOUNDS_S[0] == pytest.approx(2**15 / 1e9, rel=1e-3)
    assert BOUNDS_S[-1] == pytest.approx(2**36 / 1e9, rel=1e-3)
    ratios = [above / below for below, above in itertools.pairwise(BOUNDS_S)]
    assert ratios == pytest.approx([2**0.5] * 42, rel=1e-3)


def test_each_bound_counts_what_took_no_longer(histogram):
    taken_ms = [0.001, 1, 1, 7, 30, 250, 200_000]
    for value in taken_ms:
        histogram.record(int(value * MS))
    counts = at_most(histogram.counts())
    expected = [sum(value <= bound_s * 1e3 for value in taken_ms) for bound_s in BOUNDS_S]
    assert counts == (*expected, len(taken_ms))


def test_the_sum_is_within_the_width_of_a_bucket(histogram):
    taken_ms = [0.5 * 1.37**step for step in range(20)]
    for value in taken_ms:
        histogram.record(int(value * MS))
    assert sum_s(histogram.counts()) == pytest.approx(sum(taken_ms) / 1e3, rel=0.022)


def test_nothing_recorded_sums_to_nothing(histogram):
    assert at_most(histogram.counts()) == (0,) * 44
    assert sum_s(histogram.counts()) == 0
