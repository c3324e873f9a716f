"""A run epoch by epoch as a picture: training, validation and test loss, and accuracy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from maskstream.train.loop.log import Progress

EPOCHS_PLOT_NAME = "epochs.png"
SETS = {"": ("validation", "C0"), "test ": ("test", "C1")}
"""What stands before "loss" and "hits" in the figures, which set it means, and its colour."""


def plot_epochs(steps: list[Progress], path: Path) -> bool:
    """Write a PNG; returns whether there was anything to draw.

    A point is a validation, and the training loss beside it the mean of the steps since the one
    before.
    """
    measured = [step for step in steps if step.metrics and "loss" in step.metrics]
    if not measured:
        return False
    figure = Figure(figsize=(9, 8), layout="constrained")
    losses, scores = figure.subplots(2, 1, sharex=True)
    ends = [step.iteration for step in measured]
    losses.plot(ends, _training_losses(steps, ends), marker="*", color="C2", label="training")
    for prefix, (title, color) in SETS.items():
        for axes, kind, name, factor in (
            (losses, f"{prefix}loss", "total", 1.0),
            (scores, f"{prefix}hits", "accuracy", 100.0),
        ):
            points = [
                (step.iteration, factor * step.metrics[kind][name])
                for step in measured
                if step.metrics and kind in step.metrics
            ]
            if points:
                axes.plot(*zip(*points, strict=True), marker="*", color=color, label=title)
    losses.set(ylabel="loss")
    scores.set(ylabel="accuracy, %", xlabel="iteration")
    scores.set_ylim(0, max(1.0, scores.get_ylim()[1]))
    scores.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in (losses, scores):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=110, format="png")
    return True


def _training_losses(steps: list[Progress], ends: list[int]) -> list[float]:
    means, first = [], 0
    for end in ends:
        part = [sum(step.losses.values()) for step in steps if first < step.iteration <= end]
        means.append(float(np.mean(part)))
        first = end
    return means
