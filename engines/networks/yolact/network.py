"""The YOLACT network: pyramid, prototypes and one head shared by all levels.

Source: Bolya et al., "YOLACT: Real-time Instance Segmentation", ICCV 2019, sections 3 and 4.
Parameter names are those of the released weights, so that they load without a table of renames.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that everybody reads

from maskstream.engines.networks.yolact.backbones import make_backbone
from maskstream.engines.networks.yolact.config import YolactConfig
from maskstream.engines.networks.yolact.light import (
    LightHead,
    LightPrototypes,
    light_downsample,
    light_smooth,
)
from maskstream.engines.networks.yolact.mask_scoring import MaskIouNet


class RawOutputs(NamedTuple):
    """What the network says before anything is decoded.

    ``locations`` (B, P, 4) against the priors; ``logits`` (B, P, 1 + classes), background first;
    ``coefficients`` (B, P, M) in (-1, 1); ``prototypes`` (B, Hp, Wp, M), not negative;
    ``semantic`` (B, classes, H3, W3) logits, in training only.
    """

    locations: Tensor
    logits: Tensor
    coefficients: Tensor
    prototypes: Tensor
    semantic: Tensor | None


class FeaturePyramid(nn.Module):
    """Five levels of equal depth out of the backbone's last three maps."""

    def __init__(self, in_channels: Sequence[int], config: YolactConfig) -> None:
        super().__init__()
        channels = config.channels
        # Coarse to fine: this is the order in which the released weights number them.
        self.lat_layers = nn.ModuleList(nn.Conv2d(n, channels, 1) for n in reversed(in_channels))
        if config.is_light:
            self.pred_layers = nn.ModuleList(light_smooth(channels) for _ in in_channels)
            self.downsample_layers = nn.ModuleList(light_downsample(channels) for _ in range(2))
        else:
            self.pred_layers = nn.ModuleList(
                nn.Conv2d(channels, channels, 3, padding=1) for _ in in_channels
            )
            self.downsample_layers = nn.ModuleList(
                nn.Conv2d(channels, channels, 3, stride=2, padding=1) for _ in range(2)
            )

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return P3 to P7 for C3 to C5."""
        merged: list[Tensor] = []  # coarse to fine
        for lateral, c in zip(self.lat_layers, reversed(maps), strict=True):
            x = lateral(c)
            if merged:
                above = F.interpolate(
                    merged[-1], size=x.shape[-2:], mode="bilinear", align_corners=False
                )
                x = x + above
            merged.append(x)
        smooth = [F.relu(pred(x)) for pred, x in zip(self.pred_layers, merged, strict=True)]
        levels = smooth[::-1]
        for downsample in self.downsample_layers:
            levels.append(downsample(levels[-1]))
        return levels


class Upsample(nn.Module):
    """Double the height and width, bilinearly."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, 2 H, 2 W)."""
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def _dense_prototypes(config: YolactConfig) -> nn.Sequential:
    n = config.channels
    layers: list[nn.Module] = []
    for _ in range(3):
        layers += [nn.Conv2d(n, n, 3, padding=1), nn.ReLU(inplace=True)]
    layers += [Upsample(), nn.ReLU(inplace=True)]
    layers += [nn.Conv2d(n, n, 3, padding=1), nn.ReLU(inplace=True)]
    layers += [nn.Conv2d(n, config.prototype_count, 1)]
    return nn.Sequential(*layers)


class PredictionHead(nn.Module):
    """Boxes, classes and coefficients of every prior of one level."""

    def __init__(self, config: YolactConfig) -> None:
        super().__init__()
        n, a = config.channels, config.priors_per_cell
        self.upfeature = nn.Sequential(nn.Conv2d(n, n, 3, padding=1), nn.ReLU(inplace=True))
        self.bbox_layer = nn.Conv2d(n, 4 * a, 3, padding=1)
        self.conf_layer = nn.Conv2d(n, (1 + config.class_count) * a, 3, padding=1)
        self.mask_layer = nn.Conv2d(n, config.prototype_count * a, 3, padding=1)

    def forward(self, x: Tensor, _level: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return (B, 4 A, H, W), (B, (1 + classes) A, H, W) and (B, M A, H, W)."""
        x = self.upfeature(x)
        return self.bbox_layer(x), self.conf_layer(x), self.mask_layer(x)


class Yolact(nn.Module):
    """A YOLACT network, full or light, as its configuration says.

    ``maskiou_net`` (None without mask scoring) takes no part in `forward`: it looks at assembled
    masks, in the graph's tail and in training.

    Args:
        config: Shapes of everything.
    """

    def __init__(self, config: YolactConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = make_backbone(config)
        widths = cast(Sequence[int], self.backbone.out_channels)
        self.fpn = FeaturePyramid(widths[1:], config)
        self.proto_net: nn.Module
        head: nn.Module
        if config.is_light:
            self.proto_net = LightPrototypes(widths[0], config)
            head = LightHead(config)
        else:
            self.proto_net = _dense_prototypes(config)
            head = PredictionHead(config)
        self.prediction_layers = nn.ModuleList([head])
        self.semantic_seg_conv = nn.Conv2d(config.channels, config.class_count, 1)
        self.maskiou_net = MaskIouNet(config.class_count) if config.has_mask_scoring else None
        self.register_buffer("mean_rgb", _as_channel(config.normalization.mean_rgb), False)
        self.register_buffer("std_rgb", _as_channel(config.normalization.std_rgb), False)
        self._initialize()

    def forward(self, frames: Tensor) -> RawOutputs:
        """Run the network.

        Args:
            frames: (B, S, S, 3) uint8 RGB.
        """
        # The cast comes first: TensorRT refuses to permute uint8.
        images = frames.float().permute(0, 3, 1, 2)
        images = (images - cast(Tensor, self.mean_rgb)) / cast(Tensor, self.std_rgb)
        maps = self.backbone(images)
        levels = self.fpn(maps[1:])
        prototypes = self._prototypes(maps[0], levels[0])
        heads = [self.prediction_layers[0](x, level) for level, x in enumerate(levels)]
        locations, logits, coefficients = (
            torch.cat([_per_prior(part, depth) for part in parts], dim=1)
            for parts, depth in zip(zip(*heads, strict=True), self._depths(), strict=True)
        )
        return RawOutputs(
            locations=locations,
            logits=logits,
            coefficients=torch.tanh(coefficients),
            prototypes=prototypes,
            semantic=self.semantic_seg_conv(levels[0]) if self.training else None,
        )

    def _prototypes(self, c2: Tensor, p3: Tensor) -> Tensor:
        maps = self.proto_net(c2, p3) if self.config.is_light else self.proto_net(p3)
        return F.relu(maps).permute(0, 2, 3, 1)  # (B, Hp, Wp, M)

    def _depths(self) -> tuple[int, int, int]:
        return 4, 1 + self.config.class_count, self.config.prototype_count

    def _initialize(self) -> None:
        """Xavier for every convolution outside the backbone, biases zero."""
        body = set(self.backbone.modules())
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module not in body:
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)


def _as_channel(values: tuple[float, float, float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).view(1, 3, 1, 1)


def _per_prior(part: Tensor, depth: int) -> Tensor:
    """Turn (B, A * depth, H, W) into (B, H * W * A, depth), cell by cell, prior by prior."""
    batch, _, height, width = part.shape
    # The number of priors is written out, so that the exported graph keeps it static.
    count = height * width * (part.shape[1] // depth)
    return part.permute(0, 2, 3, 1).reshape(batch, count, depth)
