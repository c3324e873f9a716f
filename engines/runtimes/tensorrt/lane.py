"""One of the lanes that batches go through: a stream of work with memory of its own.

While one lane's network runs, the other's frames are uploaded and its results come back.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskstream.engines.errors import BackendError
from maskstream.engines.interface.backend import Outputs
from maskstream.engines.interface.fit import FitKind
from maskstream.engines.interface.planar_frame import DeviceFrame, PlanarFrame
from maskstream.engines.runtimes.tensorrt.device import Device
from maskstream.engines.runtimes.tensorrt.kernel import (
    BLOCK,
    crop_arguments,
    kernel_arguments,
    kernel_grid,
)
from maskstream.engines.runtimes.tensorrt.loaded_plan import Context, Network, Tensor, typed

_RECTANGLE_BYTES = 4 * 4


def lane_bytes(network: Network, batch: int) -> int:
    """Return the device memory that a lane takes for batches up to a size."""
    tensors = (network.input, *network.outputs)
    return batch * sum(t.frame_bytes for t in tensors) + network.scratch_bytes(batch)


class Lane:
    """Device memory, pinned host memory, a stream, and a context for each batch size.

    Args:
        device: Where; the caller's.
        network: What is run; the caller's.
        batch_max: The largest batch that goes through.

    Raises:
        DeviceMemoryError: There is too little memory.
    """

    def __init__(self, device: Device, network: Network, batch_max: int) -> None:
        self._device = device
        self._network = network
        self._stream = device.new_stream()
        self._owned: list[int] = []
        self._batch_max = batch_max
        self._rectangles: tuple[int, NDArray[np.uint8]] | None = None
        self._contexts: dict[int, Context] = {}
        self._graphs: dict[int, Any] = {}
        self._count = 0
        self._scratch_bytes = network.scratch_bytes(batch_max)
        tensors = (network.input, *network.outputs)
        try:
            self._addresses = {t.name: self._allocate(batch_max * t.frame_bytes) for t in tensors}
            self._scratch = self._allocate(self._scratch_bytes)
            self._host = {t.name: device.pinned_empty(batch_max * t.frame_bytes) for t in tensors}
        except BackendError:
            self.close()
            raise

    def _allocate(self, byte_count: int) -> int:
        pointer = self._device.allocate(byte_count)
        self._owned.append(pointer)
        return pointer

    def start_frames(self, frames: NDArray[Any]) -> None:
        """Begin a batch of the network's inputs; they may be changed when this returns."""
        staged = typed(self._host[self._network.input.name], self._network.input, len(frames))
        staged[:] = frames
        target = self._addresses[self._network.input.name]
        self._device.upload(target, staged.reshape(-1).view(np.uint8), self._stream)
        self._start_network(len(frames))

    def start_planes(
        self, frames: Sequence[tuple[PlanarFrame, DeviceFrame]], kernel: Any, fit: FitKind
    ) -> None:
        """Begin a batch of frames as they came; their bytes must stay until `finish`.

        Args:
            frames: Each with where it is copied to.
            kernel: Makes an input of a frame.
        """
        tensor = self._network.input
        side, target = tensor.sides[0], self._addresses[tensor.name]
        for frame, copied in frames:
            self._device.upload(copied.address, frame.data, self._stream)
            arguments = kernel_arguments(frame, copied.address, target, side, fit)
            self._device.launch(kernel, kernel_grid(side), BLOCK, arguments, self._stream)
            target += tensor.frame_bytes
        self._start_network(len(frames))

    def start_crops(
        self, crops: Sequence[tuple[DeviceFrame, NDArray[np.int32]]], kernel: Any
    ) -> None:
        """Begin a batch of crops out of frames that lie on the device; they must stay there.

        Args:
            crops: Frames, each with the (4,) edges of a rectangle, those of a frame together.
            kernel: Makes inputs of a frame's rectangles.
        """
        tensor = self._network.input
        side, target = tensor.sides[0], self._addresses[tensor.name]
        rectangles, staged = self._rectangle_memory()
        staged = staged[: len(crops) * _RECTANGLE_BYTES]
        staged.view(np.int32).reshape(-1, 4)[:] = [edges for _, edges in crops]
        self._device.upload(rectangles, staged, self._stream)
        for _, group in groupby(crops, key=lambda crop: crop[0].address):
            same = list(group)
            arguments = crop_arguments(same[0][0], target, side, rectangles, len(same))
            grid = kernel_grid(side, len(same))
            self._device.launch(kernel, grid, BLOCK, arguments, self._stream)
            target += len(same) * tensor.frame_bytes
            rectangles += len(same) * _RECTANGLE_BYTES
        self._start_network(len(crops))

    def _rectangle_memory(self) -> tuple[int, NDArray[np.uint8]]:
        """Return where rectangles lie on the device, and where they wait to be copied there."""
        if self._rectangles is None:
            byte_count = self._batch_max * _RECTANGLE_BYTES
            self._rectangles = self._allocate(byte_count), self._device.pinned_empty(byte_count)
        return self._rectangles

    def _start_network(self, count: int) -> None:
        self._count = count
        if count in self._graphs:
            self._device.launch_graph(self._graphs[count], self._stream)
        else:
            self._run_first(count)
        for tensor in self._network.outputs:
            if tensor.name == "scores" or not self._has_scores:
                self._download(tensor, 0, count * tensor.frame_bytes)

    def _run_first(self, count: int) -> None:
        """Run a batch size, and keep its work as a graph from the second time on."""
        known = self._contexts.get(count)
        if known is None:
            # A captured graph holds its context's shapes, so each batch size has a context.
            self._contexts[count] = self._network.new_context(
                count, self._addresses, self._scratch, self._scratch_bytes
            )
            self._contexts[count].run(self._stream)
            return
        if self._network.graphs_itself or not self._device.has_graphs:
            known.run(self._stream)
            return
        self._device.begin_capture(self._stream)
        try:
            known.run(self._stream)
        finally:
            self._graphs[count] = self._device.end_capture(self._stream)
        self._device.launch_graph(self._graphs[count], self._stream)

    def finish(self, score_min: float) -> Outputs:
        """Wait for the batch that was begun, and return copies of its outputs.

        Args:
            score_min: Rows that score less are not fetched; they hold zeros.
        """
        self._device.wait(self._stream)
        if not self._has_scores:
            return {t.name: typed(self._host[t.name], t, self._count).copy()
                    for t in self._network.outputs}  # fmt: skip
        scores = next(t for t in self._network.outputs if t.name == "scores")
        found = typed(self._host["scores"], scores, self._count).copy()
        rows = [_row_count(frame, score_min) for frame in found]
        others = [t for t in self._network.outputs if t.name != "scores"]
        spans = [
            (tensor, index, _wanted(tensor, rows[index], scores.sides[0]))
            for tensor in others
            for index in range(self._count)
            if rows[index]
        ]
        for tensor, index, row_count in spans:
            share = tensor.frame_bytes * row_count // tensor.sides[0]
            self._download(tensor, index * tensor.frame_bytes, share)
        if spans:
            self._device.wait(self._stream)
        outputs = {t.name: np.zeros((self._count, *t.sides), t.dtype) for t in others}
        for tensor, index, row_count in spans:
            fetched = typed(self._host[tensor.name], tensor, self._count)
            outputs[tensor.name][index, :row_count] = fetched[index, :row_count]
        return {"scores": found, **outputs}

    @property
    def _has_scores(self) -> bool:
        return any(tensor.name == "scores" for tensor in self._network.outputs)

    def _download(self, tensor: Tensor, start: int, byte_count: int) -> None:
        host = self._host[tensor.name][start : start + byte_count]
        self._device.download(host, self._addresses[tensor.name] + start, self._stream)

    def close(self) -> None:
        """Give back the device memory; nothing may be under way."""
        self._contexts.clear()
        self._graphs.clear()
        while self._owned:
            self._device.free(self._owned.pop())


def _row_count(scores: NDArray[np.float32], score_min: float) -> int:
    """Return how many of the first rows hold all that score as much, and more than nothing."""
    wanted = np.flatnonzero((scores >= score_min) & (scores > 0))
    return int(wanted[-1]) + 1 if len(wanted) else 0


def _wanted(tensor: Tensor, rows: int, row_max: int) -> int:
    """Return how much of a tensor's first side is fetched: of a frame's own tensors, all."""
    return rows if tensor.sides[0] == row_max else tensor.sides[0]
