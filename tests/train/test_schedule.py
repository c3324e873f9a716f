"""Learning rates at the iterations where they change."""

import pytest

from maskstream.train.schedule import ConstantThenDecay, StepSchedule


@pytest.mark.parametrize(
    ("iteration", "rate"),
    [
        (0, 1e-4),
        (250, 5.5e-4),
        (500, 1e-3),
        (279_999, 1e-3),
        (280_000, 1e-4),
        (600_000, 1e-5),
        (700_000, 1e-6),
        (750_000, 1e-7),
    ],
)
def test_step_schedule_gives_the_published_rates(iteration, rate):
    assert 1e-3 * StepSchedule().factor(iteration) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("iteration", "factor"),
    [(0, 0.1), (8, 0.9), (9, 1.0), (59, 1.0), (60, 1.0), (80, 0.5), (99, 0.025), (100, 0.0)],
)
def test_constant_then_decay_falls_in_a_straight_line(iteration, factor):
    schedule = ConstantThenDecay(iterations=100, warmup=9, decay_share=0.4)
    assert schedule.factor(iteration) == pytest.approx(factor)
