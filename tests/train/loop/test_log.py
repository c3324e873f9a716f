"""What a run writes down, and the picture that is drawn of it."""

import json
from dataclasses import replace

import cv2
import pytest
from matplotlib.axes import Axes

from maskstream.train.loop.log import LOG_NAME, TENSORBOARD_FOLDER, Progress, RunLog, read_log
from maskstream.train.loop.plot import plot_run


def _step(iteration, metrics=None):
    return Progress(
        iteration=iteration,
        iterations=400,
        losses={"box": 2 / iteration, "mask": 1.0},
        learning_rate=1e-3,
        elapsed_s=1.5 * iteration,
        metrics=metrics,
        skipped=1,
    )


SCORES = {"bbox": {"AP": 0.3, "AP50": 0.6}, "segm": {"AP": 0.2, "AP50": 0.5}}


def test_steps_are_read_as_they_were_written_and_the_later_of_two_counts(tmp_path):
    log = RunLog(tmp_path, writes_tensorboard=False, iteration=0)
    for step in (_step(1), _step(2), _step(3, SCORES)):
        log.write(step)
    log.write(_step(2, SCORES))  # as a run does that was resumed after the first
    log.close()
    assert read_log(tmp_path / LOG_NAME) == [_step(1), _step(2, SCORES), _step(3, SCORES)]
    assert not (tmp_path / TENSORBOARD_FOLDER).exists()


def test_logs_of_version_0_1_are_read(tmp_path):
    line = {
        "iteration": 1, "iterations": 2, "losses": {"box": 1.0}, "learning_rate": 0.1,
        "elapsed_s": 1.0, "metrics": None,
    }  # fmt: skip
    (tmp_path / LOG_NAME).write_text(json.dumps(line) + "\n")
    assert read_log(tmp_path / LOG_NAME)[0].skipped == 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of TensorBoard's own parts
def test_tensorboard_gets_losses_and_scores(tmp_path):
    from tensorboard.backend.event_processing import (  # type: ignore[import-untyped]
        event_accumulator,
    )

    log = RunLog(tmp_path, writes_tensorboard=True, iteration=0)
    log.write(_step(1))
    log.write(_step(2, SCORES))
    log.close()
    events = event_accumulator.EventAccumulator(str(tmp_path / TENSORBOARD_FOLDER))
    events.Reload()
    assert {"loss/box", "learning_rate", "segm/AP"} <= set(events.Tags()["scalars"])
    assert [event.value for event in events.Scalars("loss/box")] == [2.0, 1.0]


def test_a_loss_that_came_with_a_resumption_is_drawn_and_one_of_zeros_is_not(tmp_path, monkeypatch):
    drawn = []
    legend = Axes.legend

    def noted(axes):
        drawn.extend(axes.get_legend_handles_labels()[1])
        return legend(axes)

    monkeypatch.setattr(Axes, "legend", noted)
    late = [replace(_step(i), losses={"box": 1.0, "mask": 0.0, "context": 0.5}) for i in (3, 4)]
    early = [replace(_step(i), losses={"box": 1.0, "mask": 0.0}) for i in (1, 2)]
    plot_run([*early, *late], tmp_path / "curves.png")
    assert drawn == ["box", "context"]


def test_what_could_not_be_counted_is_not_drawn_as_a_score(tmp_path, monkeypatch):
    drawn = []
    plot = Axes.plot

    def noted(axes, *values, **style):
        drawn.append(style["label"])
        return plot(axes, *values, **style)

    monkeypatch.setattr(Axes, "plot", noted)
    scores = {"bbox": {"AP": 0.5, "AP50": -1.0}, "segm": {"AP": -1.0, "AP50": -1.0}}
    plot_run([_step(1, scores)], tmp_path / "curves.png")
    assert [label for label in drawn if "AP" in label] == ["box AP"]


@pytest.mark.parametrize("metrics", [None, SCORES])
def test_curves_are_drawn_of_long_and_short_runs(tmp_path, metrics):
    for count in (1, 350):
        path = tmp_path / f"{count}.png"
        plot_run([_step(i, metrics if i % 50 == 0 else None) for i in range(1, count + 1)], path)
        picture = cv2.imread(str(path))
        assert picture is not None
        assert picture.shape[1] > 800
