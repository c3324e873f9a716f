"""Find a learning rate: a short run in which it rises, and where the loss falls no further.

Source: Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017, section 3.3 (the
range test); a tenth of the rate with the least loss is fastai's rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import nn

from maskstream.train.errors import TrainError
from maskstream.train.loop.ema import WeightAverage
from maskstream.train.loop.group import Group
from maskstream.train.loop.recipe import Recipe, first_batches
from maskstream.train.loop.step import Stepper, total_of
from maskstream.train.samples.coco import LabelledImage

LOWEST, HIGHEST = 1e-6, 1e-1
SMOOTHING = 0.8
"""Share of the past in the smoothed loss: single batches differ too much."""
LOSS_RISE_MAX = 3.0
"""The run ends where the smoothed loss is so many times its least."""
SHARE_OF_BEST = 0.1
TURNED_RISE_MIN = 1.1
STEPS = 100


@dataclass(frozen=True, slots=True)
class RateSearch:
    """What a search saw.

    Attributes:
        rates: Of each step, rising.
        losses: Smoothed, one a step.
    """

    rates: NDArray[np.float64]
    losses: NDArray[np.float64]

    @property
    def best(self) -> float:
        """The rate at which the loss was least."""
        return float(self.rates[int(self.losses.argmin())])

    @property
    def suggestion(self) -> float:
        """A tenth of that, to two digits."""
        return float(f"{SHARE_OF_BEST * self.best:.1e}")

    @property
    def has_turned(self) -> bool:
        """Whether the loss has risen again, so that higher rates are known to be worse."""
        return bool(self.losses[-1] > TURNED_RISE_MIN * self.losses.min())


@dataclass(frozen=True, slots=True)
class _Rising:
    """A schedule that goes through rates, where the highest of the options is 1."""

    rates: NDArray[np.float64]

    def factor(self, iteration: int) -> float:
        return float(self.rates[iteration])


def find_learning_rate(
    recipe: Recipe[Any, Any, Any],
    network: nn.Module,
    images: Sequence[LabelledImage],
    *,
    group: Group | None = None,
    steps: int = STEPS,
    watch: Callable[[int, float, float], None] = lambda step, rate, loss: None,
) -> RateSearch:
    """Train with a rising rate until the loss grows; the network is of no use afterwards.

    The steps are those of a run: what is frozen stays so, and the body learns at its share.

    Args:
        network: With the values that the real run will begin with, on the group's device.
        group: The processes that share each batch; this one alone if None.
        steps: At most.
        watch: Is told each step's number, rate and loss.

    Raises:
        TrainError: The loss was never finite.
    """
    group = Group(device=recipe.options.device) if group is None else group
    rates = LOWEST * (HIGHEST / LOWEST) ** (np.arange(steps) / max(1, steps - 1))
    plain = replace(recipe.options, learning_rate=1.0)
    recipe = type(recipe)(recipe.config, recipe.class_names, plain)
    stepper = Stepper(recipe, network, WeightAverage(network, 0.0), group, _Rising(rates))
    losses: list[float] = []
    smoothed = 0.0
    for step, (frames, targets) in enumerate(first_batches(recipe, images, steps, group)):
        loss = float(total_of(stepper.step(frames, targets, step)))
        smoothed = SMOOTHING * smoothed + (1 - SMOOTHING) * loss
        # Without the correction the first losses would look small.
        corrected = smoothed / (1 - SMOOTHING ** (step + 1))
        if not np.isfinite(corrected) or (losses and corrected > LOSS_RISE_MAX * min(losses)):
            break
        losses.append(corrected)
        watch(step + 1, float(rates[step]), corrected)
    if not losses:
        raise TrainError(f"learning rate: the loss is not finite even at {LOWEST}; check the data.")
    return RateSearch(rates[: len(losses)], np.array(losses))


def plot_rates(search: RateSearch, path: Path) -> None:
    """Write a PNG with the loss over the rate."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot(search.rates, search.losses)
    suggestion = search.suggestion
    axes.axvline(suggestion, color="C1", linestyle="--", label=f"suggested: {suggestion:g}")
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss, smoothed")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110, format="png")
