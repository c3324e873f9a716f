"""Learning rates over a run, as factors of the highest rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class RateSchedule(Protocol):
    """What the learning rates of a run follow."""

    def factor(self, iteration: int) -> float:
        """Return the factor of the highest rate for a 0-based iteration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSchedule:
    """YOLACT's: a linear warm-up, then a tenth at each step.

    Attributes:
        warmup_start: Factor of the first iteration.
        warmup: Iterations of the warm-up.
        steps: Iterations from which the rate is a tenth of what it was.

    Source:
        YOLACT, section 6, with the released code's 500 iterations from a tenth.
    """

    warmup_start: float = 0.1
    warmup: int = 500
    steps: tuple[int, ...] = (280_000, 600_000, 700_000, 750_000)

    def factor(self, iteration: int) -> float:
        """Return the factor for a 0-based iteration."""
        if iteration < self.warmup:
            return self.warmup_start + (1 - self.warmup_start) * iteration / self.warmup
        return float(0.1 ** sum(iteration >= step for step in self.steps))


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnInSchedule:
    """Darknet's: a warm-up that is slow at first, then a tenth at each step.

    Attributes:
        burn_in: Iterations of the warm-up.
        power: Of its curve.
        steps: Iterations from which the rate is a tenth of what it was.

    Source:
        Darknet's ``burn_in`` and ``steps``, with the values of yolov3.cfg.
    """

    burn_in: int = 1000
    power: int = 4
    steps: tuple[int, ...] = (400_000, 450_000)

    def factor(self, iteration: int) -> float:
        """Return the factor for a 0-based iteration."""
        if iteration < self.burn_in:
            return float(((iteration + 1) / self.burn_in) ** self.power)
        return float(0.1 ** sum(iteration >= step for step in self.steps))


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstantThenDecay:
    """A warm-up, a plateau, and a straight fall to zero over the last part.

    The plateau does not depend on the run's length, so a run may be made longer or shorter when it
    is resumed; a cosine fixes its length at the start.

    Attributes:
        iterations: Of the whole run.
        warmup: Iterations of the warm-up.
        decay_share: The part of the run over which the rate falls.

    Source:
        Haegele et al., "Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations",
        NeurIPS 2024.
    """

    iterations: int
    warmup: int = 100
    decay_share: float = 0.4

    def factor(self, iteration: int) -> float:
        """Return the factor for a 0-based iteration."""
        if iteration < self.warmup:
            return (iteration + 1) / (self.warmup + 1)
        remaining = (self.iterations - iteration) / max(self.decay_share * self.iterations, 1)
        return min(1.0, max(0.0, remaining))
