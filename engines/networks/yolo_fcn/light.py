"""A light pair for CPUs: a YOLO detector and an FCN, each on a ShuffleNetV2 body.

Both take uint8 RGB and normalise it themselves, so training and running cannot differ in that.

- `make_light_yolo` gives an `engines.networks.yolov3.network.Yolo`: frames (B, S, S, 3)
letterboxed, S a
  multiple of 32, to raw rows (B, N, 5 + classes): tx, ty, tw, th, and the logits of objectness and
  of each class. Rows go head by head (strides 32, 16, 8), then by cell, then by anchor;
  ``make_cells(network.heads, S)`` says where each begins and
  `engines.networks.yolov3.network.decode` turns them into boxes. At 416 pixels there are 10,647.
- `LightFcn` takes crops (B, C, C, 3), each a box squashed into the square, and gives logits
  (B, 2, C/2, C/2), background first; ``network.crop_px`` is C, 112 unless another is asked for,
  and ``network.mask_px`` the half. `Fcn8s` has the same two attributes, both 224. Truth for the
  loss is the object's mask over the same crop, at ``mask_px``.

Boxes become crops in `engines.decoding.crops`, in training as in use:
``extents = crop_extents(boxes, network.crop_margin, width, height)``, then
``RgbPicture(rgb).cut(extents, network.crop_px)``.

`Yolo.body.backbone` and ``LightFcn.backbone`` are
`engines.networks.yolact.backbones.ShuffleNetBackbone`, so
``load_nanodet_shufflenet(backbone, state)`` gives them their initial values.

Source: Redmon and Farhadi, "YOLOv3", 2018 (three scales, features of the coarser brought up);
Long et al., "Fully Convolutional Networks", CVPR 2015 (skips from strides 32 to 8);
Ma et al., "ShuffleNet V2", ECCV 2018.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that everybody reads

from maskstream.engines.networks.yolact.backbones import ShuffleNetBackbone
from maskstream.engines.networks.yolact.config import get_config
from maskstream.engines.networks.yolov3.network import BOX_DEPTH, Yolo, YoloHead

LIGHT_HEADS = (
    YoloHead(32, ((90, 200), (124, 380), (230, 270))),
    YoloHead(16, ((19, 52), (36, 77), (63, 112))),
    YoloHead(8, ((8, 15), (14, 27), (28, 35))),
)
"""Anchors for people at 416 pixels: k-means by shape over COCO's persons, mean IoU 0.72."""
_MEAN_RGB = (123.675, 116.28, 103.53)
_STD_RGB = (58.395, 57.12, 57.375)
_YOLO_CHANNELS = 96
_FCN_CHANNELS = 64
_FIRST_OBJECTNESS = 0.01
"""Probability that an untrained head gives to each row: nearly all rows are background."""


def make_light_yolo(class_count: int, input_size: int = 416) -> Yolo:
    """Return an untrained light detector."""
    body = LightYoloBody(class_count)
    return Yolo(body, LIGHT_HEADS, input_size=input_size, class_count=class_count)


class LightYoloBody(nn.Module):
    """ShuffleNetV2, and a way up from stride 32 to stride 8 with a head at each of the three."""

    def __init__(self, class_count: int) -> None:
        super().__init__()
        self.normalize = _Normalize()
        self.backbone = _make_backbone()
        channels = _YOLO_CHANNELS
        widths = self.backbone.out_channels[:0:-1]  # coarse to fine, without stride 4
        self.laterals = nn.ModuleList(_pointwise(width, channels) for width in widths)
        self.merges = nn.ModuleList(_blocks(channels, 1) for _ in widths)
        self.heads = nn.ModuleList(
            _head(channels, len(head.anchors_px), class_count) for head in LIGHT_HEADS
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return (B, A * (5 + classes), H, W) of strides 32, 16 and 8 for images in [0, 1]."""
        maps = self.backbone(self.normalize(images * 255.0))
        levels = _way_up(maps[:0:-1], self.laterals, self.merges)
        return [head(level) for head, level in zip(self.heads, levels, strict=True)]


class LightFcn(nn.Module):
    """ShuffleNetV2 over a crop, and a way up from stride 32 to stride 2.

    FCN8s adds the scores of strides 32, 16 and 8; here features are added, down to stride 4, since
    scores of so few channels say too little, and outlines need the finer map.

    Args:
        crop_px: Side of the crops, a multiple of 16.
    """

    crop_margin = 0.1
    """A box that is a little too small does not cost what it leaves out."""

    def __init__(self, crop_px: int = 112) -> None:
        super().__init__()
        self.crop_px, self.mask_px = crop_px, crop_px // 2
        self.normalize = _Normalize()
        self.backbone = _make_backbone()
        channels = _FCN_CHANNELS
        widths = self.backbone.out_channels[::-1]  # coarse to fine
        self.laterals = nn.ModuleList(_pointwise(width, channels) for width in widths)
        self.merges = nn.ModuleList(_blocks(channels, 1) for _ in widths)
        self.fine = _blocks(channels, 1)
        self.score = nn.Conv2d(channels, 2, 1)

    def forward(self, crops: Tensor) -> Tensor:
        """Return (B, 2, C/2, C/2) logits, background first, of (B, C, C, 3) uint8 RGB crops."""
        images = self.normalize(crops.float().permute(0, 3, 1, 2))
        maps = self.backbone(images)
        finest = _way_up(maps[::-1], self.laterals, self.merges)[-1]
        doubled = F.interpolate(finest, scale_factor=2, mode="bilinear", align_corners=False)
        return cast(Tensor, self.score(self.fine(doubled)))


class _Normalize(nn.Module):
    """0..255 to what the body was trained on."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean_rgb", torch.tensor(_MEAN_RGB).view(1, 3, 1, 1), False)
        self.register_buffer("std_rgb", torch.tensor(_STD_RGB).view(1, 3, 1, 1), False)

    def forward(self, images: Tensor) -> Tensor:
        return (images - cast(Tensor, self.mean_rgb)) / cast(Tensor, self.std_rgb)


def _make_backbone() -> ShuffleNetBackbone:
    return ShuffleNetBackbone(get_config("yolact-light"))


def _way_up(maps: Sequence[Tensor], laterals: nn.ModuleList, merges: nn.ModuleList) -> list[Tensor]:
    """Bring features of coarse maps to finer ones; ``maps`` and the result are coarse to fine."""
    levels: list[Tensor] = []
    for x, lateral, merge in zip(maps, laterals, merges, strict=True):
        merged = lateral(x)
        if levels:
            merged = merged + F.interpolate(levels[-1], size=merged.shape[-2:], mode="nearest")
        levels.append(merge(merged))
    return levels


def _pointwise(in_channels: int, channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(in_channels, channels, 1, bias=False), nn.BatchNorm2d(channels))


def _blocks(channels: int, depth: int) -> nn.Sequential:
    """5 x 5 depthwise and 1 x 1, each with a norm; one activation, after the pointwise half."""
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [
            nn.Conv2d(channels, channels, 5, padding=2, groups=channels, bias=False),
            nn.BatchNorm2d(channels),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


def _head(channels: int, anchor_count: int, class_count: int) -> nn.Sequential:
    out = nn.Conv2d(channels, anchor_count * (BOX_DEPTH + class_count), 1)
    nn.init.normal_(out.weight, std=0.01)
    bias = torch.zeros(anchor_count, BOX_DEPTH + class_count)
    bias[:, BOX_DEPTH - 1] = -math.log((1 - _FIRST_OBJECTNESS) / _FIRST_OBJECTNESS)
    out.bias = nn.Parameter(bias.flatten())
    return nn.Sequential(*_blocks(channels, 2), out)
