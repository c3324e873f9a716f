"""Channel attention: each stage of a backbone weighs its own channels.

Source: Hu et al., "Squeeze-and-Excitation Networks", CVPR 2018, with a maximum beside the average
as in Woo et al., "CBAM", ECCV 2018, and two fully connected layers for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from maskstream.engines.networks.yolact.config import YolactConfig

REDUCTION = 16
"""Channels for each hidden unit."""


class ChannelAttention(nn.Module):
    """Multiply each channel by a factor between 0 and 2 that the whole map decides.

    The factor is twice the sigmoid, and the last layers begin at zero: so it is exactly 1 at first,
    whatever the map, and a pretrained network says what it said before. A bias that brings the
    plain sigmoid near 1 would do so only nearly, where its slope is all but gone.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.average = _two_layers(channels)
        self.maximum = _two_layers(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the input's shape."""
        evidence = self.average(x.mean(dim=(2, 3))) + self.maximum(x.amax(dim=(2, 3)))  # (B, C)
        return x * (2 * torch.sigmoid(evidence))[:, :, None, None]


def attention_tiers(channels: Sequence[int], config: YolactConfig) -> nn.ModuleList:
    """Return what stands behind each stage: attention, or nothing, as the configuration says.

    Args:
        channels: Of each stage.
    """
    return nn.ModuleList(
        ChannelAttention(count) if config.has_channel_attention else nn.Identity()
        for count in channels
    )


def _two_layers(channels: int) -> nn.Sequential:
    hidden = max(channels // REDUCTION, 1)
    layers = nn.Sequential(
        nn.Linear(channels, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, channels)
    )
    last = cast(nn.Linear, layers[2])
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return layers
