"""A project of VGG Image Annotator 3, laid out as version 2 saves its annotations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from maskstream.train.formats.json_file import JsonFile
from maskstream.train.formats.labelled import Reading
from maskstream.train.formats.schemas import Via3Project

_KEYS = {"project", "attribute", "file", "view", "metadata"}
_KINDS = {1: "point", 5: "line", 6: "polyline", 9: "extreme circle"}
"""Numbers of the shapes that are not taken over -> their names."""


def is_via3(document: Any) -> bool:
    """Return whether a JSON is a project of VIA 3."""
    return isinstance(document, dict) and document.keys() >= _KEYS


def entries_of(file: JsonFile, reading: Reading) -> dict[str, dict[str, Any]]:
    """Return the pictures as VIA 2 has them, by their file ids; regions by their metadata ids.

    Args:
        reading: Takes what belongs to no picture as left out.

    Raises:
        AnnotationError: It is laid out otherwise.
    """
    file.check(Via3Project)
    document = file.document
    entries = {
        fid: {"filename": entry["fname"], "regions": {}} for fid, entry in document["file"].items()
    }
    for name, metadata in document["metadata"].items():
        shown = [
            str(fid) for fid in document["view"].get(str(metadata["vid"]), {}).get("fid_list", [])
        ]
        if metadata["z"]:
            reading.left_out["regions and segments of a moment of a video"] += 1
        elif not metadata["xy"]:
            reading.left_out["attributes of whole pictures"] += 1
        elif len(shown) != 1 or shown[0] not in entries:
            reading.left_out["regions of no picture, or of several"] += 1
        else:
            entries[shown[0]]["regions"][name] = {
                "shape_attributes": _shape(metadata["xy"]),
                "region_attributes": _attributes(metadata["av"], document["attribute"]),
            }
    return entries


def _shape(numbers: list[float]) -> dict[str, Any]:
    """Return a shape of VIA 3, its kind and then its numbers, as VIA 2 names them."""
    kind, values = int(numbers[0]), numbers[1:]
    if kind == 8:  # the four outermost points
        left, top = min(values[::2]), min(values[1::2])
        values = [left, top, max(values[::2]) - left, max(values[1::2]) - top]
        kind = 2
    if kind == 7:
        return {"name": "polygon", "all_points_x": values[::2], "all_points_y": values[1::2]}
    names = {
        2: ("rect", "x", "y", "width", "height"),
        3: ("circle", "cx", "cy", "r"),
        4: ("ellipse", "cx", "cy", "rx", "ry"),
    }.get(kind)
    if names is None:
        return {"name": _KINDS.get(kind, f"number {kind}")}
    return {"name": names[0], **dict(zip(names[1:], values, strict=False))}


def _attributes(values: Mapping[str, str], known: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes by their names; a choice by what it says, several as ticked boxes."""
    named: dict[str, Any] = {}
    for aid, value in values.items():
        attribute = known.get(aid, {})
        options = attribute.get("options") or {}
        chosen = [options.get(part, part) for part in str(value).split(",")] if options else []
        is_one = len(chosen) == 1
        text: Any = chosen[0] if is_one else dict.fromkeys(chosen, True) if chosen else value
        named[str(attribute.get("aname", aid))] = text
    return named
