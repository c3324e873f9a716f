"""The bodies that YOLACT stands on, with the parameter names of the released weights."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torchvision.models import shufflenet_v2_x1_0
from torchvision.models.resnet import Bottleneck

from maskstream.engines.networks.yolact.attention import attention_tiers
from maskstream.engines.networks.yolact.config import YolactConfig
from maskstream.engines.networks.yolact.deform import DeformableConv

_IS_NEW = re.compile(r"^attention\.|conv_offset_mask|conv2\.bias$|num_batches_tracked$")
"""Tensors that no pretrained body has."""


class ResNetBackbone(nn.Module):
    """ResNet-50 or -101 without its classifier.

    Args:
        block_counts: Bottleneck blocks in each of the four stages.
        config: Says whether it has deformable convolutions and channel attention.
    """

    out_channels = (256, 512, 1024, 2048)

    def __init__(self, block_counts: Sequence[int], config: YolactConfig) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layers = nn.ModuleList()
        in_channels = 64
        for stage, block_count in enumerate(block_counts):
            width = 64 << stage
            stride = 1 if stage == 0 else 2
            shortcut = nn.Sequential(
                nn.Conv2d(in_channels, 4 * width, 1, stride=stride, bias=False),
                nn.BatchNorm2d(4 * width),
            )
            blocks = [Bottleneck(in_channels, width, stride, shortcut)]
            blocks += [Bottleneck(4 * width, width) for _ in range(block_count - 1)]
            if config.deform_interval and stage > 0:
                for block in blocks[:: config.deform_interval]:
                    block.conv2 = DeformableConv(width, block.conv2.stride[0])
            self.layers.append(nn.Sequential(*blocks))
            in_channels = 4 * width
        self.attention = attention_tiers(self.out_channels, config)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the maps of the four stages, strides 4, 8, 16 and 32."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        maps = []
        for stage, attend in zip(self.layers, self.attention, strict=True):
            x = attend(stage(x))
            maps.append(x)
        return maps


def _conv_bn_leaky(in_channels: int, out_channels: int, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.LeakyReLU(0.1, inplace=True),
    )


class DarknetBlock(nn.Module):
    """Halve the channels, restore them, and add the input after the second activation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = _conv_bn_leaky(channels, channels // 2, 1, 1)
        self.conv2 = _conv_bn_leaky(channels // 2, channels, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the input's shape."""
        return cast(Tensor, x + self.conv2(self.conv1(x)))


class DarknetBackbone(nn.Module):
    """Darknet-53 without its classifier.

    Args:
        config: Says whether it has channel attention.
    """

    out_channels = (128, 256, 512, 1024)

    def __init__(self, config: YolactConfig) -> None:
        super().__init__()
        self._preconv = _conv_bn_leaky(3, 32, 3, 1)
        self.layers = nn.ModuleList()
        for stage, block_count in enumerate((1, 2, 8, 8, 4)):
            channels = 64 << stage
            down = _conv_bn_leaky(channels // 2, channels, 3, 2)
            blocks = [DarknetBlock(channels) for _ in range(block_count)]
            self.layers.append(nn.Sequential(down, *blocks))
        self.attention = attention_tiers(self.out_channels, config)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the maps of strides 4, 8, 16 and 32."""
        x = self.layers[0](self._preconv(images))
        maps = []
        for stage, attend in zip(self.layers[1:], self.attention, strict=True):
            x = attend(stage(x))
            maps.append(x)
        return maps


class ShuffleNetBackbone(nn.Module):
    """ShuffleNetV2 1.0x without its last convolution and classifier, for CPUs.

    Its activations are LeakyReLU(0.1), those of the detector whose weights serve as initial values.

    Args:
        config: Says whether it has channel attention.
    """

    out_channels = (24, 116, 232, 464)

    def __init__(self, config: YolactConfig) -> None:
        super().__init__()
        whole = shufflenet_v2_x1_0(weights=None)
        self.conv1, self.maxpool = whole.conv1, whole.maxpool
        self.stage2, self.stage3, self.stage4 = whole.stage2, whole.stage3, whole.stage4
        for module in list(self.modules()):
            for name, child in module.named_children():
                if isinstance(child, nn.ReLU):
                    setattr(module, name, nn.LeakyReLU(0.1, inplace=True))
        self.attention = attention_tiers(self.out_channels, config)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the maps of strides 4, 8, 16 and 32."""
        x = self.maxpool(self.conv1(images))
        maps = [self.attention[0](x)]
        stages = (self.stage2, self.stage3, self.stage4)
        for stage, attend in zip(stages, self.attention[1:], strict=True):
            maps.append(attend(stage(maps[-1])))
        return maps


def make_backbone(config: YolactConfig) -> nn.Module:
    """Return a configuration's untrained body; it has ``out_channels``, one entry a stage."""
    match config.backbone:
        case "resnet50":
            return ResNetBackbone((3, 4, 6, 3), config)
        case "resnet101":
            return ResNetBackbone((3, 4, 23, 3), config)
        case "darknet53":
            return DarknetBackbone(config)
        case "shufflenet_v2_x1_0":
            return ShuffleNetBackbone(config)


def load_nanodet_shufflenet(backbone: nn.Module, state: dict[str, Tensor]) -> None:
    """Fill a `ShuffleNetBackbone` with the body of a NanoDet-m detector.

    Args:
        state: Keys of torchvision's network without ``conv5`` and ``fc``; the first convolution
            takes BGR, and is turned to the RGB that all our networks take.

    Raises:
        RuntimeError: Keys or shapes do not fit.
    """
    first = torch.flip(state["conv1.0.weight"], dims=[1])
    _fill(backbone, state | {"conv1.0.weight": first})


def load_classifier(backbone: nn.Module, state: dict[str, Tensor]) -> None:
    """Fill a ResNet or Darknet with the body of an ImageNet classifier.

    Args:
        state: Keys of torchvision's ResNet, or of the darknet53.pth that YOLACT's authors offer;
            the classifier's own layer is left out.

    Raises:
        RuntimeError: Keys or shapes do not fit.
    """
    renamed = {
        re.sub(r"^layer(\d)\.", lambda match: f"layers.{int(match[1]) - 1}.", key): value
        for key, value in state.items()
        if not key.startswith("fc.")
    }
    _fill(backbone, renamed)


def _fill(backbone: nn.Module, state: dict[str, Tensor]) -> None:
    """Load a state; what pretrained bodies have not keeps its initial values."""
    own = backbone.state_dict()
    new = {key: value for key, value in own.items() if _IS_NEW.search(key)}
    backbone.load_state_dict(new | state, strict=True)
