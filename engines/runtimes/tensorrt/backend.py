"""Run an engine on an NVIDIA GPU, with TensorRT or TensorRT for RTX."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskstream.engines.errors import BackendError
from maskstream.engines.interface.backend import (
    EVERYTHING,
    BackendOptions,
    Outputs,
    Wanted,
    check_frames,
    closed_error,
    to_planes,
)
from maskstream.engines.interface.fit import FitKind
from maskstream.engines.interface.planar_frame import DeviceFrame, PlanarFrame
from maskstream.engines.runtimes.tensorrt.device import Device, DeviceMemoryError
from maskstream.engines.runtimes.tensorrt.frame_memory import FrameMemory
from maskstream.engines.runtimes.tensorrt.kernel import CROP_KERNEL_NAME, KERNEL_NAME, kernel_source
from maskstream.engines.runtimes.tensorrt.lane import Lane, lane_bytes
from maskstream.engines.runtimes.tensorrt.loaded_plan import Network

LANE_COUNT = 2
_PAGE_BYTES = 4096


class TensorRtBackend:
    """One network on one GPU, fed through two lanes.

    Args:
        network: Owned.
        device: Owned.
        name: Of the flavor.
        precision: What the network was built in.
        options: How large its input is and how it is laid out, and what comes at once.
        fit: How frames are fitted into the input when their planes are given.

    Raises:
        BackendError: Batches of that size do not fit into the GPU's memory.
    """

    def __init__(
        self,
        network: Network,
        device: Device,
        *,
        name: str,
        precision: str,
        options: BackendOptions,
        fit: FitKind = "squash",
    ) -> None:
        self.name = name
        self.device = options.device or "cuda:0"
        self.precision = precision
        self._options = options
        self._fit = fit
        self._network = network
        self._device: Device | None = device
        self._lanes: list[Lane] = []
        self._pinned: dict[int, NDArray[np.uint8] | None] = {}  # None where the driver refused
        self._kernels: dict[str, Any] = {}
        self._memory = FrameMemory(device)
        self._chunk = min(network.batch_max, options.batch or network.batch_max)
        # With two chunks in a batch, one is uploaded and fetched while the other is computed.
        self.preferred_batch = LANE_COUNT * self._chunk if options.batch is None else options.batch
        try:
            self._check_memory(device)
            for _ in range(LANE_COUNT):
                self._lanes.append(Lane(device, network, self._chunk))
        except BackendError:
            self.close()
            raise

    @property
    def gpu_name(self) -> str:
        """What it runs on."""
        return self._open_device().gpu.name

    @property
    def takes_planes(self) -> bool:
        """Whether `infer_planes` can be used: the network's input is (S, S, 3) uint8 RGB."""
        return self._options.layout == "frames"

    @property
    def cuts_crops(self) -> bool:
        """Whether `infer_crops` can be used, which needs what `infer_planes` needs."""
        return self.takes_planes

    @property
    def device_frames(self) -> Sequence[DeviceFrame]:
        """The frames of the latest `infer_planes`, on the device until the next."""
        return self._memory.frames

    @property
    def pinned_bytes(self) -> int:
        """Memory of others that is uploaded without a staging copy."""
        return sum(block.nbytes for block in self._pinned.values() if block is not None)

    def infer(self, frames: NDArray[np.uint8], wanted: Wanted = EVERYTHING) -> Outputs:
        """See `interface.backend.Backend.infer`; batches of any size go through in chunks."""
        self._open_device()
        check_frames(frames, self._options.input_size, backend=self.name)
        if self._options.layout == "planes":
            frames = to_planes(frames, self._network.input.dtype)
        return self._run(frames, Lane.start_frames, wanted)

    def infer_planes(self, frames: Sequence[PlanarFrame], wanted: Wanted = EVERYTHING) -> Outputs:
        """Run the graph on frames as they came; scaling and colour are the GPU's work.

        A frame's memory is pinned when it is first seen, so it must stay mapped until the backend
        is closed, as a buffer pool's does.

        Args:
            frames: At least one; read until this returns.
            wanted: Rows that score less than it says hold zeros.

        Raises:
            BackendError: The backend is closed, or its input is no RGB picture.
        """
        device = self._open_device()
        kernel = self._kernel(device, KERNEL_NAME)
        for frame in frames:
            self._pin(device, frame.data)
        placed = self._memory.place(frames)

        def start(lane: Lane, chunk: Sequence[tuple[PlanarFrame, DeviceFrame]]) -> None:
            lane.start_planes(chunk, kernel, self._fit)

        return self._run(list(zip(frames, placed, strict=True)), start, wanted)

    def infer_crops(
        self, frames: Sequence[DeviceFrame], extents_xyxy_src: Sequence[NDArray[np.int32]]
    ) -> Outputs:
        """Run the graph on rectangles of frames that another backend has put on this GPU.

        See `engines.interface.planar_frame.CropBackend.infer_crops`.

        Raises:
            BackendError: The backend is closed, or its input is no RGB picture.
        """
        kernel = self._kernel(self._open_device(), CROP_KERNEL_NAME)

        def start(lane: Lane, chunk: Sequence[tuple[DeviceFrame, NDArray[np.int32]]]) -> None:
            lane.start_crops(chunk, kernel)

        crops = [
            (frame, edges)
            for frame, extents in zip(frames, extents_xyxy_src, strict=True)
            for edges in extents
        ]
        return self._run(crops, start, EVERYTHING)

    def close(self) -> None:
        """See `engines.interface.backend.Backend.close`."""
        device, self._device = self._device, None
        if device is None:
            return
        device.make_current()
        for lane in self._lanes:
            lane.close()
        self._memory.close()
        for block in self._pinned.values():
            if block is not None:
                device.unpin(block)
        self._pinned.clear()
        self._network.close()
        device.close()

    def _run(self, frames: Any, start: Callable[[Lane, Any], None], wanted: Wanted) -> Outputs:
        """Send chunks through the lanes by turns, each lane's next as soon as it is free."""
        free, busy = deque(self._lanes), deque[Lane]()
        parts = []
        for first in range(0, len(frames), self._chunk):
            if not free:
                free.append(busy.popleft())
                parts.append(free[0].finish(wanted.score_min))
            lane = free.popleft()
            start(lane, frames[first : first + self._chunk])
            busy.append(lane)
        parts.extend(lane.finish(wanted.score_min) for lane in busy)
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _open_device(self) -> Device:
        if self._device is None:
            raise closed_error(self.name)
        self._device.make_current()  # whoever opened it may be another thread
        return self._device

    def _kernel(self, device: Device, name: str) -> Any:
        if not self.takes_planes:
            raise BackendError(f"{self.name} backend: the graph takes floats, not RGB pictures.")
        if name not in self._kernels:
            self._kernels[name] = device.load_kernel(kernel_source(), name)
        return self._kernels[name]

    def _pin(self, device: Device, data: NDArray[np.uint8]) -> None:
        address = data.ctypes.data
        if address in self._pinned or address % _PAGE_BYTES:
            return
        self._pinned[address] = data if device.pin(data) else None

    def _check_memory(self, device: Device) -> None:
        free = device.free_bytes()
        needed = LANE_COUNT * lane_bytes(self._network, self._chunk)
        if needed <= free:
            return
        sizes = range(self._chunk - 1, 0, -1)
        fits = (b for b in sizes if LANE_COUNT * lane_bytes(self._network, b) <= free)
        best = next(fits, None)
        raise DeviceMemoryError(
            f"{self.name} backend: batches of {self._chunk} need {_mib(needed)} MiB of GPU memory, "
            f"{_mib(free)} MiB are free; "
            + ("not even one frame fits." if best is None else f"--batch {best} fits.")
        )


def _mib(byte_count: int) -> int:
    return -(-byte_count >> 20)
