"""Read Darknet's weights files: a header, then the values of each convolution, in order.

Source: Darknet's own reader. The count of pictures seen has 8 bytes from version 0.2 on and 4
before; many ports read 8 always and shift every value of an old file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maskstream.engines.errors import WeightsError
from maskstream.engines.networks.yolov3.darknet import Convolution, DarknetNetwork

_VERSION = struct.Struct("<3i")
_VALUE_BYTES = 4


def load_weights(network: DarknetNetwork, path: Path, *, layer_count: int | None = None) -> None:
    """Fill a network from a file that holds its values and nothing else.

    Args:
        layer_count: The file holds only the first so many layers: ``darknet53.conv.74`` has 75 of
            YOLOv3's; None for all.

    Raises:
        WeightsError: The file cannot be read, or is too short or too long; the text says at which
            layer.
    """
    values = _read_values(path)
    position = 0
    name = "it"
    for index, layer in enumerate(list(network.layers)[:layer_count]):
        if not isinstance(layer, Convolution):
            continue
        name = f"layer {index} ({network.sections[index].where})"
        for tensor in _tensors(layer):
            count = tensor.numel()
            left = len(values) - position
            if left < count:
                raise WeightsError(
                    f"{path}: ends in {name}, {count - left} values short; the file that belongs "
                    "to this .cfg is needed, whole."
                )
            part = np.array(values[position : position + count])
            with torch.no_grad():
                tensor.copy_(torch.from_numpy(part).view(tensor.shape))
            position += count
    if position < len(values):
        raise WeightsError(
            f"{path}: goes on for {len(values) - position} values after {name}, the last with "
            "any; the file that belongs to this .cfg is needed."
        )


def _read_values(path: Path) -> NDArray[np.float32]:
    """Return a file's values, mapped, not read."""
    try:
        with path.open("rb") as file:
            head = file.read(_VERSION.size)
            size = path.stat().st_size
    except OSError as exc:
        raise WeightsError(f"{path}: cannot be read ({exc.strerror}).") from exc
    if len(head) < _VERSION.size:
        raise WeightsError(f"{path}: has {size} bytes; a Darknet .weights file is needed.")
    major, minor, _ = _VERSION.unpack(head)
    is_new = 10 * major + minor >= 2 and major < 1000 and minor < 1000
    start = _VERSION.size + (8 if is_new else 4)
    if size < start or (size - start) % _VALUE_BYTES:
        raise WeightsError(
            f"{path}: has {size} bytes; {start} of a header and a multiple of {_VALUE_BYTES} are "
            "needed, so it is cut short or no Darknet .weights file."
        )
    if size == start:
        return np.zeros(0, np.float32)
    return np.memmap(path, "<f4", mode="r", offset=start)


def _tensors(layer: Convolution) -> Iterator[Tensor]:
    """Return a layer's tensors in the file's order."""
    norm, conv = layer.norm, layer.conv
    if norm is not None:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        yield from (norm.bias, norm.weight, norm.running_mean, norm.running_var)
    else:
        assert conv.bias is not None
        yield conv.bias
    yield conv.weight
