"""The search, on an AP that is a formula of the options."""

import math

import optuna
import pytest

from maskstream.train.errors import DivergedError, TrainError
from maskstream.train.loop.log import Progress
from maskstream.train.loop.recipes import get_recipe
from maskstream.train.options import TrainOptions
from maskstream.train.tuning import (
    SPACE,
    STUDY_FILE,
    STUDY_NAME,
    TrialEnd,
    run_study,
    space_of,
    with_values,
)

BASE = TrainOptions(iterations=3, learning_rate=3e-4, seed=1)
NAMES = ("learning_rate", "copy_paste_probability")
FIGURE = ("segm", "AP")


def _ap(options):
    """Best at a rate of 2e-3 and copy-paste of 0.5."""
    rate = math.log10(options.learning_rate) - math.log10(2e-3)
    return 1 - rate**2 - (options.augment.copy_paste_probability - 0.5) ** 2


class Runs:
    """Takes the place of training; remembers what it was asked for."""

    def __init__(self, end=lambda number: None):
        self.asked: list[TrainOptions] = []
        self.folders: list[str] = []
        self.steps = 0
        self._end = end

    def __call__(self, options, folder, watch):
        self.asked.append(options)
        self.folders.append(folder.name)
        self._end(len(self.asked))
        for iteration in range(1, 4):
            self.steps += 1
            metrics = {"segm": {"AP": _ap(options) * iteration / 3}}
            watch(Progress(iteration, 3, {}, 0.0, 0.0, metrics))
        return metrics


def test_the_first_trial_has_the_given_values_and_others_find_better_ones(tmp_path):
    runs, ended = Runs(), list[TrialEnd]()
    best = run_study(
        tmp_path, runs, BASE, trial_count=15, names=NAMES, figure=FIGURE, watch=ended.append
    )
    assert _ap(runs.asked[0]) == pytest.approx(_ap(BASE))
    assert best.value is not None
    assert best.value > _ap(BASE)
    assert set(best.values) == set(NAMES)
    assert best.value == pytest.approx(_ap(with_values(BASE, best.values)))
    assert runs.folders[:2] == ["trial-000", "trial-001"]
    assert len(ended) == len(runs.asked) == 15


def test_trials_that_are_behind_end_early(tmp_path):
    runs, ended = Runs(), list[TrialEnd]()
    run_study(tmp_path, runs, BASE, trial_count=15, names=NAMES, figure=FIGURE, watch=ended.append)
    pruned = [trial for trial in ended if trial.state == "PRUNED"]
    assert pruned
    assert runs.steps < 3 * 15


def test_an_interrupted_study_goes_on_where_it_was(tmp_path):
    def interrupt(number):
        if number == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_study(tmp_path, Runs(interrupt), BASE, trial_count=6, names=NAMES, figure=FIGURE)
    rest = Runs()
    run_study(tmp_path, rest, BASE, trial_count=6, names=NAMES, figure=FIGURE)
    # Three were done and one was lost: it counts, and its folder is not used again.
    assert rest.folders == ["trial-004", "trial-005"]
    path = f"sqlite:///{tmp_path / STUDY_FILE}"
    study = optuna.load_study(study_name=STUDY_NAME, storage=path)
    assert [trial.state.name for trial in study.trials].count("FAIL") == 1
    again = Runs()
    run_study(tmp_path, again, BASE, trial_count=6, names=NAMES, figure=FIGURE)
    assert again.asked == []


def test_a_trial_that_diverges_does_not_end_the_study(tmp_path):
    def diverge(number):
        if number == 2:
            raise DivergedError("too fast")

    ended: list[TrialEnd] = []
    run_study(
        tmp_path, Runs(diverge), BASE, trial_count=4, names=NAMES, figure=FIGURE, watch=ended.append
    )
    assert [trial.state for trial in ended].count("FAIL") == 1
    assert len(ended) == 4


def test_a_study_without_a_finished_trial_says_so(tmp_path):
    def diverge(_):
        raise DivergedError("too fast")

    with pytest.raises(TrainError, match="none of its trials"):
        run_study(tmp_path, Runs(diverge), BASE, trial_count=2, names=NAMES, figure=FIGURE)


def test_a_file_that_is_no_study_is_refused(tmp_path):
    (tmp_path / STUDY_FILE).write_text("nothing of the kind")
    with pytest.raises(TrainError, match=STUDY_FILE):
        run_study(tmp_path, Runs(), BASE, trial_count=2, names=NAMES, figure=FIGURE)


def test_values_go_to_their_own_options():
    changed = with_values(BASE, dict.fromkeys(SPACE, 0.25))
    assert changed.learning_rate == changed.dice_weight == 0.25
    assert changed.augment.mosaic_probability == changed.augment.expand_probability == 0.25
    assert changed.iterations == BASE.iterations


@pytest.mark.parametrize(
    ("family", "own"),
    [
        (
            "yolact",
            {"dice_weight", "expand_probability", "mosaic_probability", "copy_paste_probability"},
        ),
        (
            "yolov3",
            {
                "anchor_iou_min",
                "expand_probability",
                "mosaic_probability",
                "copy_paste_probability",
            },
        ),
        ("fcn", set()),
        ("mask-rcnn", {"vertical_mirror_probability"}),
    ],
)
def test_each_family_is_searched_by_what_it_heeds(family, own):
    common = {"learning_rate", "backbone_rate", "weight_decay"}
    assert set(space_of(get_recipe(family))) == common | own
