"""The SSD augmentation set: one window onto the picture, a mirror, and changes of light.

Zooming out and cropping are both the choice of a rectangle: larger than the picture, or smaller.
So the picture and its masks are resampled once, whatever was drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from train.coco import LabelledImage


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentOptions:
    """How strongly pictures are changed; the defaults are YOLACT's.

    Attributes:
        expand_probability: Of a zoom out.
        expand_max: The largest canvas, in sides of the picture.
        crop_probability: Of a crop.
        crop_min: The smallest crop, as a share of each side.
        mirror_probability: Of a left-right flip.
        brightness: Largest shift, in grey levels.
        contrast: Largest factor; the smallest is as far below 1 as this is above.
        saturation: Likewise.
        hue_deg: Largest turn of the hue.
        min_box_px: Objects smaller than this in the input, either way, are not taught.
    """

    expand_probability: float = 0.5
    expand_max: float = 4.0
    crop_probability: float = 5 / 6
    crop_min: float = 0.3
    mirror_probability: float = 0.5
    brightness: float = 32.0
    contrast: float = 1.5
    saturation: float = 1.5
    hue_deg: float = 18.0
    min_box_px: float = 3.0


NO_AUGMENTATION = AugmentOptions(
    expand_probability=0.0,
    crop_probability=0.0,
    mirror_probability=0.0,
    brightness=0.0,
    contrast=1.0,
    saturation=1.0,
    hue_deg=0.0,
)

_MIN_VISIBLE_PX = 1e-3


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle in pixels of the picture that becomes the network's input; may reach outside."""

    left: float
    top: float
    width: float
    height: float
    is_mirrored: bool = False

    def to_input(self, boxes_xyxy_src: NDArray[np.float64], size: int) -> NDArray[np.float64]:
        """Return (N, 4) boxes in input pixels, clipped to the input."""
        offset = np.array([self.left, self.top, self.left, self.top])
        scale = np.array([size / self.width, size / self.height] * 2)
        boxes: NDArray[np.float64] = np.clip((boxes_xyxy_src - offset) * scale, 0, size)
        if self.is_mirrored:
            boxes = np.stack(
                [size - boxes[:, 2], boxes[:, 1], size - boxes[:, 0], boxes[:, 3]], axis=1
            )
        return boxes


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture as the network sees it, with its truth.

    Attributes:
        image: (S, S, 3) uint8 RGB.
        boxes_xyxy_rel: (N, 4) float32, relative to the input; tight around the mask where there
            is one.
        class_ids: (N,) int64.
        masks: (N, Hp, Wp) uint8, how much of each prototype cell the object covers, 0..255; zeros
            without a mask. Coverage instead of YOLACT's 0 and 1 lets the outline of a scaled-up
            mask lie between cells.
        has_mask: (N,) bool.
        ignored_xyxy_rel: (I, 4) float32: crowds, and objects that are cut or shrunk too far.
        is_exhaustive: What is not labelled is background.
    """

    image: NDArray[np.uint8]
    boxes_xyxy_rel: NDArray[np.float32]
    class_ids: NDArray[np.int64]
    masks: NDArray[np.uint8]
    has_mask: NDArray[np.bool_]
    ignored_xyxy_rel: NDArray[np.float32]
    is_exhaustive: bool


def make_sample(
    labelled: LabelledImage,
    *,
    input_size: int,
    mask_size: int,
    options: AugmentOptions,
    fill_rgb: tuple[float, float, float],
    random: np.random.Generator,
) -> Sample:
    """Read a picture and its truth and change both alike.

    Args:
        input_size: S, in pixels.
        mask_size: Side of the returned masks, in pixels.
        fill_rgb: What fills a zoomed-out canvas.
    """
    image = labelled.read()
    boxes = boxes_of(labelled)
    is_crowd = np.array([a.is_crowd for a in labelled.annotations], bool)
    window = choose_window(
        labelled.width, labelled.height, boxes[~is_crowd], options=options, random=random
    )
    pixels = render(image, window, input_size, fill_rgb)
    return _with_truth(
        labelled,
        change_light(pixels, options=options, random=random),
        boxes,
        window,
        mask_size,
        options.min_box_px,
    )


def boxes_of(labelled: LabelledImage) -> NDArray[np.float64]:
    """Return the (N, 4) corner boxes of all annotations, in pixels of the picture."""
    xywh = np.array([a.box_xywh_src for a in labelled.annotations], np.float64).reshape(-1, 4)
    return np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)


def choose_window(
    width: int,
    height: int,
    boxes_xyxy_src: NDArray[np.float64],
    *,
    options: AugmentOptions,
    random: np.random.Generator,
) -> Window:
    """Draw the part of the picture, or the canvas around it, that is shown.

    Source:
        SSD, section 2.2, in YOLACT's form. The overlap that SSD demands of a crop is left out: the
        released code's test never rejects, and its author reports that one that does halves the AP.
    """
    view = Window(0.0, 0.0, float(width), float(height))
    if random.random() < options.expand_probability:
        ratio = random.uniform(1, options.expand_max)
        left = random.uniform(0, width * ratio - width)
        top = random.uniform(0, height * ratio - height)
        view = Window(-left, -top, width * ratio, height * ratio)
    if random.random() < options.crop_probability:
        view = _crop(view, boxes_xyxy_src, options.crop_min, random)
    is_mirrored = bool(random.random() < options.mirror_probability)
    return Window(view.left, view.top, view.width, view.height, is_mirrored)


def _crop(
    view: Window, boxes: NDArray[np.float64], smallest: float, random: np.random.Generator
) -> Window:
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    for _ in range(50):
        width = view.width * random.uniform(smallest, 1)
        height = view.height * random.uniform(smallest, 1)
        if not 0.5 <= height / width <= 2:
            continue
        left = view.left + random.uniform(0, view.width - width)
        top = view.top + random.uniform(0, view.height - height)
        is_inside = (
            (centers[:, 0] > left)
            & (centers[:, 0] < left + width)
            & (centers[:, 1] > top)
            & (centers[:, 1] < top + height)
        )
        # A picture of nothing may be cut anywhere; any other must keep an object.
        if is_inside.any() or len(boxes) == 0:
            return Window(left, top, width, height)
    return view


def render(
    image: NDArray[np.uint8], window: Window, size: int, fill: tuple[float, ...]
) -> NDArray[np.uint8]:
    """Return what ``window`` shows, scaled to ``size`` x ``size``.

    Args:
        image: (H, W) or (H, W, C).
        fill: Value of each channel outside the picture.
    """
    height, width = image.shape[:2]
    left, top = max(window.left, 0.0), max(window.top, 0.0)
    right = min(window.left + window.width, width)
    bottom = min(window.top + window.height, height)
    canvas = np.empty((size, size, *image.shape[2:]), np.uint8)
    canvas[...] = np.rint(fill).astype(np.uint8) if image.ndim == 3 else np.uint8(fill[0])
    # The picture and its masks take the same whole pixels, so they stay on top of each other.
    x0, y0, x1, y1 = (
        round((left - window.left) * size / window.width),
        round((top - window.top) * size / window.height),
        round((right - window.left) * size / window.width),
        round((bottom - window.top) * size / window.height),
    )
    cut = image[int(top) : max(int(np.ceil(bottom)), int(top) + 1), int(left) : int(np.ceil(right))]
    if x1 > x0 and y1 > y0 and cut.size:
        shrinks = cut.shape[1] > x1 - x0 and cut.shape[0] > y1 - y0
        way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        canvas[y0:y1, x0:x1] = cv2.resize(cut, (x1 - x0, y1 - y0), interpolation=way)
    return canvas[:, ::-1] if window.is_mirrored else canvas


def change_light(
    image: NDArray[np.uint8], *, options: AugmentOptions, random: np.random.Generator
) -> NDArray[np.uint8]:
    """Change brightness, contrast, saturation and hue, each with a chance of one half."""
    draws = random.random(5)
    shift = random.uniform(-options.brightness, options.brightness) if draws[0] < 0.5 else 0.0
    contrast = random.uniform(2 - options.contrast, options.contrast) if draws[1] < 0.5 else 1.0
    saturation = (
        random.uniform(2 - options.saturation, options.saturation) if draws[2] < 0.5 else 1.0
    )
    hue_deg = random.uniform(-options.hue_deg, options.hue_deg) if draws[3] < 0.5 else 0.0
    contrast_is_first = draws[4] < 0.5
    pixels: NDArray[np.float32] = image.astype(np.float32) + np.float32(shift)
    if contrast_is_first:
        pixels = pixels * np.float32(contrast)
    if saturation != 1.0 or hue_deg != 0.0:
        hsv = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV), np.float32)
        hsv[..., 0] = np.mod(hsv[..., 0] + np.float32(hue_deg), 360)
        hsv[..., 1] = hsv[..., 1] * np.float32(saturation)
        pixels = np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.float32)
    if not contrast_is_first:
        pixels = pixels * np.float32(contrast)
    changed: NDArray[np.uint8] = np.clip(pixels, 0, 255).astype(np.uint8)
    return changed


def _with_truth(
    labelled: LabelledImage,
    image: NDArray[np.uint8],
    boxes_src: NDArray[np.float64],
    window: Window,
    mask_size: int,
    min_box_px: float,
) -> Sample:
    size = image.shape[0]
    clipped = window.to_input(boxes_src, size)
    centers = (boxes_src[:, :2] + boxes_src[:, 2:]) / 2
    boxes, class_ids, masks, has_mask, ignored = [], [], [], [], []
    for row, annotation in enumerate(labelled.annotations):
        box = clipped[row]
        if min(box[2] - box[0], box[3] - box[1]) < _MIN_VISIBLE_PX:
            continue  # nothing of it is in view
        is_inside = (
            window.left <= centers[row, 0] < window.left + window.width
            and window.top <= centers[row, 1] < window.top + window.height
        )
        if annotation.is_crowd or not is_inside:
            ignored.append(box)
            continue
        mask = None
        if annotation.rle is not None:
            mask = render(annotation.mask() * np.uint8(255), window, size, (0.0,))
            tight = tight_box(mask)
            if tight is None:
                ignored.append(box)
                continue
            box = tight
        if min(box[2] - box[0], box[3] - box[1]) < min_box_px:
            ignored.append(box)
            continue
        boxes.append(box)
        class_ids.append(annotation.class_id)
        has_mask.append(mask is not None)
        masks.append(_shrink(mask, mask_size))
    return Sample(
        image=image,
        boxes_xyxy_rel=(np.array(boxes).reshape(-1, 4) / size).astype(np.float32),
        class_ids=np.array(class_ids, np.int64),
        masks=np.array(masks, np.uint8).reshape(-1, mask_size, mask_size),
        has_mask=np.array(has_mask, bool),
        ignored_xyxy_rel=(np.array(ignored).reshape(-1, 4) / size).astype(np.float32),
        is_exhaustive=labelled.is_exhaustive,
    )


def tight_box(mask: NDArray[np.uint8]) -> NDArray[np.float64] | None:
    """Return the corners around the pixels of 128 and more, or None where there are none."""
    is_set = mask >= 128
    columns, rows = np.flatnonzero(is_set.any(axis=0)), np.flatnonzero(is_set.any(axis=1))
    if len(columns) == 0:
        return None
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float64)


def _shrink(mask: NDArray[np.uint8] | None, side: int) -> NDArray[np.uint8]:
    if mask is None:
        return np.zeros((side, side), np.uint8)
    return np.asarray(cv2.resize(mask, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
