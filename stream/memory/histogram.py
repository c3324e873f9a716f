"""Durations counted in log-spaced buckets: percentiles without keeping single values."""

from __future__ import annotations

import ctypes
import math

import numpy as np
from numpy.typing import NDArray

_FLOOR_LOG2_NS = 10
_STEPS_PER_OCTAVE = 16
_OCTAVES = 28
BUCKET_COUNT = _STEPS_PER_OCTAVE * _OCTAVES
"""Buckets of a histogram: 1.02 us to 275 s, each 4.4 % wider than the one before."""

_EVERY = _STEPS_PER_OCTAVE // 2
_BOUND_BUCKETS = range(5 * _STEPS_PER_OCTAVE, 26 * _STEPS_PER_OCTAVE + 1, _EVERY)
BOUNDS_S = tuple(
    float(f"{2 ** (_FLOOR_LOG2_NS + bucket / _STEPS_PER_OCTAVE) / 1e9:.4g}")
    for bucket in _BOUND_BUCKETS
)
"""Of a coarser histogram for others' eyes: 33 us to 69 s, two to a doubling."""
_MIDDLES_S = 2 ** (_FLOOR_LOG2_NS + (np.arange(BUCKET_COUNT) + 0.5) / _STEPS_PER_OCTAVE) / 1e9


class Histogram:
    """Durations counted in log-spaced buckets, in memory that others may read."""

    def __init__(self, buckets: ctypes.Array[ctypes.c_uint64]) -> None:
        """Count into ``buckets``, (BUCKET_COUNT,)."""
        self._buckets = buckets

    def record(self, duration_ns: int) -> None:
        """Count one duration; outside the range it goes into the first or last bucket."""
        self._buckets[bucket_of(duration_ns)] += 1

    def counts(self) -> NDArray[np.uint64]:
        """Returns (BUCKET_COUNT,), a copy."""
        return np.array(self._buckets, np.uint64)

    def percentiles_ns(self, *shares: float) -> list[float | None]:
        """Returns the durations that ``shares`` of what was counted do not exceed.

        Args:
            shares: Each in [0, 1].

        Returns:
            Within 4.4 % of the exact values; None where nothing was counted.
        """
        return percentiles_ns(self.counts(), *shares)


def bucket_of(duration_ns: int) -> int:
    """Returns the index of the bucket that counts ``duration_ns``."""
    if duration_ns <= 1 << _FLOOR_LOG2_NS:
        return 0
    step = int((math.log2(duration_ns) - _FLOOR_LOG2_NS) * _STEPS_PER_OCTAVE)
    return min(step, BUCKET_COUNT - 1)


def percentiles_ns(counts: NDArray[np.uint64], *shares: float) -> list[float | None]:
    """Returns the durations below which ``shares`` of the counted ones lie.

    Args:
        counts: (BUCKET_COUNT,), of one histogram or the sum of several.
        shares: Each in [0, 1].

    Returns:
        Inside a bucket the durations are taken to be spread evenly in the logarithm; None where
        nothing was counted.
    """
    total = int(counts.sum())
    if total == 0:
        return [None] * len(shares)
    ends = np.cumsum(counts)
    result: list[float | None] = []
    for share in shares:
        rank = share * (total - 1) + 0.5
        bucket = int(np.searchsorted(ends, rank, side="left"))
        before = int(ends[bucket - 1]) if bucket else 0
        inside = (rank - before) / int(counts[bucket])
        result.append(2 ** (_FLOOR_LOG2_NS + (bucket + inside) / _STEPS_PER_OCTAVE))
    return result


def at_most(counts: NDArray[np.uint64]) -> tuple[int, ...]:
    """Returns how many durations lie below each of ``BOUNDS_S``, then how many there are.

    Args:
        counts: (BUCKET_COUNT,), of one histogram.
    """
    ends = np.cumsum(counts)
    return (*(int(ends[bucket - 1]) for bucket in _BOUND_BUCKETS), int(ends[-1]))


def sum_s(counts: NDArray[np.uint64]) -> float:
    """Returns the sum of the durations, each taken for the middle of its bucket: within 2.2 %.

    Args:
        counts: (BUCKET_COUNT,), of one histogram.
    """
    return float(counts @ _MIDDLES_S)
