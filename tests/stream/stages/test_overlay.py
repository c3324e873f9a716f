"""The rate that is drawn into the picture."""

from __future__ import annotations

import pytest

from maskstream.stream.stages.overlay import RateMeter


def test_there_is_no_rate_before_two_frames():
    assert RateMeter().tick(1.0) is None


@pytest.mark.parametrize("rate_hz", [0.5, 2, 25, 400])
def test_a_steady_rate_is_measured_as_it_is(rate_hz):
    meter = RateMeter()
    rates = [meter.tick(number / rate_hz) for number in range(int(rate_hz * 4) + 3)]
    assert rates[-1] == pytest.approx(rate_hz)


def test_only_the_last_second_counts():
    meter = RateMeter()
    for number in range(100):
        meter.tick(number / 100)
    for number in range(1, 12):
        rate = meter.tick(1 + number / 10)
    assert rate == pytest.approx(10, rel=0.1)


def test_frames_at_one_moment_have_no_rate():
    meter = RateMeter()
    meter.tick(5.0)
    assert meter.tick(5.0) is None
