"""Label Studio: its own JSON, and what it exports as COCO."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from maskstream.train.errors import AnnotationError
from maskstream.train.formats.brush_code import decode_brush, encode_brush
from maskstream.train.formats.coco_file import name_from, read_document
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
from maskstream.train.formats.pictures import SUFFIXES, PictureFolder, picture_size
from maskstream.train.formats.schemas import LabelStudioTask
from maskstream.train.formats.shapes import box, ellipse, polygon

_UPLOAD = re.compile(r"^[0-9a-f]{8}-")
"""What Label Studio puts before the name of a file that was uploaded."""
_OUTLINES = ("polygon", "brush", "ellipse", "rectangle")


def read_label_studio(source: Path, options: ReadOptions) -> LabelledSet:
    """Read polygons, brushes, ellipses, and rectangles (boxes without masks).

    Of each task the first annotation that was not cancelled is taken.

    Args:
        source: An export as JSON or as COCO, or the latter's folder.

    Raises:
        AnnotationError: The file or a picture is missing or broken.
    """
    file = JsonFile(source / "result.json" if source.is_dir() else source)
    folder = _Folder(options.images or file.path.parent)
    if isinstance(file.document, dict):
        return read_document(file, options, folder.tidy)
    tasks = file.document
    if not isinstance(tasks, list) or not all(
        isinstance(task, dict) and {"data", "annotations"} <= task.keys() for task in tasks
    ):
        raise AnnotationError(
            f"{file.path}:1: no list of tasks with data and annotations; "
            "export as JSON (not JSON-MIN), or as COCO."
        )
    file.check(list[LabelStudioTask])
    reading = Reading(file.path)
    for row, task in enumerate(tasks):
        _read_task(file, row, task, folder, reading)
    return reading.finish()


class _Folder:
    """Pictures by what Label Studio calls them."""

    def __init__(self, folder: Path) -> None:
        self._pictures = PictureFolder(folder)

    def tidy(self, name: str) -> str:
        """Return the name under which a picture is here.

        Raises:
            AnnotationError: It is not here.
        """
        parts = urlsplit(name.replace("\\", "/"))
        # Local storage names its files by a query: /data/local-files/?d=folder/name.jpg
        asked = parse_qs(parts.query).get("d")
        path = asked[0] if asked else unquote(parts.path)
        bare = PurePosixPath(path).name
        for candidate in (path.lstrip("/"), bare, _UPLOAD.sub("", bare)):
            try:
                return str(self._pictures.find(candidate).absolute())
            except AnnotationError:
                continue
        raise AnnotationError(f"{name}: no such picture below {self._pictures.folder}")


def _read_task(
    file: JsonFile, row: int, task: Mapping[str, Any], folder: _Folder, reading: Reading
) -> None:
    done = [entry for entry in task["annotations"] if not entry.get("was_cancelled")]
    cancelled = len(task["annotations"]) - len(done)
    reading.left_out["annotations that were cancelled"] += cancelled
    if not done:
        reading.left_out["pictures that nobody has labelled"] += 1
        return
    reading.left_out["annotations of a picture after the first"] += len(done) - 1
    which = task["annotations"].index(done[0])
    results = done[0].get("result", [])
    try:
        path = Path(folder.tidy(_picture_name(task["data"])))
        said = {
            (r["original_width"], r["original_height"])
            for r in results
            if r.get("original_width") and r.get("original_height")
        }
        width, height = picture_size(path, next(iter(said), None))
    except AnnotationError as exc:
        reading.faults.append(f"{file.where(row)}: {exc}")
        return
    objects = []
    named_apart = _named_apart(results)
    for number, result in enumerate(results):
        if result["type"] == "labels" and result.get("id") in named_apart:
            continue  # says the name of a region that is a result of its own
        apart = named_apart.get(result.get("id"), [])
        try:
            made = _read_result(result, apart, width, height, reading)
        except (AnnotationError, KeyError, TypeError, ValueError, IndexError) as exc:
            reason = f"has no {exc}" if isinstance(exc, KeyError) else str(exc)
            place = file.where(row, "annotations", which, "result", number)
            reading.faults.append(f"{place}: {reason}")
        else:
            objects += [made] if made else []
    reading.pictures.append(LabelledPicture(path, width, height, tuple(objects)))


def _picture_name(data: Mapping[str, Any]) -> str:
    """Return which of a task's values is the picture."""
    texts = [value for value in data.values() if isinstance(value, str)]
    for text in texts:
        path = text.partition("?d=")[2] or urlsplit(text).path
        if PurePosixPath(path).suffix.lower() in SUFFIXES:
            return text
    raise AnnotationError(f"its data name no picture ({', '.join(map(repr, texts))})")


def _named_apart(results: Sequence[Mapping[str, Any]]) -> dict[Any, list[str]]:
    """Return the labels of regions by their ids, where a tag of its own gives them.

    Such a region is two results of one id: the outline, and the outline again with the labels.
    """
    outlines = {r["id"] for r in results if r["type"] in _OUTLINES and r.get("id")}
    return {
        r["id"]: (r.get("value") or {}).get("labels") or []
        for r in results
        if r["type"] == "labels" and r.get("id") in outlines
    }


def _read_result(
    result: Mapping[str, Any], apart: Sequence[str], width: int, height: int, reading: Reading
) -> LabelledObject | None:
    kind, value = str(result["type"]), result.get("value") or {}
    names = value.get(kind) or value.get("labels") or apart
    left_out = ""
    if kind.removesuffix("labels") not in _OUTLINES:
        left_out = f"results of the kind {kind}"
    elif not names:
        left_out = "regions without a label"
    elif result.get("image_rotation"):
        left_out = "regions drawn on a picture that was turned in the tool"
    if left_out:
        reading.left_out[left_out] += 1
        return None
    if len(names) > 1:
        reading.left_out["labels of a region after the first"] += len(names) - 1
    name = str(names[0])
    if kind.startswith("brush"):
        return LabelledObject(name, encode(decode_brush(value["rle"], height, width)))
    return _read_outline(name, kind, value, width, height)


def _read_outline(
    name: str, kind: str, value: Mapping[str, Any], width: int, height: int
) -> LabelledObject:
    """Return what is given in hundredths of the picture's sides."""
    across, down = width / 100, height / 100
    if kind.startswith("polygon"):
        points = value["points"]
        return LabelledObject(
            name, [polygon([p[0] * across for p in points], [p[1] * down for p in points])]
        )
    x, y, turned_deg = value["x"] * across, value["y"] * down, float(value.get("rotation") or 0)
    if kind.startswith("ellipse"):
        radii = value["radiusX"] * across, value["radiusY"] * down
        return LabelledObject(name, [ellipse(x, y, *radii, turned_deg)])
    sides = value["width"] * across, value["height"] * down
    if not turned_deg:
        return LabelledObject(name, None, box(x, y, *sides))
    # A turned rectangle stands on its left top corner; the box is the one around it.
    angle = np.deg2rad(turned_deg)
    corners = np.array([(0, 0), (sides[0], 0), sides, (0, sides[1])]) @ np.array(
        [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
    )
    low, high = corners.min(axis=0), corners.max(axis=0)
    return LabelledObject(name, None, box(x + low[0], y + low[1], *(high - low)))


def write_label_studio(dataset: LabelledSet, target: Path) -> Counter[str]:
    """Write tasks with their annotations, as Label Studio imports them.

    Single polygons stay polygons; what has several parts, and masks, become brushes.
    """
    left_out: Counter[str] = Counter()
    tasks = []
    for picture in dataset.pictures:
        results = []
        for number, labelled in enumerate(picture.objects):
            if labelled.is_crowd:
                left_out[CROWDS] += 1
                continue
            kind, value = _value(labelled, picture)
            results.append(
                {
                    "id": f"object{number}",
                    "type": f"{kind}labels",
                    "from_name": kind,
                    "to_name": "image",
                    "original_width": picture.width,
                    "original_height": picture.height,
                    "image_rotation": 0,
                    "value": {**value, f"{kind}labels": [labelled.class_name]},
                }
            )
        name = name_from(picture.path, target.parent)
        tasks.append({"data": {"image": name}, "annotations": [{"result": results}]})
    target.write_text(json.dumps(tasks) + "\n", encoding="utf-8")
    return left_out


def _value(labelled: LabelledObject, picture: LabelledPicture) -> tuple[str, dict[str, Any]]:
    across, down = 100 / picture.width, 100 / picture.height
    if labelled.segmentation is None:
        x, y, width, height = labelled.box(picture.height, picture.width)
        sides = {"width": width * across, "height": height * down}
        return "rectangle", {"x": x * across, "y": y * down, **sides, "rotation": 0}
    points = labelled.polygon()
    if points is not None:
        pairs = zip(points[::2], points[1::2], strict=True)
        return "polygon", {"points": [[x * across, y * down] for x, y in pairs], "closed": True}
    mask = labelled.mask(picture.height, picture.width)
    return "brush", {"format": "rle", "rle": encode_brush(mask)}
