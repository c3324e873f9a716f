"""The configurations of the YOLACT family: which backbone, which size, which priors.

Source: Bolya et al., "YOLACT: Real-time Instance Segmentation", ICCV 2019; "YOLACT++: Better
Real-time Instance Segmentation", TPAMI 2020; and the released models. Scales of other input sizes
are those of 550 pixels, scaled and truncated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from maskstream.engines.errors import EngineError

Backbone = Literal["resnet50", "resnet101", "darknet53", "shufflenet_v2_x1_0"]
Nms = Literal["fast", "greedy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalization:
    """How an RGB picture of 0..255 becomes the network's input: ``(rgb - mean) / std``."""

    mean_rgb: tuple[float, float, float]
    std_rgb: tuple[float, float, float]


IMAGENET = Normalization(mean_rgb=(123.68, 116.78, 103.94), std_rgb=(58.40, 57.12, 57.38))
UNIT_RANGE = Normalization(mean_rgb=(0.0, 0.0, 0.0), std_rgb=(255.0, 255.0, 255.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class YolactConfig:
    """One network of the family; everything that shapes its tensors.

    Attributes:
        name: What the command line calls it.
        input_size: Side of the square input, in pixels.
        prior_scales: Sides of the priors in input pixels, a tuple for each level, fine to coarse.
        aspect_ratios: Width over height of the priors.
        has_square_priors: Height is set to the width, as the released COCO models have it; the
            aspect ratios are then three sizes of a square.
        channels: Of the pyramid, the prototype net and the head.
        prototype_count: Prototypes, and coefficients of each detection.
        is_light: Depthwise separable blocks with batch norm in place of dense 3 x 3 convolutions,
            and prototypes that also see the backbone's stride-4 map.
        deform_interval: In the last three stages of a ResNet the first block and every so many
            after it have a deformable convolution; 0 for none.
        has_mask_scoring: Scores are multiplied by each mask's IoU as a small network estimates it.
        has_channel_attention: Each stage of the backbone weighs its channels.
        nms: Of its detections. Fast NMS is the paper's; the greedy kind keeps more of those who
            stand in front of each other.
    """

    name: str
    backbone: Backbone
    input_size: int
    class_count: int
    prior_scales: tuple[tuple[float, ...], ...]
    aspect_ratios: tuple[float, ...] = (1.0, 0.5, 2.0)
    has_square_priors: bool = True
    channels: int = 256
    prototype_count: int = 32
    normalization: Normalization = IMAGENET
    is_light: bool = False
    deform_interval: int = 0
    has_mask_scoring: bool = False
    has_channel_attention: bool = False
    nms: Nms = "fast"

    @property
    def priors_per_cell(self) -> int:
        """Priors at each cell of a level."""
        return len(self.prior_scales[0]) * len(self.aspect_ratios)

    @property
    def level_sizes(self) -> tuple[int, ...]:
        """Sides of the pyramid's levels in cells, fine to coarse: each halves, rounding up."""
        side = self.input_size
        for _ in range(3):
            side = (side + 1) // 2
        sizes = []
        for _ in self.prior_scales:
            sizes.append(side)
            side = (side + 1) // 2
        return tuple(sizes)

    @property
    def prototype_size(self) -> int:
        """Side of the prototype maps: twice the finest level."""
        return 2 * self.level_sizes[0]


def _single(*scales: float) -> tuple[tuple[float, ...], ...]:
    return tuple((scale,) for scale in scales)


_RESNET101 = YolactConfig(
    name="yolact-base",
    backbone="resnet101",
    input_size=550,
    class_count=80,
    prior_scales=_single(24, 48, 96, 192, 384),
)
_RESNET50 = replace(_RESNET101, name="yolact-resnet50", backbone="resnet50")
_PLUS_BASE = replace(
    _RESNET101,
    name="yolact-plus-base",
    prior_scales=tuple(
        tuple(scale * 2 ** (third / 3) for third in range(3)) for scale in (24, 48, 96, 192, 384)
    ),
    has_square_priors=False,
    deform_interval=3,
    has_mask_scoring=True,
)
_LIGHT = YolactConfig(
    name="yolact-light",
    backbone="shufflenet_v2_x1_0",
    input_size=416,
    class_count=1,
    prior_scales=_single(18, 36, 72, 144, 288),
    aspect_ratios=(0.25, 0.5, 1.0),
    has_square_priors=False,
    channels=96,
    is_light=True,
    nms="greedy",
)

CONFIGS: Mapping[str, YolactConfig] = {
    config.name: config
    for config in (
        _RESNET101,
        _RESNET50,
        replace(
            _RESNET101,
            name="yolact-darknet53",
            backbone="darknet53",
            normalization=UNIT_RANGE,
        ),
        replace(
            _RESNET101,
            name="yolact-im400",
            input_size=400,
            prior_scales=_single(17, 34, 69, 139, 279),
        ),
        replace(
            _RESNET101,
            name="yolact-im700",
            input_size=700,
            prior_scales=_single(30, 61, 122, 244, 488),
        ),
        replace(
            _RESNET50,
            name="yolact-resnet50-pascal",
            class_count=20,
            prior_scales=_single(32, 64, 128, 256, 512),
            has_square_priors=False,
        ),
        _PLUS_BASE,
        replace(_PLUS_BASE, name="yolact-plus-resnet50", backbone="resnet50", deform_interval=1),
        replace(_RESNET50, name="yolact-se-resnet50", has_channel_attention=True),
        replace(_RESNET101, name="yolact-se-resnet101", has_channel_attention=True),
        _LIGHT,
        replace(_LIGHT, name="yolact-se-light", has_channel_attention=True),
    )
}


def get_config(name: str) -> YolactConfig:
    """Return the configuration called ``name``.

    Raises:
        EngineError: There is none.
    """
    config = CONFIGS.get(name)
    if config is None:
        raise EngineError(f"{name}: no such network; use one of {', '.join(sorted(CONFIGS))}.")
    return config
