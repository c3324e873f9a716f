"""What every runtime offers; one contract test runs them all."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engines.assemble import Outputs


class Backend(Protocol):
    """A runtime that holds one loaded graph.

    Attributes:
        name: Such as "openvino".
        precision: What it computes in, such as "bf16".
        preferred_batch: Frames that it likes to get at once where nobody waits for them.
    """

    name: str
    precision: str
    preferred_batch: int

    def infer(self, frames: NDArray[np.uint8]) -> Outputs:
        """Run the graph on a batch, and wait for it.

        Args:
            frames: (B, S, S, 3) RGB, B from 1; not changed, and not kept.

        Returns:
            The outputs by name, B first; the caller owns them until the next call.

        Raises:
            BackendError: The backend is closed, or the batch has another shape.
        """
        ...

    def close(self) -> None:
        """Give back everything; a second call does nothing."""
        ...
