"""A run's losses and validations as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from maskstream.train.evaluation.coco_ap import KIND_TITLES, MAIN_METRICS
from maskstream.train.loop.log import Progress

POINTS_MAX = 200
"""Steps are averaged to this many points: single batches differ too much to be read."""


def plot_run(steps: list[Progress], path: Path) -> None:
    """Write a PNG: the losses above, the figures of its validations below.

    Args:
        steps: At least one.
    """
    figure = Figure(figsize=(9, 8), layout="constrained")
    losses, scores = figure.subplots(2, 1, sharex=True)
    iterations = np.array([step.iteration for step in steps], float)
    # A run may have been resumed with a loss more; one that was never used is not drawn.
    used = {name: None for step in steps for name, value in step.losses.items() if value}
    for name in used:
        values = np.array([step.losses.get(name, np.nan) for step in steps], float)
        losses.plot(_averaged(iterations), _averaged(values), label=name)
    losses.set(ylabel="loss, with its weight", yscale="log")
    losses.legend()
    losses.grid(alpha=0.3)
    measured = [(step.iteration, step.metrics) for step in steps if step.metrics]
    kinds = {kind: None for _, metrics in measured for kind in metrics}
    for color, kind in enumerate(kinds):
        for name, style in zip(MAIN_METRICS, ("-", "--", "-", "--"), strict=True):
            # -1 is pycocotools' word for: there was nothing to count.
            points = [
                (i, 100 * m[kind][name]) for i, m in measured if m.get(kind, {}).get(name, -1) >= 0
            ]
            if points:
                label = f"{KIND_TITLES.get(kind, kind)} {name}"
                scores.plot(
                    *zip(*points, strict=True), style, marker="o", color=f"C{color}", label=label
                )
    scores.set(ylabel="on the validation set, %", xlabel="iteration")
    scores.set_ylim(0, max(1.0, scores.get_ylim()[1]))
    scores.xaxis.set_major_locator(MaxNLocator(integer=True))
    scores.grid(alpha=0.3)
    if scores.get_lines():
        scores.legend()
    else:
        scores.text(0.5, 0.5, "no validation", transform=scores.transAxes, ha="center")
    figure.savefig(path, dpi=110, format="png")


def plot_ious(ious: NDArray[np.float64], path: Path) -> None:
    """Write a PNG: how many objects are found with which IoU.

    Args:
        ious: (N,), fractions of 1.
    """
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.hist(100 * ious, bins=20, range=(0, 100))
    axes.axvline(100 * float(ious.mean()), color="C1", label=f"mean {100 * ious.mean():.1f}")
    axes.set(xlabel="IoU of a crop's object, %", ylabel="crops")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110, format="png")


def _averaged(values: NDArray[np.float64]) -> NDArray[np.float64]:
    parts = np.array_split(values, min(POINTS_MAX, len(values)))
    return np.array([part.mean() for part in parts])
