"""A shipped engine that takes longer: for measurements of a line that is asked for too much."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskstream.engines import open_engine
from maskstream.engines.engine import Engine
from maskstream.engines.interface.instances import Instances

OPENER = f"{__name__}:open_slowed"
"""To be put in the place of the engine's own opener."""


def slowed(engine: str, work_s: float) -> str:
    """Return the name of ``engine``, slowed to ``work_s`` a batch, as ``open_slowed`` takes it."""
    return f"{engine}?work_s={work_s:.6f}"


def open_slowed(name: str, *, threads: int, **_others: object) -> SlowedEngine:
    """Load the engine that ``name``, of ``slowed``, names."""
    engine, _, work_s = name.partition("?work_s=")
    return SlowedEngine(open_engine(engine, threads=threads, batch=1), float(work_s))


class SlowedEngine:
    """Finds what its engine finds, later."""

    def __init__(self, engine: Engine, work_s: float) -> None:
        """Make each batch take ``work_s``, or as long as it takes where that is longer."""
        self._engine = engine
        self._work_s = work_s
        self.manifest = engine.manifest
        self.backend = engine.backend
        self.device = engine.device
        self.precision = engine.precision
        self.reason = engine.reason
        self.preferred_batch = engine.preferred_batch

    @property
    def left_out_count(self) -> int:
        """See ``Engine.left_out_count``."""
        return self._engine.left_out_count

    def detect(
        self, frames: NDArray[np.uint8], sizes_px: Sequence[tuple[int, int]], **wanted: Any
    ) -> list[Instances]:
        """Return each frame's instances once the time is up. See ``Engine.detect``."""
        due_s = time.monotonic() + self._work_s
        found = self._engine.detect(frames, sizes_px, **wanted)
        time.sleep(max(0.0, due_s - time.monotonic()))
        return found

    def close(self) -> None:
        """Release the engine."""
        self._engine.close()
