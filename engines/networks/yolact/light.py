"""The light parts of YOLACT: depthwise separable blocks with batch norm, for CPUs."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that everybody reads

from maskstream.engines.networks.yolact.config import YolactConfig


def _separable(channels: int, stride: int = 1) -> list[nn.Module]:
    """5 x 5 depthwise, then 1 x 1; one activation, after the pointwise half.

    The large kernel costs little in a depthwise layer and widens the view of a shallow head.
    """
    return [
        nn.Conv2d(channels, channels, 5, stride, padding=2, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
    ]


def light_smooth(channels: int) -> nn.Sequential:
    """Return the block that smooths a merged pyramid level; the caller adds the activation."""
    return nn.Sequential(*_separable(channels))


def light_downsample(channels: int) -> nn.Sequential:
    """Return the block that makes the next coarser level."""
    return nn.Sequential(*_separable(channels, stride=2))


def _tower(channels: int, depth: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [*_separable(channels), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class LevelTower(nn.Module):
    """Separable blocks whose convolutions all levels share and whose batch norms they do not.

    Levels differ in their statistics. In training each is normalised by its own; a norm that all
    of them share remembers a mixture, which fits none of them when the network is used.
    """

    def __init__(self, channels: int, depth: int, level_count: int) -> None:
        super().__init__()
        blocks = [_separable(channels) for _ in range(depth)]
        self.convs = nn.ModuleList(block[i] for block in blocks for i in (0, 2))
        self.norms = nn.ModuleList(
            nn.ModuleList(nn.BatchNorm2d(channels) for _ in self.convs) for _ in range(level_count)
        )

    def forward(self, x: Tensor, level: int) -> Tensor:
        """Return a map of the input's shape; one activation, after each pointwise half."""
        norms = cast(nn.ModuleList, self.norms[level])
        for index, (conv, norm) in enumerate(zip(self.convs, norms, strict=True)):
            x = norm(conv(x))
            if index % 2:
                x = torch.relu(x)
        return x


class LightHead(nn.Module):
    """Two towers: one for the class, one for the box and the coefficients.

    A shared tower costs half as much, but what tells a class apart and what says where it ends
    are different features.
    """

    def __init__(self, config: YolactConfig) -> None:
        super().__init__()
        n, a, levels = config.channels, config.priors_per_cell, len(config.prior_scales)
        self.class_tower = LevelTower(n, 2, levels)
        self.shape_tower = LevelTower(n, 2, levels)
        self.bbox_layer = nn.Conv2d(n, 4 * a, 1)
        self.conf_layer = nn.Conv2d(n, (1 + config.class_count) * a, 1)
        self.mask_layer = nn.Conv2d(n, config.prototype_count * a, 1)

    def forward(self, x: Tensor, level: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return (B, 4 A, H, W), (B, (1 + classes) A, H, W) and (B, M A, H, W)."""
        shape, scores = self.shape_tower(x, level), self.class_tower(x, level)
        return self.bbox_layer(shape), self.conf_layer(scores), self.mask_layer(shape)


class LightPrototypes(nn.Module):
    """Prototypes from P3, doubled, with the stride-4 map's detail added before the last block."""

    def __init__(self, detail_channels: int, config: YolactConfig) -> None:
        super().__init__()
        n = config.channels
        self.coarse = _tower(n, 2)
        self.detail = nn.Sequential(nn.Conv2d(detail_channels, n, 1, bias=False), nn.BatchNorm2d(n))
        self.fine = _tower(n, 1)
        self.out = nn.Conv2d(n, config.prototype_count, 1)

    def forward(self, c2: Tensor, p3: Tensor) -> Tensor:
        """Return (B, M, 2 H3, 2 W3), not yet activated."""
        side = (2 * p3.shape[-2], 2 * p3.shape[-1])
        x = F.interpolate(self.coarse(p3), size=side, mode="bilinear", align_corners=False)
        x = torch.relu(x + self.detail(c2))
        return cast(Tensor, self.out(self.fine(x)))
