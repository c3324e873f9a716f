"""Timestamps that are missing, equal or backwards."""

from fractions import Fraction

import pytest

from maskstream.stream.sources.timeline import Timeline


def repaired(timestamps, *, start=0, step=Fraction(100)):
    timeline = Timeline(start=start, step=step)
    return [timeline.next(value) for value in timestamps], timeline


@pytest.mark.parametrize(
    ("timestamps", "expected"),
    [
        pytest.param([0, 100, 200], [0, 100, 200], id="good"),
        pytest.param([0, 40, 900], [0, 40, 900], id="variable-rate-is-kept"),
        pytest.param([None, None, None], [0, 100, 200], id="none-at-all"),
        pytest.param([0, None, 200], [0, 100, 200], id="one-missing"),
        pytest.param([0, 100, 100, 300], [0, 100, 150, 300], id="one-twice"),
        pytest.param([0, 300, 200, 400], [0, 300, 350, 400], id="one-backwards"),
        pytest.param([-20, 100], [0, 100], id="before-the-start"),
    ],
)
def test_pts_increase_whatever_comes(timestamps, expected):
    assert repaired(timestamps)[0] == expected


def test_the_start_is_subtracted():
    assert repaired([830, 930], start=800)[0] == [30, 130]


def test_frames_counted_on_do_not_drift_from_a_fractional_rate():
    step = Fraction(1001, 30)  # 30000/1001 frames a second in milliseconds
    pts, _ = repaired([None] * 3001, step=step)
    assert pts[3000] == 100_100


def test_a_coarse_time_base_still_increases():
    assert repaired([0, 0, 0, 1], step=Fraction(1, 2))[0] == [0, 1, 2, 3]


def test_what_was_repaired_is_counted_and_told():
    _, timeline = repaired([0, None, 50, 50, 500])
    assert (timeline.missing_count, timeline.disorder_count) == (1, 2)
    assert [text.split(" without")[0].split(" with ")[0] for text in timeline.warnings()] == [
        "1 frame",
        "2 frames",
    ]
    assert repaired([0, 100])[1].warnings() == ()


def test_the_end_is_one_step_after_the_last():
    assert repaired([0, 100])[1].end == 200
    assert repaired([])[1].end == 0
