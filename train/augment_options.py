"""How strongly training pictures are changed."""

from __future__ import annotations

from dataclasses import dataclass

from maskstream.engines.interface.fit import FitKind


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentOptions:
    """How strongly pictures are changed; the defaults are YOLACT's.

    Attributes:
        expand_probability: Of a zoom out.
        expand_max: The largest canvas, in sides of the picture.
        crop_probability: Of a crop.
        crop_min: The smallest crop, as a share of each side.
        mirror_probability: Of a left-right flip.
        vertical_mirror_probability: Of an upside-down flip, which Mask R-CNN's recipe knows.
        brightness: Largest shift, in grey levels.
        contrast: Largest factor; the smallest is as far below 1 as this is above.
        saturation: Likewise.
        hue_deg: Largest turn of the hue.
        min_box_px: Objects smaller than this in the input, either way, are not taught.
        mosaic_probability: Of four pictures in place of one.
        copy_paste_probability: Of objects cut out of another picture and pasted in.
        fit: How what is shown comes into the square input.
        shape_jitter: With a letterbox, by how much each side is stretched or shrunk at most.
    """

    expand_probability: float = 0.5
    expand_max: float = 4.0
    crop_probability: float = 5 / 6
    crop_min: float = 0.3
    mirror_probability: float = 0.5
    vertical_mirror_probability: float = 0.0
    brightness: float = 32.0
    contrast: float = 1.5
    saturation: float = 1.5
    hue_deg: float = 18.0
    min_box_px: float = 3.0
    mosaic_probability: float = 0.0
    copy_paste_probability: float = 0.0
    fit: FitKind = "squash"
    shape_jitter: float = 0.3


NO_AUGMENTATION = AugmentOptions(
    expand_probability=0.0,
    crop_probability=0.0,
    mirror_probability=0.0,
    brightness=0.0,
    contrast=1.0,
    saturation=1.0,
    hue_deg=0.0,
    shape_jitter=0.0,
)
