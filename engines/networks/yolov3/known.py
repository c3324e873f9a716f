"""The layers of YOLOv3 and its two siblings, for networks that are made before any file is read.

Source: Redmon and Farhadi, "YOLOv3: An Incremental Improvement", 2018, table 1 and section 2.3; He
et al., "Spatial Pyramid Pooling", 2014; and the shapes of the released weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from maskstream.engines.networks.yolov3.cfg import Cfg, Section

_ANCHORS = "10,13, 16,30, 33,23, 30,61, 62,45, 59,119, 116,90, 156,198, 373,326"
_TINY_ANCHORS = "10,14, 23,27, 37,58, 81,82, 135,169, 344,319"
_BODY_BLOCKS = ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4))
"""Channels and residual blocks of each stage of Darknet-53."""


def yolov3_cfg(class_count: int = 80, side_px: int = 416) -> Cfg:
    """Return YOLOv3: Darknet-53, and heads at strides 32, 16 and 8."""
    return _yolov3(class_count, side_px, has_pyramid=False)


def yolov3_spp_cfg(class_count: int = 80, side_px: int = 608) -> Cfg:
    """Return YOLOv3 with a spatial pyramid before its first head."""
    return _yolov3(class_count, side_px, has_pyramid=True)


def yolov3_tiny_cfg(class_count: int = 80, side_px: int = 416) -> Cfg:
    """Return the small sibling: a plain body, and heads at strides 32 and 16."""
    layers: list[Section] = []
    for channels in (16, 32, 64, 128, 256, 512):
        layers.append(_conv(channels, 3))
        layers.append(_layer("maxpool", size=2, stride=1 if channels == 512 else 2))
    layers += [_conv(1024, 3), _conv(256, 1), _conv(512, 3)]
    layers += _head((3, 4, 5), _TINY_ANCHORS, class_count)
    layers += [_layer("route", layers=-4), _conv(128, 1), _layer("upsample", stride=2)]
    layers += [_layer("route", layers="-1,8"), _conv(256, 3)]
    layers += _head((0, 1, 2), _TINY_ANCHORS, class_count)
    return Cfg(_net(side_px), tuple(layers))


KNOWN_CFGS: Mapping[str, Callable[[int, int], Cfg]] = {
    "yolov3": yolov3_cfg,
    "yolov3-spp": yolov3_spp_cfg,
    "yolov3-tiny": yolov3_tiny_cfg,
}
"""What makes a network of a name, for a number of classes and an input's side in pixels."""


def _yolov3(class_count: int, side_px: int, *, has_pyramid: bool) -> Cfg:
    layers = [_conv(32, 3)]
    ends: list[int] = []
    """The last layer of each stage."""
    for channels, block_count in _BODY_BLOCKS:
        layers.append(_conv(channels, 3, stride=2))
        for _ in range(block_count):
            layers += [_conv(channels // 2, 1), _conv(channels, 3)]
            layers.append(_layer("shortcut", **{"from": -3, "activation": "linear"}))
        ends.append(len(layers) - 1)
    for level, channels in enumerate((512, 256, 128)):
        if level:
            layers += [_layer("route", layers=-4), _conv(channels, 1)]
            layers.append(_layer("upsample", stride=2))
            layers.append(_layer("route", layers=f"-1,{ends[-1 - level]}"))
        for repeat in range(3):
            layers.append(_conv(channels, 1))
            if has_pyramid and level == 0 and repeat == 1:
                layers += [*_pyramid(), _conv(channels, 1)]
            layers.append(_conv(2 * channels, 3))
        first = 6 - 3 * level
        layers += _head((first, first + 1, first + 2), _ANCHORS, class_count)
    return Cfg(_net(side_px), tuple(layers))


def _pyramid() -> list[Section]:
    """Maxima over three sizes of window beside the map itself."""
    return [
        _layer("maxpool", size=5, stride=1),
        _layer("route", layers=-2),
        _layer("maxpool", size=9, stride=1),
        _layer("route", layers=-4),
        _layer("maxpool", size=13, stride=1),
        _layer("route", layers="-1,-3,-5,-6"),
    ]


def _net(side_px: int) -> Section:
    return _layer("net", width=side_px, height=side_px, channels=3)


def _conv(filters: int, size: int, stride: int = 1) -> Section:
    return _layer(
        "convolutional",
        batch_normalize=1,
        filters=filters,
        size=size,
        stride=stride,
        pad=1,
        activation="leaky",
    )


def _head(mask: tuple[int, ...], anchors: str, class_count: int) -> list[Section]:
    """A linear convolution, and what its channels mean."""
    filters = len(mask) * (5 + class_count)
    return [
        _layer("convolutional", filters=filters, size=1, stride=1, pad=1, activation="linear"),
        _layer("yolo", mask=",".join(map(str, mask)), anchors=anchors, classes=class_count),
    ]


def _layer(kind: str, **options: object) -> Section:
    return Section(kind, {key: str(value) for key, value in options.items()}, "its description")
