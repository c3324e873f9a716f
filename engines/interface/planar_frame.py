"""A frame as it came, for backends that bring it into the network's input themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class PlanarFrame:
    """A frame as it lies in memory: I420, the planes one after the other.

    Attributes:
        data: (width * height * 3 / 2,) bytes, contiguous.
        width: In pixels, even.
        height: In pixels, even.
        rgb_matrix: (3, 4) from (Y, U, V, 1), 0..255, to (R, G, B), 0..255.
    """

    data: NDArray[np.uint8]
    width: int
    height: int
    rgb_matrix: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class DeviceFrame:
    """A `PlanarFrame` that lies on a device, until the backend that put it there goes on.

    Attributes:
        address: Of its bytes in the device's memory.
        width: In pixels, even.
        height: In pixels, even.
        rgb_matrix: As of `PlanarFrame`.
    """

    address: int
    width: int
    height: int
    rgb_matrix: NDArray[np.float32]


class CropBackend(Protocol):
    """A backend of crops that cuts them itself out of frames on its device.

    Attributes:
        device: Where the frames have to lie.
        cuts_crops: Whether it can with the graph that it holds.
    """

    device: str
    cuts_crops: bool

    def infer_crops(
        self, frames: Sequence[DeviceFrame], extents_xyxy_src: Sequence[NDArray[np.int32]]
    ) -> Mapping[str, NDArray[Any]]:
        """Run the graph on the crops of a batch of frames, and wait for it.

        Args:
            frames: What the first graph's backend has just put there.
            extents_xyxy_src: (N, 4) of each, as `engines.decoding.crops.crop_extents` gives them;
                one at least is not empty.

        Returns:
            As `engines.interface.backend.Backend.infer`, the crops frame by frame.
        """
        ...
