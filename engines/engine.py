"""An engine: a backend with a loaded graph, and the decoding of its family."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from engines.assemble import Selection, assemble
from engines.backends.base import Backend
from engines.instances import Instances
from engines.manifest import Manifest


class Engine:
    """Frames in, instances out.

    Args:
        backend: Owned: closing the engine closes it.
        manifest: Of the file that the backend has loaded.
    """

    def __init__(self, backend: Backend, manifest: Manifest) -> None:
        self._backend = backend
        self.manifest = manifest

    @property
    def backend(self) -> str:
        """Name of the runtime."""
        return self._backend.name

    @property
    def precision(self) -> str:
        """What the runtime computes in."""
        return self._backend.precision

    @property
    def preferred_batch(self) -> int:
        """Frames to give at once where nobody waits for them."""
        return self._backend.preferred_batch

    def detect(
        self,
        frames: NDArray[np.uint8],
        sizes_px: Sequence[tuple[int, int]],
        *,
        score_min: float = 0.3,
        top_k: int = 15,
        class_ids: frozenset[int] | None = None,
    ) -> list[Instances]:
        """Return the instances of each frame of a batch.

        Args:
            frames: (B, S, S, 3) uint8 RGB, each squashed to the input size.
            sizes_px: B pairs (width, height) of the frames before that.
            score_min: In [0, 1].
            top_k: Instances of a frame at most.
            class_ids: Only these classes; all if None.
        """
        outputs = self._backend.infer(frames)
        selection = Selection(score_min=score_min, top_k=top_k, class_ids=class_ids)
        return [
            assemble(outputs, index, width, height, selection)
            for index, (width, height) in enumerate(sizes_px)
        ]

    def close(self) -> None:
        """Give back the backend's resources; a second call does nothing."""
        self._backend.close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
