"""The names and shapes of the released weight files, written down from their published tables.

Nothing here looks at our networks: it is what they are checked against.
"""

from __future__ import annotations

import torch
from torch import Tensor

Shapes = dict[str, tuple[int, ...]]

NORM_PARTS = ("weight", "bias", "running_mean", "running_var")
RELEASED = (
    "yolact-base",
    "yolact-resnet50",
    "yolact-darknet53",
    "yolact-im700",
    "yolact-plus-base",
    "yolact-plus-resnet50",
)
"""The six files on the model host."""
OTHERS = ("yolact-im400", "yolact-resnet50-pascal")
"""Released once, and not there any more."""

BLOCKS = {"50": (3, 4, 6, 3), "101": (3, 4, 23, 3)}
# Stage 0-based -> blocks with a deformable convolution.
DEFORMABLE = {
    "yolact-plus-resnet50": {1: range(4), 2: range(6), 3: range(3)},
    "yolact-plus-base": {1: (0, 3), 2: (0, 3, 6, 9, 12, 15, 18, 21), 3: (0,)},
}


def released_shapes(name: str) -> Shapes:
    """Return every key of a released file with its shape."""
    shapes: Shapes = {}
    if "darknet" in name:
        widths = _darknet(shapes)
    else:
        depth = "50" if "resnet50" in name else "101"
        widths = _resnet(shapes, BLOCKS[depth], DEFORMABLE.get(name, {}))
    classes = 20 if "pascal" in name else 80
    _conv(shapes, "fpn.lat_layers.0", 256, widths[2], 1)
    _conv(shapes, "fpn.lat_layers.1", 256, widths[1], 1)
    _conv(shapes, "fpn.lat_layers.2", 256, widths[0], 1)
    for index in range(3):
        _conv(shapes, f"fpn.pred_layers.{index}", 256, 256, 3)
    for index in range(2):
        _conv(shapes, f"fpn.downsample_layers.{index}", 256, 256, 3)
    for index in (0, 2, 4, 8):
        _conv(shapes, f"proto_net.{index}", 256, 256, 3)
    _conv(shapes, "proto_net.10", 32, 256, 1)
    anchors = 9 if "plus" in name else 3
    _conv(shapes, "prediction_layers.0.upfeature.0", 256, 256, 3)
    _conv(shapes, "prediction_layers.0.bbox_layer", 4 * anchors, 256, 3)
    _conv(shapes, "prediction_layers.0.conf_layer", (classes + 1) * anchors, 256, 3)
    _conv(shapes, "prediction_layers.0.mask_layer", 32 * anchors, 256, 3)
    _conv(shapes, "semantic_seg_conv", classes, 256, 1)
    if "plus" in name:
        sizes = ((8, 1, 3), (16, 8, 3), (32, 16, 3), (64, 32, 3), (128, 64, 3), (80, 128, 1))
        for index, (out, into, side) in enumerate(sizes):
            _conv(shapes, f"maskiou_net.maskiou_net.{2 * index}", out, into, side)
    return shapes


def released_state(name: str, seed: int = 0) -> dict[str, Tensor]:
    """Return tensors under a released file's names; small random values, norms as new."""
    random = torch.Generator().manual_seed(seed)
    state = {}
    for key, shape in released_shapes(name).items():
        if key.endswith("num_batches_tracked"):
            state[key] = torch.tensor(7)
        elif key.endswith("running_var"):
            state[key] = torch.ones(shape)
        else:
            state[key] = 0.02 * torch.randn(shape, generator=random)
    return state


def legacy_keys() -> dict[str, Tensor]:
    """Return what some old files carry on top."""
    return {
        "backbone.layer1.0.conv1.weight": torch.zeros(64, 64, 1, 1),
        "fpn.downsample_layers.2.weight": torch.zeros(256, 256, 3, 3),
        "fpn.downsample_layers.2.bias": torch.zeros(256),
    }


def _resnet(shapes: Shapes, blocks: tuple[int, ...], deformable) -> list[int]:
    shapes["backbone.conv1.weight"] = (64, 3, 7, 7)
    _norm(shapes, "backbone.bn1", 64)
    into = 64
    for stage, count in enumerate(blocks):
        width = 64 * 2**stage
        for block in range(count):
            name = f"backbone.layers.{stage}.{block}"
            shapes[f"{name}.conv1.weight"] = (width, into, 1, 1)
            shapes[f"{name}.conv2.weight"] = (width, width, 3, 3)
            shapes[f"{name}.conv3.weight"] = (4 * width, width, 1, 1)
            _norm(shapes, f"{name}.bn1", width)
            _norm(shapes, f"{name}.bn2", width)
            _norm(shapes, f"{name}.bn3", 4 * width)
            if block in deformable.get(stage, ()):
                shapes[f"{name}.conv2.bias"] = (width,)
                _conv(shapes, f"{name}.conv2.conv_offset_mask", 27, width, 3)
            if block == 0:
                shapes[f"{name}.downsample.0.weight"] = (4 * width, into, 1, 1)
                _norm(shapes, f"{name}.downsample.1", 4 * width)
            into = 4 * width
    return [512, 1024, 2048]


def _darknet(shapes: Shapes) -> list[int]:
    shapes["backbone._preconv.0.weight"] = (32, 3, 3, 3)
    _norm(shapes, "backbone._preconv.1", 32)
    for stage, count in enumerate((1, 2, 8, 8, 4)):
        width = 64 * 2**stage
        shapes[f"backbone.layers.{stage}.0.0.weight"] = (width, width // 2, 3, 3)
        _norm(shapes, f"backbone.layers.{stage}.0.1", width)
        for block in range(1, count + 1):
            name = f"backbone.layers.{stage}.{block}"
            shapes[f"{name}.conv1.0.weight"] = (width // 2, width, 1, 1)
            _norm(shapes, f"{name}.conv1.1", width // 2)
            shapes[f"{name}.conv2.0.weight"] = (width, width // 2, 3, 3)
            _norm(shapes, f"{name}.conv2.1", width)
    return [256, 512, 1024]


def _conv(shapes: Shapes, name: str, out: int, into: int, side: int) -> None:
    shapes[f"{name}.weight"] = (out, into, side, side)
    shapes[f"{name}.bias"] = (out,)


def _norm(shapes: Shapes, name: str, width: int) -> None:
    for part in NORM_PARTS:
        shapes[f"{name}.{part}"] = (width,)
    shapes[f"{name}.num_batches_tracked"] = ()
