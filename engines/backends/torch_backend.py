"""Run a network that is not exported yet, in PyTorch."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from engines.assemble import Outputs
from engines.errors import BackendError
from engines.yolact.detect import Detections, YolactDetector


class TorchBackend:
    """A detector in eager mode.

    Args:
        detector: Switched to evaluation; stays the caller's.
        device: Such as "cpu" or "cuda:0".
    """

    name = "torch"
    precision = "fp32"
    preferred_batch = 4

    def __init__(self, detector: YolactDetector, device: str = "cpu") -> None:
        self._detector: YolactDetector | None = detector.eval().to(device)
        self._device = device

    def infer(self, frames: NDArray[np.uint8]) -> Outputs:
        """See `engines.backends.base.Backend.infer`."""
        if self._detector is None:
            raise BackendError("torch backend: it is closed; open the engine again.")
        size = self._detector.network.config.input_size
        if frames.ndim != 4 or frames.shape[1:] != (size, size, 3):
            raise BackendError(
                f"torch backend: frames of shape {frames.shape}; (batch, {size}, {size}, 3) "
                "is needed."
            )
        with torch.inference_mode():
            detections = self._detector(torch.from_numpy(frames).to(self._device))
        return {
            name: output.cpu().numpy()
            for name, output in zip(Detections._fields, detections, strict=True)
        }

    def close(self) -> None:
        """See `engines.backends.base.Backend.close`."""
        self._detector = None
