"""Options of training: what they do to each other."""

import pytest

from maskstream.train.errors import TrainError
from maskstream.train.options import TrainOptions, autoscaled, make_schedule


def test_autoscale_is_yolacts_rule():
    # Batch 5 as in YOLACT's README: rate 1e-3 * 5 / 8; 800,000 / (5 / 8) iterations.
    options = autoscaled(TrainOptions(iterations=800_000, batch=5))
    assert options.learning_rate == pytest.approx(6.25e-4)
    assert options.iterations == 1_280_000
    assert options.lr_steps == (448_000, 960_000, 1_120_000, 1_200_000)


def test_the_batch_of_the_paper_is_left_as_it_is():
    options = TrainOptions(iterations=800_000, batch=8)
    assert autoscaled(options) == options


def test_steps_of_the_schedule_can_be_moved():
    schedule = make_schedule(TrainOptions(iterations=10, lr_steps=(600, 700)))
    assert [schedule.factor(i) for i in (599, 600, 700)] == pytest.approx([1, 0.1, 0.01])


def test_a_batch_that_cannot_be_taken_in_equal_parts_is_refused():
    with pytest.raises(TrainError, match="--batch: 16 cannot be taken in 3 equal parts"):
        TrainOptions(iterations=1, batch=16, accumulate=3)
