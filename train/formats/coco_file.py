"""COCO JSON, as every other part of the project reads it."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pycocotools import mask as coco_mask

from maskstream.train.errors import AnnotationError
from maskstream.train.formats.coco_check import Findings, check_coco
from maskstream.train.formats.json_file import JsonFile
from maskstream.train.formats.labelled import (
    LabelledObject,
    LabelledPicture,
    LabelledSet,
    Reading,
    ReadOptions,
    Segmentation,
    as_text,
)
from maskstream.train.formats.pictures import PictureFolder
from maskstream.train.formats.schemas import CocoDocument
from maskstream.train.formats.shapes import FAR_PX

_LISTS = ("images", "categories", "annotations")


def read_coco_file(source: Path, options: ReadOptions) -> LabelledSet:
    """Read a COCO JSON; pictures are found by their path or their bare name."""
    file = JsonFile(source)
    return read_document(file, options, lambda name: name)


def read_document(file: JsonFile, options: ReadOptions, named: Callable[[str], str]) -> LabelledSet:
    """Read COCO's document out of a file.

    Args:
        named: Makes a picture's name of its ``file_name``.

    Raises:
        AnnotationError: It is no COCO JSON, or contradicts itself or its pictures.
    """
    check_layout(file)
    document = file.document
    reading = Reading(file.path)
    folder = PictureFolder(options.images or file.path.parent)
    for row, image in enumerate(document["images"]):
        try:
            image["file_name"] = str(folder.find(named(str(image["file_name"]))).absolute())
        except AnnotationError as exc:
            reading.faults.append(f"{file.where('images', row)}: {exc}")
    if reading.faults:
        reading.finish()
    for row, entry in enumerate(document["annotations"], 1):
        if entry.get("id") is None:  # notes go by it
            entry["id"] = f"entry {row}"
    findings = check_coco(document, Path("/"))
    findings.refuse(file.path)
    unusable: set[str] = set()
    for text, ids in findings.notes.items():
        if text.endswith("left out"):
            reading.left_out[text.removesuffix(", left out")] += len(ids)
            unusable.update(ids)
    _add_pictures(document, reading, unusable)
    names = [c["name"] for c in sorted(document["categories"], key=lambda c: int(c["id"]))]
    return reading.finish(names)


def check_layout(file: JsonFile) -> None:
    """Check that a file is laid out as COCO JSON, and each mask as pycocotools takes it.

    Raises:
        AnnotationError: It is not; the text names every place, with its line.
    """
    document = file.document
    missing = [k for k in _LISTS if not isinstance(document, dict) or k not in document]
    if missing:
        raise AnnotationError(
            f"{file.path}:1: no list {', '.join(missing)}; a COCO JSON is needed."
        )
    file.check(CocoDocument)
    faults = []
    for row, entry in enumerate(document["annotations"]):
        fault = _mask_fault(entry.get("segmentation"))
        if fault:
            faults.append(f"{file.where('annotations', row)}: {fault}")
    Findings(faults=faults).refuse(file.path)


def _mask_fault(segmentation: Any) -> str | None:
    """Return what would keep pycocotools from reading a mask; it trusts its input blindly."""
    if not segmentation:
        return None
    if isinstance(segmentation, list):
        are_pixels = all(isinstance(part, list) and _are_pixels(part) for part in segmentation)
        return None if are_pixels else "a polygon of its mask is no list of pixels"
    if not isinstance(segmentation, dict) or not {"size", "counts"} <= segmentation.keys():
        return "its mask is neither polygons nor run-length code"
    size, counts = segmentation["size"], segmentation["counts"]
    if not isinstance(size, list) or len(size) != 2 or not all(type(s) is int for s in size):
        return f"the size of its mask is {size!r}; height and width are needed"
    runs = _runs(counts) if isinstance(counts, str) else counts
    if not isinstance(runs, list) or not all(type(run) is int and run >= 0 for run in runs):
        return "its mask is no run-length code"
    if sum(runs) != size[0] * size[1]:
        return f"its mask has {sum(runs)} pixels; {size[1]}x{size[0]} are needed"
    return None


def _are_pixels(values: list[Any]) -> bool:
    """Return whether a list holds numbers near a picture; quick, as COCO has 40 million of them."""
    if not values:
        return True
    if not set(map(type, values)) <= {int, float}:
        return False
    is_near = min(values) >= -FAR_PX and max(values) <= FAR_PX
    return is_near and not math.isnan(sum(values))


def _runs(text: str) -> list[int] | None:
    """Return the run lengths of COCO's compressed code, or None where it is none.

    Source: see `engines.interface.instances.to_rle`.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        group = ord(character) - 48
        if not 0 <= group < 64 or shift > 60:
            return None
        value |= (group & 0x1F) << shift
        shift += 5
        if not group & 0x20:
            if group & 0x10:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return None if shift else runs


def _add_pictures(document: Mapping[str, Any], reading: Reading, unusable: set[str]) -> None:
    names = {int(c["id"]): str(c["name"]) for c in document["categories"]}
    objects: dict[int, list[LabelledObject]] = {int(i["id"]): [] for i in document["images"]}
    sizes = {int(i["id"]): (int(i["height"]), int(i["width"])) for i in document["images"]}
    for entry in document["annotations"]:
        if str(entry.get("id")) in unusable:
            continue
        image_id = int(entry["image_id"])
        left, top, width, height = (float(value) for value in entry["bbox"])
        made = LabelledObject(
            names[int(entry["category_id"])],
            _tidy(entry.get("segmentation"), sizes[image_id]),
            (left, top, width, height),
            bool(entry.get("iscrowd", 0)),
        )
        objects[image_id].append(made)
    for image in document["images"]:
        image_id = int(image["id"])
        height, width = sizes[image_id]
        picture = LabelledPicture(Path(image["file_name"]), width, height, tuple(objects[image_id]))
        reading.pictures.append(picture)


def _tidy(segmentation: Any, size: tuple[int, int]) -> Segmentation | None:
    """Return polygons as numbers, and run-length code of either kind compressed."""
    if not segmentation:
        return None
    if isinstance(segmentation, list):
        return [[float(value) for value in part] for part in segmentation]
    if isinstance(segmentation["counts"], list):
        return as_text(coco_mask.frPyObjects(segmentation, *size))
    return as_text(segmentation)


def write_coco_file(dataset: LabelledSet, target: Path) -> Counter[str]:
    """Write a COCO JSON; the pictures stay where they are and are named from its folder."""
    categories = {name: number for number, name in enumerate(dataset.class_names, 1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, picture in enumerate(dataset.pictures, 1):
        images.append(
            {
                "id": image_id,
                "file_name": name_from(picture.path, target.parent),
                "width": picture.width,
                "height": picture.height,
            }
        )
        for labelled in picture.objects:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": categories[labelled.class_name],
                    **coco_values(labelled, picture),
                }
            )
    document = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for name, number in categories.items()],
    }
    target.write_text(json.dumps(document) + "\n", encoding="utf-8")
    return Counter()


def coco_values(labelled: LabelledObject, picture: LabelledPicture) -> dict[str, Any]:
    """Return an object's mask, area, box and kind by COCO's keys."""
    box = labelled.box(picture.height, picture.width)
    values: dict[str, Any] = {"bbox": [round(value, 4) for value in box]}
    values["iscrowd"] = int(labelled.is_crowd)
    if labelled.segmentation is None:
        return {**values, "area": box[2] * box[3]}
    rle = labelled.rle(picture.height, picture.width)
    # COCO's own crowds are run-length code, and its tools take polygons of crowds for that.
    segmentation = rle if labelled.is_crowd else labelled.segmentation
    return {**values, "segmentation": segmentation, "area": float(coco_mask.area(rle))}


def name_from(path: Path, folder: Path) -> str:
    """Return a path as it is written in a file in ``folder``."""
    return Path(os.path.relpath(path.absolute(), folder.absolute())).as_posix()
