"""Search for the options of training that score best on a validation, with Optuna."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from maskstream.train.errors import DivergedError, TrainError
from maskstream.train.evaluation.coco_ap import Metrics
from maskstream.train.loop.log import Progress
from maskstream.train.loop.recipe import Recipe
from maskstream.train.options import FAMILY_OPTIONS, TrainOptions

STUDY_NAME = "maskstream"
STUDY_FILE = "study.db"
UNPRUNED_TRIALS = 4
"""Trials that run to their end, whatever they score, so that there is a median to compare with."""

TrainOnce = Callable[[TrainOptions, Path, Callable[[Progress], None]], Metrics | None]
"""Trains with options in a folder, showing each step, and returns the last validation."""


@dataclass(frozen=True, slots=True)
class Range:
    """What an option may be; large spans are searched by their logarithm."""

    low: float
    high: float
    is_log: bool = False

    def clip(self, value: float) -> float:
        """Return the nearest value in the range."""
        return min(max(value, self.low), self.high)


SPACE: dict[str, Range] = {
    "learning_rate": Range(2e-4, 5e-3, is_log=True),
    "backbone_rate": Range(0.1, 1.0, is_log=True),
    "weight_decay": Range(1e-4, 0.1, is_log=True),
    "dice_weight": Range(0.0, 4.0),
    "expand_probability": Range(0.0, 0.6),
    "mosaic_probability": Range(0.0, 0.6),
    "copy_paste_probability": Range(0.0, 0.6),
    "anchor_iou_min": Range(0.3, 1.0),
    "vertical_mirror_probability": Range(0.0, 0.5),
}
"""What can be searched, by the field of `TrainOptions` or of its `augment`."""


def space_of(recipe: type[Recipe[Any, Any, Any]]) -> tuple[str, ...]:
    """Return the keys of `SPACE` that a family heeds."""
    unheeded = FAMILY_OPTIONS - recipe.own_options
    return tuple(name for name in SPACE if name not in unheeded)


@dataclass(frozen=True, slots=True)
class TrialEnd:
    """A trial that is over, for whoever watches.

    Attributes:
        state: Such as COMPLETE, PRUNED or FAIL.
        value: Its score; None where it has none.
    """

    number: int
    state: str
    value: float | None
    values: dict[str, float]


def run_study(
    folder: Path,
    train_once: TrainOnce,
    base: TrainOptions,
    *,
    trial_count: int,
    names: tuple[str, ...],
    figure: tuple[str, str],
    watch: Callable[[TrialEnd], None] = lambda _: None,
) -> TrialEnd:
    """Search until a study has its trials; one that was interrupted goes on where it was.

    Args:
        folder: Gets ``study.db`` and a folder for each trial; created.
        base: Everything that is not searched, and the first trial's values of what is.
        trial_count: Of the whole study.
        names: Keys of `SPACE`.
        figure: Kind and name of the validation's figure that is to be high.
        watch: Called after each trial.

    Returns:
        The best trial.

    Raises:
        TrainError: The study cannot be used, or no trial came to its end.
    """
    study = _open(folder, base)
    defaults = _values(base, names)
    if not study.trials:
        study.enqueue_trial({name: SPACE[name].clip(defaults[name]) for name in names})

    def objective(trial: Trial) -> float:
        chosen = {
            name: trial.suggest_float(
                name, SPACE[name].low, SPACE[name].high, log=SPACE[name].is_log
            )
            for name in names
        }
        metrics = train_once(
            with_values(base, chosen),
            folder / f"trial-{trial.number:03d}",
            lambda step: _prune_or_go_on(trial, step, figure),
        )
        if metrics is None:
            raise TrainError("trial: it was never validated; a validation set is needed.")
        return _score(metrics, figure)

    left = trial_count - sum(t.state.is_finished() for t in study.trials)
    if left > 0:
        study.optimize(
            objective,
            n_trials=left,
            catch=(DivergedError,),
            callbacks=[lambda _, trial: watch(_end(trial))],
        )
    if not any(trial.state == TrialState.COMPLETE for trial in study.trials):
        raise TrainError(f"{folder}: none of its trials came to an end; raise --trials.")
    return _end(study.best_trial)


def with_values(base: TrainOptions, values: dict[str, float]) -> TrainOptions:
    """Return options with some of them changed, those of the augmentation among them."""
    own: dict[str, Any] = {
        name: value for name, value in values.items() if name in TrainOptions.__slots__
    }
    pictures: dict[str, Any] = {n: v for n, v in values.items() if n not in own}
    return replace(base, **own, augment=replace(base.augment, **pictures))


def _values(options: TrainOptions, names: tuple[str, ...]) -> dict[str, float]:
    return {
        name: float(getattr(options if hasattr(options, name) else options.augment, name))
        for name in names
    }


def _open(folder: Path, base: TrainOptions) -> optuna.Study:
    folder.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = folder / STUDY_FILE
    try:
        study = optuna.create_study(
            storage=f"sqlite:///{path.resolve()}",
            study_name=STUDY_NAME,
            direction="maximize",
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED_TRIALS),
        )
    except Exception as exc:  # SQLAlchemy's, of many unrelated types
        reason = str(exc).splitlines()[0]
        raise TrainError(f"{path}: cannot be used as a study ({reason}).") from exc
    # Begun anew with each trial that there is, or a resumed study would draw the first ones again.
    study.sampler = optuna.samplers.TPESampler(seed=base.seed + len(study.trials))
    for trial in study.trials:
        if trial.state == TrialState.RUNNING:  # its process is gone
            study.tell(trial.number, state=TrialState.FAIL)
    return study


def _score(metrics: Metrics, figure: tuple[str, str]) -> float:
    kind, name = figure
    return metrics[kind][name]


def _prune_or_go_on(trial: Trial, step: Progress, figure: tuple[str, str]) -> None:
    if step.metrics is None:
        return
    trial.report(_score(step.metrics, figure), step.iteration)
    if step.iteration < step.iterations and trial.should_prune():
        raise optuna.TrialPruned


def _end(trial: FrozenTrial) -> TrialEnd:
    return TrialEnd(trial.number, trial.state.name, trial.value, dict(trial.params))
