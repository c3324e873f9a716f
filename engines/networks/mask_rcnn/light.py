"""The light parts of Mask R-CNN: ShuffleNetV2 below, depthwise separable blocks above, for CPUs.

torchvision's network takes them in place of its own: they have the same tensors going in and out.
Unlike its own they have batch norms, with which few iterations go further.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torchvision.models.detection.backbone_utils import BackboneWithFPN

from maskstream.engines.networks.yolact.backbones import ShuffleNetBackbone
from maskstream.engines.networks.yolact.config import get_config
from maskstream.engines.networks.yolact.light import LevelTower, light_smooth

_STAGES = ("maxpool", "stage2", "stage3", "stage4")
"""The parts of the body whose maps have strides 4, 8, 16 and 32."""
_MASK_DEPTH = 4
_LEVEL_COUNT = len(_STAGES) + 1


def make_light_backbone(channels: int) -> BackboneWithFPN:
    """Return ShuffleNetV2 1.0x and torchvision's pyramid with separable blocks in it, untrained.

    Args:
        channels: Of the pyramid.
    """
    backbone = BackboneWithFPN(
        ShuffleNetBackbone(get_config("yolact-light")),
        {stage: str(level) for level, stage in enumerate(_STAGES)},
        list(ShuffleNetBackbone.out_channels),
        channels,
        norm_layer=nn.BatchNorm2d,
    )
    backbone.fpn.layer_blocks = nn.ModuleList(_block(channels) for _ in _STAGES)
    return backbone


class LightProposalHead(nn.Module):
    """What says of each anchor whether it holds an object, and where its box ends.

    Args:
        channels: Of the pyramid.
        anchor_count: Of each cell.
    """

    def __init__(self, channels: int, anchor_count: int) -> None:
        super().__init__()
        self.tower = LevelTower(channels, 1, _LEVEL_COUNT)
        self.cls_logits = nn.Conv2d(channels, anchor_count, 1)
        self.bbox_pred = nn.Conv2d(channels, 4 * anchor_count, 1)
        for layer in (self.cls_logits, self.bbox_pred):  # as torchvision begins its own
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(cast(Tensor, layer.bias))

    def forward(self, levels: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Return (B, A, H, W) logits and (B, 4 A, H, W) shifts of each level."""
        towers = [self.tower(level, index) for index, level in enumerate(levels)]
        return [self.cls_logits(x) for x in towers], [self.bbox_pred(x) for x in towers]


class LightMaskHead(nn.Sequential):
    """Four separable blocks over a region's map, whose shape they keep."""

    def __init__(self, channels: int) -> None:
        super().__init__(*(_block(channels) for _ in range(_MASK_DEPTH)))

    def forward(self, regions: Tensor) -> Tensor:
        """Return a map of the input's shape."""
        if self.training and not len(regions):
            # The statistics of no region are no numbers, and a norm would remember them. The
            # weights take part all the same, as training in several processes needs it.
            return regions + 0 * torch.stack([weight.sum() for weight in self.parameters()]).sum()
        for block in self:
            regions = block(regions)
        return regions


def _block(channels: int) -> nn.Sequential:
    return nn.Sequential(light_smooth(channels), nn.ReLU(inplace=True))
