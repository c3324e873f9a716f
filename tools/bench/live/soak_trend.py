"""What the live soak judges: how memory and descriptors of each stage went, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

GROWTH_MAX_BYTES = 2_000_000
"""Of a process over the whole run; see ``tools.bench.soak``."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What a process held at a quiet moment."""

    at_s: float
    """Since the run began."""
    life_s: float
    """Since the process was seen first."""
    pid: int
    own_bytes: int
    """See ``tools.bench.live.processes.own_bytes``."""
    descriptor_count: int


@dataclass(frozen=True, slots=True)
class StageTrend:
    """How a stage went over the run."""

    name: str
    kills: int
    restarts: int
    bytes_per_hour: float | None
    """While a process lived and after its warm-up; None where none lived long enough."""
    descriptors_first: int
    """In the middle of the first half."""
    descriptors_last: int
    """In the middle of the second half."""


@dataclass(frozen=True, slots=True)
class SoakFigures:
    """A soak's outcome."""

    length_s: float
    faults: dict[str, int]
    stages: tuple[StageTrend, ...]
    captured: int
    delivered: int
    dropped: dict[str, int]
    gap: int
    """Frames that nothing accounts for."""
    seen_bytes: int
    """Of pictures on the page."""

    def complaints(self, *, is_memory_judged: bool = True) -> list[str]:
        """Return what is not as it has to be, one line each."""
        found = []
        if self.gap:
            found.append(f"{self.gap} frames are unaccounted for")
        if not self.seen_bytes:
            found.append("nobody saw a picture on the page")
        for stage in self.stages:
            if stage.restarts != stage.kills:
                found.append(f"{stage.name}: {stage.kills} kills, {stage.restarts} restarts")
            if stage.descriptors_last > stage.descriptors_first:
                found.append(
                    f"{stage.name}: {stage.descriptors_first} descriptors, "
                    f"then {stage.descriptors_last}"
                )
            growth = (stage.bytes_per_hour or 0.0) * self.length_s / 3600
            if is_memory_judged and growth > GROWTH_MAX_BYTES:
                found.append(f"{stage.name}: grows by {stage.bytes_per_hour or 0:.0f} bytes/h")
        return found


def trend_of(
    name: str, samples: Sequence[Sample], kills: int, restarts: int, warm_up_s: float
) -> StageTrend:
    """Return how a stage went; ``samples`` are in order, of all its processes, at least one."""
    half = (len(samples) + 1) // 2
    first, last = samples[:half], samples[-half:]
    return StageTrend(
        name=name,
        kills=kills,
        restarts=restarts,
        bytes_per_hour=slope_within_lives([s for s in samples if s.life_s >= warm_up_s]),
        descriptors_first=_middle(first),
        descriptors_last=_middle(last),
    )


def slope_within_lives(samples: Sequence[Sample]) -> float | None:
    """Return by how many bytes an hour a process grows while it lives.

    One slope is fitted to all lives, each of which begins where it likes: the sums of least
    squares are taken about each life's own means. None where no life was seen twice.
    """
    lives: dict[int, list[Sample]] = {}
    for sample in samples:
        lives.setdefault(sample.pid, []).append(sample)
    products = squares = 0.0
    for life in lives.values():
        at_s = np.array([sample.at_s for sample in life])
        held = np.array([sample.own_bytes for sample in life], np.float64)
        products += float((at_s - at_s.mean()) @ (held - held.mean()))
        squares += float((at_s - at_s.mean()) @ (at_s - at_s.mean()))
    return 3600 * products / squares if squares else None


def _middle(samples: Sequence[Sample]) -> int:
    return int(np.median([sample.descriptor_count for sample in samples]))
