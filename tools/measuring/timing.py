"""Times of several ways of doing one thing, taken side by side in one run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import cv2
import numpy as np

_EVICT_BYTES = 16 * 1024 * 1024


def medians_ms(calls: Mapping[str, Callable[[], object]], *, repeats: int) -> dict[str, float]:
    """Return each call's median time in milliseconds.

    The calls take turns, so that what else the machine does meets all of them alike, and each finds
    its core's caches full of something else, as it does when a frame comes from another process.
    One turn before the first is not counted.
    """
    other = np.zeros(_EVICT_BYTES, np.uint8)
    taken_ms: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeats + 1):
        for name, call in calls.items():
            other += 1
            started_ns = time.perf_counter_ns()
            call()
            elapsed_ns = time.perf_counter_ns() - started_ns
            if turn:
                taken_ms[name].append(elapsed_ns / 1e6)
    return {name: statistics.median(values) for name, values in taken_ms.items()}


@contextmanager
def one_opencv_thread() -> Iterator[None]:
    """Keep OpenCV on the calling thread, so that a figure means one core."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
