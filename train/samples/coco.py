"""Read COCO-format annotations: polygons, RLE, crowds, and boxes without masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from maskstream.train.errors import AnnotationError
from maskstream.train.formats.coco_check import check_coco
from maskstream.train.formats.coco_file import check_layout
from maskstream.train.formats.json_file import JsonFile


@dataclass(frozen=True, slots=True)
class Annotation:
    """One labelled object.

    Attributes:
        box_xywh_src: Left, top, width and height in pixels of the image.
        class_id: 0-based, in the order of the file's categories.
        rle: The mask in COCO's compressed form, or None where only the box is known.
        is_crowd: A region with many objects that are not told apart.
    """

    box_xywh_src: tuple[float, float, float, float]
    class_id: int
    rle: Mapping[str, Any] | None
    is_crowd: bool

    def mask(self) -> NDArray[np.uint8]:
        """Return the (height, width) mask of 0 and 1; only for annotations that have one."""
        return np.asarray(coco_mask.decode(self.rle), np.uint8)


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One picture and what is on it.

    Attributes:
        is_exhaustive: Every object of the known classes is labelled, so what is not labelled is
            background.
    """

    image_id: int
    path: Path
    width: int
    height: int
    annotations: tuple[Annotation, ...]
    is_exhaustive: bool = True

    def read(self) -> NDArray[np.uint8]:
        """Return the picture as (height, width, 3) RGB.

        Raises:
            AnnotationError: It cannot be read, or has another size than the annotations say.
        """
        image = cv2.imread(str(self.path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        if image is None:
            raise AnnotationError(f"{self.path}: cannot be read as a picture; check the file.")
        if image.shape[:2] != (self.height, self.width):
            raise AnnotationError(
                f"{self.path}: is {image.shape[1]}x{image.shape[0]}; its annotations are for "
                f"{self.width}x{self.height}."
            )
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


@dataclass(frozen=True, slots=True)
class CocoSet:
    """All images of one annotation file.

    Attributes:
        category_ids: The file's own id of each class, by 0-based class id.
        notes: What is odd about it and can be lived with, a line each.
        has_truth: The file has annotations; COCO's test sets have none.
    """

    path: Path
    images: tuple[LabelledImage, ...]
    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]
    notes: tuple[str, ...] = ()
    has_truth: bool = True


def read_coco(
    path: Path,
    image_folder: Path | None = None,
    *,
    partial_sources: Sequence[str] = (),
    needs_truth: bool = True,
) -> CocoSet:
    """Read an annotation file.

    Args:
        path: COCO JSON.
        image_folder: Where the file names start; the file's own folder if None.
        partial_sources: Values of an image's ``source`` whose images label only some objects.
        needs_truth: False for a file that lists pictures and categories alone, as COCO's test sets
            do.

    Raises:
        AnnotationError: The file is missing, is no COCO JSON, or contradicts itself or its
            pictures; the text names every fault, and its line where the layout is wrong.
    """
    file = JsonFile(path)
    document = file.document
    has_truth = not isinstance(document, dict) or "annotations" in document
    if not has_truth and not needs_truth:
        document["annotations"] = []
    check_layout(file)
    folder = path.parent if image_folder is None else image_folder
    findings = check_coco(document, folder)
    findings.refuse(path)
    categories = sorted(document["categories"], key=lambda category: int(category["id"]))
    class_of = {int(category["id"]): index for index, category in enumerate(categories)}
    by_image: dict[int, list[Annotation]] = {int(image["id"]): [] for image in document["images"]}
    sizes = {int(i["id"]): (int(i["height"]), int(i["width"])) for i in document["images"]}
    for entry in document["annotations"]:
        image_id = int(entry["image_id"])
        by_image[image_id].append(_annotation(entry, class_of, sizes[image_id]))
    images = tuple(
        LabelledImage(
            image_id=int(image["id"]),
            path=folder / str(image["file_name"]),
            width=int(image["width"]),
            height=int(image["height"]),
            annotations=tuple(by_image[int(image["id"])]),
            is_exhaustive=image.get("source") not in partial_sources,
        )
        for image in document["images"]
    )
    names = tuple(str(category["name"]) for category in categories)
    return CocoSet(path, images, names, tuple(class_of), findings.note_lines(), has_truth)


def _annotation(
    entry: Mapping[str, Any], class_of: Mapping[int, int], size: tuple[int, int]
) -> Annotation:
    left, top, width, height = (float(value) for value in entry["bbox"])
    return Annotation(
        box_xywh_src=(left, top, width, height),
        class_id=class_of[int(entry["category_id"])],
        rle=_to_rle(entry.get("segmentation"), size),
        is_crowd=bool(entry.get("iscrowd", 0)),
    )


def _to_rle(segmentation: Any, size: tuple[int, int]) -> Mapping[str, Any] | None:
    """Return any of COCO's three mask forms as compressed RLE."""
    if not segmentation:
        return None
    if isinstance(segmentation, list):
        return dict(coco_mask.merge(coco_mask.frPyObjects(segmentation, *size)))
    if isinstance(segmentation["counts"], list):
        return dict(coco_mask.frPyObjects(segmentation, *size))
    return dict(segmentation)
