"""The configurations of the Mask R-CNN family: which body, which size, which variant of its parts.

Source: He et al., "Mask R-CNN", ICCV 2017, and torchvision's models, whose names and defaults these
are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from maskstream.engines.errors import EngineError

Body = Literal["resnet50", "resnet50-v2", "mini", "mini-strided", "shufflenet_v2_x1_0"]
RegionPooling = Literal["align", "pool"]
MaskClasses = Literal["per-class", "agnostic"]
MaskActivation = Literal["sigmoid", "softmax"]

COMMON_SIDE_PX = 800
"""The shorter side of the pictures for which torchvision's anchors and level choice are meant."""
ANCHOR_SIDES = (32.0, 64.0, 128.0, 256.0, 512.0)
CANONICAL_SIDE = 224


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskRcnnConfig:
    """One network of the family; everything that shapes its tensors, and its graph.

    Attributes:
        name: What the command line calls it.
        body: What stands below the pyramid; "resnet50-v2" also has torchvision's newer heads, and
            the ShuffleNet heads as light as itself.
        input_size: Side of the square input, in pixels.
        class_count: Without the background.
        channels: Of the pyramid and mask head above all but the ResNets, which have 256; a region's
            box is told by four times as many.
        aspect_ratios: Height over width of the anchors at each cell.
        region_pooling: RoIAlign, or RoIPool as Faster R-CNN has it.
        mask_classes: A mask for each class, of which the predicted one's is taken; or one for all.
        mask_activation: Each class's mask by itself, or classes and background in competition.
        candidate_count: Best anchors of each level, before NMS.
        proposal_count: Regions that are looked at closer.
        detection_count: Rows that leave the graph.
    """

    name: str
    body: Body
    input_size: int = COMMON_SIDE_PX
    class_count: int = 80
    channels: int = 256
    aspect_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    region_pooling: RegionPooling = "align"
    mask_classes: MaskClasses = "per-class"
    mask_activation: MaskActivation = "sigmoid"
    candidate_count: int = 1000
    proposal_count: int = 1000
    detection_count: int = 100

    @property
    def anchor_sides(self) -> tuple[float, ...]:
        """Sides of the anchors in pixels, a side for each level; they grow with the input."""
        return tuple(side * self.input_size / COMMON_SIDE_PX for side in ANCHOR_SIDES)

    @property
    def canonical_side(self) -> float:
        """Side of a region that is looked at in the third finest level, in pixels."""
        return CANONICAL_SIDE * self.input_size / COMMON_SIDE_PX

    @property
    def mask_channels(self) -> int:
        """Maps that the mask predictor gives for a region."""
        if self.mask_classes == "per-class":
            return self.class_count + 1
        return 1 if self.mask_activation == "sigmoid" else 2


_RESNET50 = MaskRcnnConfig(name="mask-rcnn-resnet50", body="resnet50")
_MINI = MaskRcnnConfig(
    name="mask-rcnn-mini",
    body="mini",
    input_size=320,
    candidate_count=200,
    proposal_count=100,
    detection_count=30,
)
_LIGHT = replace(
    _MINI,
    name="mask-rcnn-light",
    body="shufflenet_v2_x1_0",
    input_size=416,
    class_count=1,
    channels=64,
    aspect_ratios=(1.0, 2.0, 4.0),
)

CONFIGS: Mapping[str, MaskRcnnConfig] = {
    config.name: config
    for config in (
        _RESNET50,
        replace(_RESNET50, name="mask-rcnn-resnet50-v2", body="resnet50-v2"),
        _MINI,
        replace(_MINI, name="mask-rcnn-mini-strided", body="mini-strided"),
        _LIGHT,
    )
}


VARIANTS: Mapping[str, dict[str, str]] = {
    "roipool": {"region_pooling": "pool"},
    "agnostic": {"mask_classes": "agnostic"},
    "softmax": {"mask_activation": "softmax"},
}
"""What can stand behind a network's name, each with a plus."""


def get_config(name: str) -> MaskRcnnConfig:
    """Return the configuration called ``name``, such as "mask-rcnn-mini+roipool+agnostic".

    Raises:
        EngineError: There is none, or no such variant of it.
    """
    base, *variants = name.split("+")
    config = CONFIGS.get(base)
    if config is None:
        raise EngineError(f"{name}: no such network; use one of {', '.join(sorted(CONFIGS))}.")
    fields: dict[str, Any] = {"name": name}
    for variant in variants:
        if variant not in VARIANTS:
            raise EngineError(
                f"{name}: {variant!r} is no variant; use {', '.join(VARIANTS)}, each with a plus."
            )
        fields |= VARIANTS[variant]
    return replace(config, **fields)
