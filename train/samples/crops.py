"""Crops of objects, for networks that say which of a crop's pixels are the object."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from maskstream.engines.decoding.crops import RgbPicture, crop_extents
from maskstream.train.augment_options import AugmentOptions
from maskstream.train.errors import TrainError
from maskstream.train.samples.augment import change_light
from maskstream.train.samples.coco import Annotation, LabelledImage

SIDE_MIN_PX = 8
"""Objects that are smaller either way show nothing to learn an outline from."""
EDGE_JITTER = 0.15
"""By how much of its size each edge of a box is moved at most: a detector's boxes are not exact."""


class CropNetwork(Protocol):
    """What shapes the crops of a network."""

    crop_px: int
    mask_px: int
    crop_margin: float


@dataclass(frozen=True, slots=True)
class Crop:
    """One object, its box squashed into a square.

    Attributes:
        image: (S, S, 3) uint8 RGB.
        mask: (M, M) uint8, how much of each cell the object covers, 0..255.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class LabelledCrop:
    """An object with a mask, in its picture."""

    image: LabelledImage
    annotation: Annotation


def crops_of(images: Sequence[LabelledImage]) -> list[LabelledCrop]:
    """Return every object that has a mask and a size; crowds are no object.

    Raises:
        TrainError: There is none.
    """
    found = [
        LabelledCrop(image, annotation)
        for image in images
        for annotation in image.annotations
        if annotation.rle is not None
        and not annotation.is_crowd
        and min(annotation.box_xywh_src[2:]) >= SIDE_MIN_PX
    ]
    if not found:
        raise TrainError(
            f"training set: no object has a mask and sides of {SIDE_MIN_PX} pixels; "
            "at least one is needed."
        )
    return found


class CropSet(Dataset[Crop]):
    """Crops that are augmented anew each time they are asked for; indices as of `SampleSet`."""

    def __init__(
        self,
        images: Sequence[LabelledImage],
        network: CropNetwork,
        options: AugmentOptions,
        seed: int,
    ) -> None:
        self._crops = crops_of(images)
        self._shape = (network.crop_px, network.mask_px, network.crop_margin)
        self._options, self._seed = options, seed

    def __len__(self) -> int:
        return len(self._crops)

    def __getitem__(self, index: int) -> Crop:
        draw, row = divmod(index, len(self._crops))
        random = np.random.default_rng((self._seed, draw, row))
        labelled = self._crops[row]
        box = corners_of(labelled.annotation)
        sizes = np.tile(box[2:] - box[:2], 2)
        limits = np.array([labelled.image.width, labelled.image.height] * 2)
        box = np.clip(box + sizes * random.uniform(-EDGE_JITTER, EDGE_JITTER, 4), 0, limits)
        crop = cut(labelled.image.read(), labelled.annotation.mask(), box, *self._shape)
        if random.random() < self._options.mirror_probability:
            crop = Crop(crop.image[:, ::-1].copy(), crop.mask[:, ::-1].copy())
        return Crop(change_light(crop.image, options=self._options, random=random), crop.mask)


def true_crops(images: Sequence[LabelledImage], network: CropNetwork) -> Iterator[Crop]:
    """Return the crops of a set as they are, each picture read once."""
    by_image: dict[int, list[Annotation]] = {}
    for crop in crops_of(images):
        by_image.setdefault(crop.image.image_id, []).append(crop.annotation)
    for image in images:
        if image.image_id not in by_image:
            continue
        picture = image.read()
        for annotation in by_image[image.image_id]:
            box = corners_of(annotation)
            shape = (network.crop_px, network.mask_px, network.crop_margin)
            yield cut(picture, annotation.mask(), box, *shape)


def corners_of(annotation: Annotation) -> NDArray[np.float64]:
    """Return (4,) corners of an object's box, in pixels of its picture."""
    left, top, width, height = annotation.box_xywh_src
    return np.array([left, top, left + width, top + height])


def cut(
    picture: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    box_xyxy_src: NDArray[np.float64],
    crop_px: int,
    mask_px: int,
    margin: float,
) -> Crop:
    """Return a box of a picture and of an object's mask, each squashed into a square.

    Args:
        picture: (H, W, 3) uint8 RGB.
        mask: (H, W) of 0 and 1.
        box_xyxy_src: (4,), inside the picture.
        crop_px: Side of the picture's crop.
        mask_px: Side of the mask's.
        margin: As `crop_extents` takes it.
    """
    height, width = mask.shape
    extents = crop_extents(box_xyxy_src[None].astype(np.float32), margin, width, height)
    left, top, right, bottom = extents[0]
    shares = cv2.resize(
        mask[top:bottom, left:right] * np.float32(255),
        (mask_px, mask_px),
        interpolation=cv2.INTER_AREA
        if min(bottom - top, right - left) > mask_px
        else cv2.INTER_LINEAR,
    )
    image = RgbPicture(picture).cut(extents, crop_px)[0]
    return Crop(image, np.rint(shares).astype(np.uint8))
