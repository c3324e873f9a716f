"""Training samples: the SSD augmentation set, and on request mosaics and pasted objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from maskstream.train.augment_options import AugmentOptions
from maskstream.train.samples.coco import LabelledImage
from maskstream.train.samples.scene import Scene, boxes_of, join, paste, see
from maskstream.train.samples.window import Window, choose_window

TILE_SHARE_MIN = 0.3
"""The smallest tile of a mosaic, as a share of each side."""


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


class Partners:
    """The other pictures that a mosaic or a pasted object may come from.

    Args:
        images: The whole training set.
    """

    def __init__(self, images: Sequence[LabelledImage]) -> None:
        # One picture with unlabelled objects would spoil the background of a whole mosaic, so
        # such pictures are joined with each other.
        self._alike = {
            is_exhaustive: [image for image in images if image.is_exhaustive == is_exhaustive]
            for is_exhaustive in (True, False)
        }
        self._with_masks = [
            image
            for image in images
            if any(a.rle is not None and not a.is_crowd for a in image.annotations)
        ]

    def alike(
        self, labelled: LabelledImage, count: int, random: np.random.Generator
    ) -> list[LabelledImage]:
        """Draw pictures that are labelled as exhaustively as this one."""
        others = self._alike[labelled.is_exhaustive]
        return [others[int(row)] for row in random.integers(len(others), size=count)]

    def with_masks(self, random: np.random.Generator) -> LabelledImage | None:
        """Draw a picture that has masks; None where no picture has."""
        others = self._with_masks
        return others[int(random.integers(len(others)))] if others else None


def make_sample(
    labelled: LabelledImage,
    *,
    input_size: int,
    mask_size: int,
    options: AugmentOptions,
    fill_rgb: tuple[float, float, float],
    random: np.random.Generator,
    partners: Partners | None = None,
) -> Sample:
    """Read a picture and its truth and change both alike.

    Args:
        input_size: S, in pixels.
        mask_size: Side of the returned masks, in pixels.
        fill_rgb: What fills a zoomed-out canvas.
        partners: Needed for mosaics and pasted objects.
    """
    view = _View(input_size, fill_rgb, options, random)
    # Nothing is drawn for what is not asked for, so that a run's draws do not depend on it.
    if partners and options.mosaic_probability and random.random() < options.mosaic_probability:
        scene = view.mosaic([labelled, *partners.alike(labelled, 3, random)])
    else:
        scene = view.whole(labelled)
    if (
        partners
        and options.copy_paste_probability
        and random.random() < options.copy_paste_probability
    ):
        source = partners.with_masks(random)
        scene = scene if source is None else view.with_pasted(scene, source)
    scene = replace(scene, image=change_light(scene.image, options=options, random=random))
    return _to_sample(scene, mask_size, options.min_box_px)


@dataclass(frozen=True, slots=True)
class _View:
    """The draws that make a scene of ``size`` x ``size`` pixels."""

    size: int
    fill_rgb: tuple[float, float, float]
    options: AugmentOptions
    random: np.random.Generator

    def whole(self, labelled: LabelledImage) -> Scene:
        """Show a picture through a window."""
        window = self._window(labelled, self.options)
        return see(labelled, window, self.size, self.size, self.fill_rgb)

    def mosaic(self, four: Sequence[LabelledImage]) -> Scene:
        """Show four pictures around a point near the middle; none of them is zoomed out as well."""
        x, y = (
            round(self.size * share)
            for share in self.random.uniform(TILE_SHARE_MIN, 1 - TILE_SHARE_MIN, size=2)
        )
        options = replace(self.options, expand_probability=0.0)
        tiles = []
        for labelled, (width_px, height_px) in zip(
            four,
            ((x, y), (self.size - x, y), (x, self.size - y), (self.size - x, self.size - y)),
            strict=True,
        ):
            # The part of the window that has the tile's own shape, so that nothing is squeezed.
            longest = max(width_px, height_px)
            width, height = width_px / longest, height_px / longest
            left, top = self.random.random(2) * (1 - width, 1 - height)
            window = self._window(labelled, options).part(left, top, width, height)
            tiles.append(see(labelled, window, width_px, height_px, self.fill_rgb))
        return join(tiles)

    def with_pasted(self, scene: Scene, source: LabelledImage) -> Scene:
        """Paste each object of another picture with an even chance, and one in any case.

        That picture is seen through a window of its own, so the objects' sizes and places vary.
        """
        other = self.whole(source)
        rows = [row for row, thing in enumerate(other.objects) if thing.mask is not None]
        if not rows:
            return scene
        is_chosen = self.random.random(len(rows)) < 0.5
        is_chosen[self.random.integers(len(rows))] = True
        return paste(scene, other, [row for row, yes in zip(rows, is_chosen, strict=True) if yes])

    def _window(self, labelled: LabelledImage, options: AugmentOptions) -> Window:
        is_crowd = np.array([a.is_crowd for a in labelled.annotations], bool)
        boxes = boxes_of(labelled)[~is_crowd]
        window = choose_window(
            labelled.width, labelled.height, boxes, options=options, random=self.random
        )
        if options.fit == "letterbox":
            low, high = 1 - options.shape_jitter, 1 + options.shape_jitter
            return window.squared(*self.random.uniform(low, high, size=2))
        return window


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


def _to_sample(scene: Scene, mask_size: int, min_box_px: float) -> Sample:
    size = scene.image.shape[0]
    ignored = list(scene.ignored_xyxy_net)
    taught = []
    for thing in scene.objects:
        width, height = thing.box_xyxy_net[2:] - thing.box_xyxy_net[:2]
        if min(width, height) < min_box_px:
            ignored.append(thing.box_xyxy_net)
        else:
            taught.append(thing)
    masks = [_shrink(thing.mask, mask_size) for thing in taught]
    return Sample(
        image=scene.image,
        boxes_xyxy_rel=_relative([thing.box_xyxy_net for thing in taught], size),
        class_ids=np.array([thing.class_id for thing in taught], np.int64),
        masks=np.array(masks, np.uint8).reshape(-1, mask_size, mask_size),
        has_mask=np.array([thing.mask is not None for thing in taught], bool),
        ignored_xyxy_rel=_relative(ignored, size),
        is_exhaustive=scene.is_exhaustive,
    )


def _relative(boxes_xyxy_net: list[NDArray[np.float64]], size: int) -> NDArray[np.float32]:
    return np.asarray(np.array(boxes_xyxy_net).reshape(-1, 4) / size, np.float32)


def _shrink(mask: NDArray[np.uint8] | None, side: int) -> NDArray[np.uint8]:
    if mask is None:
        return np.zeros((side, side), np.uint8)
    return np.asarray(cv2.resize(mask, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
