"""The mini bodies: four short stages in place of ResNet-50's."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

STAGE_CHANNELS = (
    (64, 64, 256),
    (256, 128, 512),
    (512, 256, 1024),
    (1024, 512, 2048),
)
"""Channels that go into a stage, that it works in, and that come out."""


def make_mini_body(*, has_strides: bool) -> nn.Sequential:
    """Return ResNet's stem and four stages, untrained.

    Args:
        has_strides: The second to fourth stage halve their map, as ResNet's do and as the pyramid
            above them expects. Without, all four maps have a stride of 4.

    Source:
        The plan (kernels, channels, one activation a stage) is that of a course's fine-tuning
        project, which gave none of the four stages a stride.
    """
    stem: list[tuple[str, nn.Module]] = [
        ("conv1", nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)),
        ("bn1", nn.BatchNorm2d(64)),
        ("relu", nn.ReLU(inplace=True)),
        ("maxpool", nn.MaxPool2d(3, stride=2, padding=1)),
    ]
    stages: list[tuple[str, nn.Module]] = [
        (f"layer{number}", _stage(*channels, stride=2 if has_strides and number > 1 else 1))
        for number, channels in enumerate(STAGE_CHANNELS, 1)
    ]
    body = nn.Sequential(OrderedDict(stem + stages))
    for module in body.modules():
        if isinstance(module, nn.Conv2d):  # as torchvision begins its ResNets
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return body


def _stage(in_channels: int, width: int, out_channels: int, *, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, width, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.Conv2d(width, out_channels, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )
