"""What the verdict of the live soak is made of."""

from dataclasses import replace

import pytest

from maskstream.tools.bench.live.soak_trend import (
    Sample,
    SoakFigures,
    StageTrend,
    slope_within_lives,
    trend_of,
)

QUIET = StageTrend("infer", 2, 2, 0.0, 18, 18)


def life(pid, begun_s, sizes_bytes, descriptors=10):
    """One sample a second of one process."""
    return [
        Sample(begun_s + place, float(place), pid, size, descriptors)
        for place, size in enumerate(sizes_bytes)
    ]


def soak(*stages, **others):
    figures = SoakFigures(
        length_s=1800.0,
        faults={},
        stages=stages,
        captured=9,
        delivered=8,
        dropped={"stale": 1},
        gap=0,
        seen_bytes=1,
    )
    return replace(figures, **others)


def test_memory_that_each_life_begins_with_is_no_growth():
    samples = life(1, 0.0, [100] * 10) + life(2, 10.0, [900] * 10)
    assert slope_within_lives(samples) == pytest.approx(0.0)


def test_lives_that_grow_alike_give_their_common_slope():
    # Both grow by 1000 bytes a second.
    samples = life(1, 0.0, range(0, 10_000, 1000)) + life(2, 50.0, range(500, 8500, 1000))
    assert slope_within_lives(samples) == pytest.approx(3_600_000)


def test_lives_that_were_seen_once_say_nothing():
    assert slope_within_lives(life(1, 0.0, [5]) + life(2, 9.0, [7])) is None


def test_a_trend_leaves_the_warm_up_of_every_life_out_and_compares_halves():
    samples = life(1, 0.0, [0, 50, 100, 100, 100], 10) + life(2, 5.0, [0, 50, 100, 100, 100], 12)
    trend = trend_of("sink[0]", samples, 1, 1, warm_up_s=2)
    assert trend.bytes_per_hour == pytest.approx(0.0)
    assert (trend.descriptors_first, trend.descriptors_last) == (10, 12)


def test_a_run_in_which_all_is_well_has_no_complaints():
    assert soak(QUIET).complaints() == []


@pytest.mark.parametrize(
    ("figures", "complaint"),
    [
        (soak(QUIET, gap=3), "3 frames are unaccounted for"),
        (soak(QUIET, seen_bytes=0), "nobody saw a picture on the page"),
        (soak(replace(QUIET, restarts=3)), "infer: 2 kills, 3 restarts"),
        (soak(replace(QUIET, descriptors_last=19)), "infer: 18 descriptors, then 19"),
        # Over half an hour more than 2 MB.
        (soak(replace(QUIET, bytes_per_hour=4.2e6)), "infer: grows by 4200000 bytes/h"),
    ],
    ids=["gap", "page", "restarts", "descriptors", "memory"],
)
def test_what_is_wrong_is_said(figures, complaint):
    assert figures.complaints() == [complaint]


def test_memory_is_not_judged_where_it_says_nothing():
    figures = soak(replace(QUIET, bytes_per_hour=9e9))
    assert figures.complaints(is_memory_judged=False) == []
