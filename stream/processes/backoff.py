"""How long to wait before the next try."""

from __future__ import annotations

import random
from collections.abc import Callable

FIRST_S = 0.5
LONGEST_S = 30.0
_JITTER = 0.2


class Backoff:
    """Waits that double, spread at random so that many sources do not come back in step."""

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        """Start with the shortest wait.

        Args:
            chance: Gives numbers in [0, 1).
        """
        self._chance = chance
        self._nominal_s = FIRST_S

    def next_s(self, longest_s: float = LONGEST_S) -> float:
        """Returns the next wait: 0.5 s, 1 s, 2 s and so on, at most ``longest_s``, +- 20 %."""
        nominal_s = min(self._nominal_s, longest_s)
        self._nominal_s = min(self._nominal_s * 2, LONGEST_S)
        return nominal_s * (1 + _JITTER * (2 * self._chance() - 1))

    def reset(self) -> None:
        """Begin with the shortest wait again, after a time of health."""
        self._nominal_s = FIRST_S
