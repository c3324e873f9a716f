"""Read Pascal VOC's segmentation sets to train on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco_mask

from maskstream.engines.files.class_names import PASCAL
from maskstream.train.errors import AnnotationError
from maskstream.train.formats.voc_maps import (
    CLASS_FOLDER,
    OBJECT_FOLDER,
    PICTURE_FOLDER,
    objects_of,
)
from maskstream.train.samples.coco import Annotation, CocoSet, LabelledImage


def is_voc(path: Path) -> bool:
    """Say whether a folder is a year of Pascal VOC with segmentations."""
    return (path / OBJECT_FOLDER).is_dir()


def read_voc(folder: Path) -> CocoSet:
    """Read every picture of a folder such as ``VOC2007`` that has its objects drawn.

    Masks lie on whole objects without their borders. A picture without ``SegmentationClass`` is
    left out, as nobody says what its objects are.

    Raises:
        AnnotationError: The folder is none, or its parts contradict each other; the text names
            every fault.
    """
    if not is_voc(folder):
        raise AnnotationError(
            f"{folder}: has no {OBJECT_FOLDER}; a folder such as VOC2012 is needed."
        )
    images: list[LabelledImage] = []
    faults: list[str] = []
    for path in sorted((folder / OBJECT_FOLDER).glob("[!.]*.png")):
        if not (folder / CLASS_FOLDER / path.name).is_file():
            continue
        try:
            images.append(_read(folder, path, len(images) + 1))
        except AnnotationError as exc:
            faults.append(f"  {exc}")
    if faults:
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise AnnotationError("\n".join([f"{folder}: {count} to be mended first:", *faults]))
    if not images:
        raise AnnotationError(
            f"{folder}: no picture has both {OBJECT_FOLDER} and {CLASS_FOLDER}; one is needed."
        )
    ids = tuple(range(1, len(PASCAL) + 1))
    return CocoSet(folder, tuple(images), tuple(PASCAL), ids)


def _read(folder: Path, path: Path, image_id: int) -> LabelledImage:
    object_map = _numbers(path)
    class_map = _numbers(folder / CLASS_FOLDER / path.name)
    picture = folder / PICTURE_FOLDER / f"{path.stem}.jpg"
    if not picture.is_file():
        raise AnnotationError(f"{picture}: no such picture")
    height, width = object_map.shape
    if class_map.shape != object_map.shape:
        raise AnnotationError(
            f"{path}: is {width}x{height}; its {CLASS_FOLDER} is "
            f"{class_map.shape[1]}x{class_map.shape[0]}"
        )
    try:
        objects = objects_of(object_map, class_map)
    except ValueError as exc:
        raise AnnotationError(f"{path}: {exc}") from exc
    unknown = [class_id for class_id, _ in objects if class_id > len(PASCAL)]
    if unknown:
        raise AnnotationError(f"{path}: class {unknown[0]}; there are {len(PASCAL)}")
    return LabelledImage(image_id, picture, width, height, _annotations(objects))


def _annotations(objects: Sequence[tuple[int, NDArray[np.uint8]]]) -> tuple[Annotation, ...]:
    found = []
    for number, mask in objects:
        rle = coco_mask.encode(np.asfortranarray(mask))
        left, top, width, height = (float(value) for value in coco_mask.toBbox(rle))
        found.append(Annotation((left, top, width, height), number - 1, rle, is_crowd=False))
    return tuple(found)


def _numbers(path: Path) -> NDArray[np.uint8]:
    """Return the (H, W) palette numbers of a picture.

    Raises:
        AnnotationError: It cannot be read, or has no palette.
    """
    try:
        with Image.open(path) as picture:
            mode, values = picture.mode, np.array(picture, np.uint8)
    except OSError as exc:
        raise AnnotationError(f"{path}: cannot be read as a picture ({exc})") from exc
    if mode not in ("P", "L"):
        raise AnnotationError(f"{path}: is a picture of {mode}; one with a palette is needed")
    return values
