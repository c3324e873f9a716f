"""Run a network that is not exported yet, in PyTorch, eagerly or compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from maskstream.engines.errors import UnavailableError
from maskstream.engines.interface.backend import (
    EVERYTHING,
    Outputs,
    Wanted,
    check_frames,
    closed_error,
    in_parts,
)

_PREFERRED_BATCH = 4


class TorchBackend:
    """A detector, in float32.

    Args:
        detector: From (B, S, S, 3) uint8 frames to a named tuple of outputs, such as
            `engines.networks.yolact.detect.YolactDetector`. Switched to evaluation and moved to
            the device; stays the caller's.
        input_size: S, in pixels.
        device: Such as "cpu", "cuda" or "cuda:1".
        is_compiled: Whether `torch.compile` makes the detector quicker first, which takes up to
            minutes when the first batch comes and, on the processor, a C++ compiler.

    Raises:
        UnavailableError: The device is not here.
    """

    precision = "fp32"
    preferred_batch = _PREFERRED_BATCH

    def __init__(
        self,
        detector: nn.Module,
        input_size: int,
        device: str = "cpu",
        *,
        is_compiled: bool = False,
    ) -> None:
        self.name = "torch:compile" if is_compiled else "torch"
        self.device = str(torch_device(device))
        self._input_size = input_size
        detector = detector.eval().to(self.device)
        # One graph for batches of all sizes: short batches must not wait for a compiler.
        self._run: Any = torch.compile(detector, dynamic=True) if is_compiled else detector

    def infer(self, frames: NDArray[np.uint8], wanted: Wanted = EVERYTHING) -> Outputs:
        """See `engines.interface.backend.Backend.infer`."""
        if self._run is None:
            raise closed_error(self.name)
        check_frames(frames, self._input_size, backend=self.name)
        return in_parts(self._part, frames, self.preferred_batch)

    def _part(self, frames: NDArray[np.uint8]) -> Outputs:
        assert self._run is not None  # checked by the caller
        with torch.inference_mode():
            outputs = self._run(torch.from_numpy(frames).to(self.device))
        return {name: output.cpu().numpy() for name, output in outputs._asdict().items()}

    def close(self) -> None:
        """See `engines.interface.backend.Backend.close`."""
        self._run = None


def torch_device(name: str) -> torch.device:
    """Return a device of PyTorch that is here; "cuda" is the first GPU.

    Raises:
        UnavailableError: There is no such device here.
    """
    try:
        device = torch.device(name)
    except RuntimeError as exc:
        raise UnavailableError(f"PyTorch knows no device {name!r}; cpu or cuda:0") from exc
    if device.type != "cuda":
        return device
    if not torch.cuda.is_available():
        raise UnavailableError("PyTorch finds no CUDA device")
    index, count = device.index or 0, torch.cuda.device_count()
    if index >= count:
        raise UnavailableError(f"PyTorch finds {count} CUDA device(s), the last is {count - 1}")
    return torch.device("cuda", index)
