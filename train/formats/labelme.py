"""labelme: one JSON a picture, beside it."""

from __future__ import annotations

import base64
import binascii
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from maskstream.train.errors import AnnotationError
from maskstream.train.formats.coco_file import name_from
from maskstream.train.formats.json_file import JsonFile
from maskstream.train.formats.labelled import (
    CROWDS,
    LabelledObject,
    LabelledPicture,
    LabelledSet,
    Reading,
    ReadOptions,
    encode,
)
from maskstream.train.formats.pictures import PictureFolder, picture_size, pictures_in
from maskstream.train.formats.schemas import LabelmeFile
from maskstream.train.formats.shapes import box, ellipse, polygon

_VERSION = "5.5.0"
"""Of the labelme whose files these are like: the first ones with masks are of 5.2."""


def read_labelme(source: Path, options: ReadOptions) -> LabelledSet:
    """Read polygons, rectangles (boxes without masks), circles and masks.

    Shapes of one label and one group number are one object.

    Args:
        source: A file, or a folder of files.

    Raises:
        AnnotationError: A file or its picture is missing or broken.
    """
    paths = sorted(source.rglob("*.json")) if source.is_dir() else [source]
    reading = Reading(source)
    folders: dict[Path, PictureFolder] = {}
    others = 0
    for path in paths:
        where = options.images or path.parent
        pictures = folders.setdefault(where, PictureFolder(where))
        try:
            file = JsonFile(path)
            if source.is_dir() and not _is_labelme(file):
                others += 1
            else:
                _read_file(file, pictures, reading)
        except AnnotationError as exc:
            reading.faults.append(str(exc))
    reading.left_out["files of JSON without shapes, which are not labelme's"] += others
    if source.is_dir():
        labelled = {picture.path.resolve() for picture in reading.pictures}
        bare = sum(p.resolve() not in labelled for p in pictures_in(options.images or source))
        if bare:
            reading.left_out["pictures without a file of labelme's"] += bare
    return reading.finish()


def _is_labelme(file: JsonFile) -> bool:
    return isinstance(file.document, dict) and isinstance(file.document.get("shapes"), list)


def _read_file(file: JsonFile, pictures: PictureFolder, reading: Reading) -> None:
    document = file.document
    if not _is_labelme(file):
        raise AnnotationError(f"{file.path}:1: no list of shapes; a file of labelme is needed.")
    file.check(LabelmeFile)
    name = str(document.get("imagePath", "")).replace("\\", "/")
    # Paths outside of the folder are those of the machine that it was labelled on.
    is_there = (pictures.folder / name).is_file()
    path = pictures.find(name if is_there else PurePosixPath(name).name)
    said = (document.get("imageWidth"), document.get("imageHeight"))
    width, height = picture_size(path, None if None in said else said)
    parts: dict[tuple[str, Any], list[LabelledObject]] = defaultdict(list)
    for row, shape in enumerate(document["shapes"]):
        try:
            made = _read_shape(shape, height, width, reading)
        except (AnnotationError, KeyError, TypeError, ValueError) as exc:
            reason = f"has no {exc}" if isinstance(exc, KeyError) else str(exc)
            reading.faults.append(f"{file.where('shapes', row)}: {reason}")
            continue
        group = shape.get("group_id")
        if made:
            parts[made.class_name, ("alone", row) if group is None else group].append(made)
    objects = tuple(_joined(group, height, width) for group in parts.values())
    reading.pictures.append(LabelledPicture(path, width, height, objects))


def _read_shape(
    shape: Mapping[str, Any], height: int, width: int, reading: Reading
) -> LabelledObject | None:
    name, kind, points = str(shape["label"]), shape.get("shape_type") or "polygon", shape["points"]
    if kind == "polygon":
        return LabelledObject(name, [polygon(*_columns(points))])
    if kind == "rectangle" and len(points) in (2, 4):  # all four corners: X-AnyLabeling
        xs, ys = _columns(points)
        left, top = min(xs), min(ys)
        return LabelledObject(name, None, box(left, top, max(xs) - left, max(ys) - top))
    if kind in ("rectangle", "circle", "mask") and len(points) != 2:
        raise AnnotationError(f"a {kind} of {len(points)} points; it takes two")
    if kind == "circle":
        (x, y), (edge_x, edge_y) = points
        radius = float(np.hypot(edge_x - x, edge_y - y))
        return LabelledObject(name, [ellipse(x, y, radius, radius)])
    if kind == "mask":
        mask = _placed(_decoded(shape["mask"]), points[0], height, width)
        return LabelledObject(name, encode(mask))
    reading.left_out[f"shapes of the kind {kind}, which have no area"] += 1
    return None


def _columns(points: Sequence[Sequence[float]]) -> tuple[list[float], list[float]]:
    return [point[0] for point in points], [point[1] for point in points]


def _decoded(text: str) -> NDArray[np.uint8]:
    try:
        data = np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
        mask = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    except (binascii.Error, cv2.error) as exc:
        raise AnnotationError("its mask is no PNG") from exc
    if mask is None:
        raise AnnotationError("its mask is no PNG")
    return np.asarray(mask > 0, np.uint8)


def _placed(
    mask: NDArray[np.uint8], corner: Sequence[float], height: int, width: int
) -> NDArray[np.uint8]:
    """Return a mask over the whole picture, of one whose left top pixel is at ``corner``."""
    left, top = int(corner[0]), int(corner[1])
    bottom, right = top + mask.shape[0], left + mask.shape[1]
    if left < 0 or top < 0 or right > width or bottom > height:
        raise AnnotationError(f"its mask reaches to {right}, {bottom}; the picture ends before")
    whole = np.zeros((height, width), np.uint8)
    whole[top:bottom, left:right] = mask
    return whole


def _joined(parts: Sequence[LabelledObject], height: int, width: int) -> LabelledObject:
    """Return the shapes of one group as one object."""
    if len(parts) == 1:
        return parts[0]
    name = parts[0].class_name
    polygons = [p for part in parts if isinstance(part.segmentation, list)
                for p in part.segmentation]  # fmt: skip
    if len(polygons) == len(parts):
        return LabelledObject(name, polygons)
    masks = [part.mask(height, width) for part in parts if part.segmentation is not None]
    if masks:
        return LabelledObject(name, encode(np.logical_or.reduce(masks)))
    boxes = np.array([part.box(height, width) for part in parts])
    left, top = boxes[:, :2].min(axis=0).tolist()
    right, bottom = (boxes[:, :2] + boxes[:, 2:]).max(axis=0).tolist()
    return LabelledObject(name, None, (left, top, right - left, bottom - top))


def write_labelme(dataset: LabelledSet, target: Path) -> Counter[str]:
    """Write a folder of files; the pictures stay where they are.

    Polygons stay polygons, those of one object under one group number; masks stay masks.

    Raises:
        AnnotationError: Two pictures have one name.
    """
    left_out: Counter[str] = Counter()
    target.mkdir(parents=True, exist_ok=True)
    taken: dict[str, Path] = {}
    for picture in dataset.pictures:
        other = taken.setdefault(picture.path.stem, picture.path)
        if other != picture.path:
            raise AnnotationError(
                f"{picture.path}: its file would have the name of that of {other}; rename one."
            )
        shapes: list[dict[str, Any]] = []
        for number, labelled in enumerate(picture.objects, 1):
            if labelled.is_crowd:
                left_out[CROWDS] += 1
                continue
            made = _shapes_of(labelled, picture, number)
            shapes += made
            left_out["empty masks"] += not made
        document: dict[str, Any] = {
            "version": _VERSION,
            "flags": {},
            "shapes": shapes,
            "imagePath": name_from(picture.path, target),
            "imageData": None,
            "imageHeight": picture.height,
            "imageWidth": picture.width,
        }
        path = target / f"{picture.path.stem}.json"
        path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return +left_out


def _shapes_of(
    labelled: LabelledObject, picture: LabelledPicture, number: int
) -> list[dict[str, Any]]:
    def shape(kind: str, points: list[list[float]], **more: Any) -> dict[str, Any]:
        return {
            "label": labelled.class_name,
            "points": points,
            "group_id": None,
            "shape_type": kind,
            "flags": {},
            **more,
        }

    if labelled.segmentation is None:
        left, top, width, height = labelled.box(picture.height, picture.width)
        return [shape("rectangle", [[left, top], [left + width, top + height]])]
    if isinstance(labelled.segmentation, list):
        group = number if len(labelled.segmentation) > 1 else None
        return [
            shape("polygon", [[*p] for p in zip(part[::2], part[1::2], strict=True)])
            | {"group_id": group}
            for part in labelled.segmentation
        ]
    mask = labelled.mask(picture.height, picture.width)
    if not mask.any():
        return []
    left, top, width, height = cv2.boundingRect(mask)
    patch = mask[top : top + height, left : left + width] * 255
    text = base64.b64encode(cv2.imencode(".png", patch)[1].tobytes()).decode("ascii")
    corners = [[float(left), float(top)], [float(left + width - 1), float(top + height - 1)]]
    return [shape("mask", corners, mask=text)]
