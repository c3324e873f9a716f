"""VGG Image Annotator: its JSON of annotations, and its saved projects."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

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
)
from maskstream.train.formats.pictures import PictureFolder, picture_size
from maskstream.train.formats.schemas import ViaPicture
from maskstream.train.formats.shapes import box, ellipse, polygon, single_polygon
from maskstream.train.formats.via3 import entries_of, is_via3

_PROJECT_KEY = "_via_img_metadata"
_ATTRIBUTE = "class"


def read_via(source: Path, options: ReadOptions) -> LabelledSet:
    """Read regions that are polygons, rectangles (boxes without masks), circles and ellipses.

    Of VIA 1 and 2 the annotations or the project, of VIA 3 the project.

    Raises:
        AnnotationError: The file or a picture is broken, or no attribute names the classes.
    """
    file = JsonFile(source)
    reading = Reading(source)
    if is_via3(file.document):
        above: tuple[str, ...] = ("file",)
        entries = entries_of(file, reading)
    else:
        above, entries = _entries(file)
    folder = PictureFolder(options.images or source.parent)
    attribute = options.class_attribute or _class_attribute(source, entries.values())
    for key, entry in entries.items():
        keys = (*above, key)
        beside = ("metadata",) if above == ("file",) else (*keys, "regions")
        _read_picture(file, (keys, beside), entry, folder, attribute, reading)
    return reading.finish()


def _entries(file: JsonFile) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return the pictures of VIA 1 and 2, and the keys that lead to them.

    Raises:
        AnnotationError: There are none, or not as VIA has them.
    """
    is_project = isinstance(file.document, dict) and _PROJECT_KEY in file.document
    above: tuple[str, ...] = (_PROJECT_KEY,) if is_project else ()
    entries = file.document[_PROJECT_KEY] if is_project else file.document
    if (
        not entries
        or not isinstance(entries, dict)
        or not all(isinstance(entry, dict) and "regions" in entry for entry in entries.values())
    ):
        raise AnnotationError(
            f"{file.path}:1: no pictures with regions; save the annotations of VIA 1 or 2, or the "
            "project of VIA 2 or 3, as JSON."
        )
    file.check(dict[str, ViaPicture], *above)
    return above, entries


def _class_attribute(source: Path, entries: Iterable[Mapping[str, Any]]) -> str:
    """Return the only attribute that regions have.

    Raises:
        AnnotationError: There are several, or none.
    """
    names = {name for e in entries for _, r in _regions(e) for name in r["region_attributes"]}
    if len(names) == 1:
        return str(names.pop())
    found = f"have {', '.join(sorted(names))}" if names else "have no attribute"
    raise AnnotationError(
        f"{source}: its regions {found}; one has to name the class: --class-attribute NAME."
    )


def _regions(entry: Mapping[str, Any]) -> list[tuple[str | int, Mapping[str, Any]]]:
    regions = entry["regions"]  # by number in VIA 1, a list in VIA 2
    return list(regions.items() if isinstance(regions, dict) else enumerate(regions))


def _read_picture(
    file: JsonFile,
    places: tuple[tuple[str, ...], tuple[str, ...]],
    entry: Mapping[str, Any],
    folder: PictureFolder,
    attribute: str,
    reading: Reading,
) -> None:
    """Read one picture; ``places`` are the keys of it and of what holds its regions."""
    keys, above_regions = places
    try:
        path = folder.find(str(entry.get("filename", "")))
        width, height = picture_size(path)
    except AnnotationError as exc:
        reading.faults.append(f"{file.where(*keys)}: {exc}")
        return
    objects = []
    for number, region in _regions(entry):
        name = _class_name(region["region_attributes"].get(attribute))
        if not name:
            reading.left_out[f"regions without the attribute {attribute}"] += 1
            continue
        try:
            made = _read_region(name, region["shape_attributes"], reading)
        except (AnnotationError, KeyError, TypeError, ValueError) as exc:
            reason = f"has no {exc}" if type(exc) is KeyError else str(exc)
            reading.faults.append(f"{file.where(*above_regions, number)}: {reason}")
        else:
            objects += [made] if made else []
    reading.pictures.append(LabelledPicture(path, width, height, tuple(objects)))


def _class_name(value: Any) -> str:
    """Return the class that an attribute says: text, or the box that is ticked."""
    if isinstance(value, dict):
        ticked = [name for name, is_ticked in value.items() if is_ticked]
        return str(ticked[0]) if len(ticked) == 1 else ""
    return str(value or "").strip()


def _read_region(name: str, shape: Mapping[str, Any], reading: Reading) -> LabelledObject | None:
    kind = shape["name"]
    if kind == "polygon":
        outline = polygon(shape["all_points_x"], shape["all_points_y"])
    elif kind in ("circle", "ellipse"):
        radius_x, radius_y = (shape["r"], shape["r"]) if kind == "circle" else (
            shape["rx"], shape["ry"]
        )  # fmt: skip
        # VIA 1 and 2 write theta in radians.
        turned_deg = float(shape.get("theta", 0)) * 57.29577951308232
        outline = ellipse(shape["cx"], shape["cy"], radius_x, radius_y, turned_deg)
    elif kind == "rect":
        placed = box(shape["x"], shape["y"], shape["width"], shape["height"])
        return LabelledObject(name, None, placed)
    else:
        reading.left_out[f"regions of the kind {kind}, which have no area"] += 1
        return None
    return LabelledObject(name, [outline])


def write_via(dataset: LabelledSet, target: Path) -> Counter[str]:
    """Write the JSON of VIA 2; several parts and holes become one outline with the same pixels."""
    left_out: Counter[str] = Counter()
    entries = {}
    for picture in dataset.pictures:
        name, size = name_from(picture.path, target.parent), picture.path.stat().st_size
        regions = []
        for labelled in picture.objects:
            shape = None if labelled.is_crowd else _shape(labelled, picture)
            if shape is None:
                left_out[CROWDS if labelled.is_crowd else "empty masks"] += 1
                continue
            attributes = {_ATTRIBUTE: labelled.class_name}
            regions.append({"shape_attributes": shape, "region_attributes": attributes})
        entries[f"{name}{size}"] = {
            "filename": name,
            "size": size,
            "regions": regions,
            "file_attributes": {},
        }
    target.write_text(json.dumps(entries) + "\n", encoding="utf-8")
    return left_out


def _shape(labelled: LabelledObject, picture: LabelledPicture) -> dict[str, Any] | None:
    if labelled.segmentation is None:
        left, top, width, height = labelled.box(picture.height, picture.width)
        return {"name": "rect", "x": left, "y": top, "width": width, "height": height}
    points = single_polygon(labelled, picture.height, picture.width)
    if points is None:
        return None
    return {"name": "polygon", "all_points_x": points[::2], "all_points_y": points[1::2]}
