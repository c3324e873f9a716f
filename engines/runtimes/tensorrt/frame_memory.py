"""The frames of a batch in a device's memory, where two networks find them."""

from __future__ import annotations

from collections.abc import Sequence

from maskstream.engines.interface.planar_frame import DeviceFrame, PlanarFrame
from maskstream.engines.runtimes.tensorrt.device import Device


class FrameMemory:
    """Device memory for frames as they came, a block for each place in a batch.

    It is nobody's lane: a lane's next chunk would overwrite the frames of the one before, which a
    second graph's crops are still to be cut out of.

    Args:
        device: Where; the caller's.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._blocks: list[tuple[int, int]] = []
        """The pointer and the bytes of each place."""
        self.frames: list[DeviceFrame] = []
        """Those of the latest batch."""

    def place(self, frames: Sequence[PlanarFrame]) -> list[DeviceFrame]:
        """Return where each frame is to be copied to; those of the batch before are lost.

        Raises:
            DeviceMemoryError: There is too little memory.
        """
        self.frames = []
        for index, frame in enumerate(frames):
            self._reserve(index, frame.data.nbytes)
            address = self._blocks[index][0]
            self.frames.append(DeviceFrame(address, frame.width, frame.height, frame.rgb_matrix))
        return self.frames

    def _reserve(self, index: int, byte_count: int) -> None:
        if index < len(self._blocks) and byte_count <= self._blocks[index][1]:
            return
        # Bytes that were used before are given back first: there may not be enough for both.
        if index < len(self._blocks):
            for pointer, _ in self._blocks[index:]:
                self._device.free(pointer)
            del self._blocks[index:]
        self._blocks.append((self._device.allocate(byte_count), byte_count))

    def close(self) -> None:
        """Give back the memory; nothing may be under way."""
        self.frames = []
        while self._blocks:
            self._device.free(self._blocks.pop()[0])
