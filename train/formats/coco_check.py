"""What is wrong between a COCO JSON and its pictures: all of it at once, before anything begins."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from maskstream.train.errors import AnnotationError

NAMED_MAX = 50
"""Faults that are named one by one; the rest is counted."""
NOTE_MAX = 5
OUTSIDE_PX = 1.0
"""Boxes may reach this far outside their picture: COCO's own are rounded so."""

Entry = Mapping[str, Any]


@dataclass(slots=True)
class Findings:
    """What a look at an annotation file found.

    Attributes:
        faults: With any of these the file cannot be used.
        notes: What can be lived with -> ids of the annotations.
    """

    faults: list[str] = field(default_factory=list)
    notes: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def note_lines(self) -> tuple[str, ...]:
        """Return a line for each kind of note."""
        return tuple(
            f"{text}: {len(ids)} (annotation {', '.join(ids[:NOTE_MAX])}"
            + (f" and {len(ids) - NOTE_MAX} more)" if len(ids) > NOTE_MAX else ")")
            for text, ids in self.notes.items()
        )

    def refuse(self, path: Path) -> None:
        """Raise what was found.

        Raises:
            AnnotationError: There are faults; the text names them.
        """
        if not self.faults:
            return
        count = len(self.faults)
        listed = self.faults[:NAMED_MAX]
        if count > NAMED_MAX:
            listed.append(f"and {count - NAMED_MAX} more")
        head = f"{path}: {count} fault{'s' if count > 1 else ''} to be mended first"
        raise AnnotationError("\n  ".join([f"{head}:", *listed]))


def check_coco(document: Mapping[str, list[Entry]], folder: Path) -> Findings:
    """Look at every image, category and annotation, and at the pictures' files.

    Args:
        document: Laid out as `train.formats.coco_file.check_layout` wants it.
        folder: Where the file names start.
    """
    findings = Findings()
    faults = findings.faults
    for kind in ("images", "categories", "annotations"):
        faults += _repeated(document[kind], kind, "id")
    faults += _repeated(document["categories"], "categories", "name")
    if not document["categories"]:
        faults.append("categories: there are none")
    if faults:  # what follows goes by the ids
        return findings
    faults += _image_faults(document["images"], folder)
    sizes = {int(i["id"]): (int(i["height"]), int(i["width"])) for i in document["images"]}
    categories = {int(category["id"]) for category in document["categories"]}
    for entry in document["annotations"]:
        _check_annotation(entry, sizes, categories, findings)
    return findings


def _repeated(entries: list[Entry], kind: str, key: str) -> Iterator[str]:
    counts = Counter(entry[key] for entry in entries if key in entry)
    for value, count in counts.items():
        if count > 1:
            yield f"{kind}: {count} have the {key} {value}"


def _image_faults(images: list[Entry], folder: Path) -> list[str]:
    missing = [image for image in images if not (folder / str(image["file_name"])).is_file()]
    if missing and len(missing) == len(images):
        return [
            f"{folder / str(missing[0]['file_name'])}: no such picture, nor any of the others; "
            "name the folder that the file names start in with --images"
        ]
    faults = [f"image {i['id']}: {folder / str(i['file_name'])}: no such picture" for i in missing]
    absent = {image["id"] for image in missing}
    for image in images:
        if image["id"] not in absent:
            faults += _size_faults(image, folder / str(image["file_name"]))
    return faults


def _size_faults(image: Entry, path: Path) -> list[str]:
    try:
        with Image.open(path) as opened:  # reads the header alone
            width, height = opened.size
    except (OSError, UnidentifiedImageError):
        return [f"image {image['id']}: {path}: no picture that can be read"]
    if (width, height) == (image["width"], image["height"]):
        return []
    return [
        f"image {image['id']}: {path}: is {width}x{height}; the file says "
        f"{image['width']}x{image['height']}"
    ]


def _check_annotation(
    entry: Entry,
    sizes: Mapping[int, tuple[int, int]],
    categories: set[int],
    findings: Findings,
) -> None:
    name = f"annotation {entry.get('id')}"
    size = sizes.get(int(entry["image_id"]))
    if int(entry["category_id"]) not in categories:
        findings.faults.append(
            f"{name}: is of category {entry['category_id']}; the file lists {sorted(categories)}"
        )
    if size is None:
        findings.faults.append(
            f"{name}: is for image {entry['image_id']}, which the file does not list"
        )
        return
    _note_box(entry, size, findings)
    fault = _mask_fault(entry.get("segmentation"), size)
    if fault:
        findings.faults.append(f"{name}: {fault}")


def _note_box(entry: Entry, size: tuple[int, int], findings: Findings) -> None:
    left, top, width, height = entry["bbox"]
    name = str(entry.get("id"))
    if width <= 0 or height <= 0:
        findings.notes["objects with an empty box, left out"].append(name)
    elif left >= size[1] or top >= size[0] or left + width <= 0 or top + height <= 0:
        findings.notes["objects outside their picture, left out"].append(name)
    elif (
        min(left, top) < -OUTSIDE_PX
        or left + width > size[1] + OUTSIDE_PX
        or top + height > size[0] + OUTSIDE_PX
    ):
        findings.notes["objects that reach outside their picture, cut off there"].append(name)


def _mask_fault(segmentation: Any, size: tuple[int, int]) -> str | None:
    """Return what is wrong with a mask: polygons, or run-length code of either kind."""
    if not segmentation:
        return None
    if isinstance(segmentation, list):
        if all(len(part) >= 6 and len(part) % 2 == 0 for part in segmentation):
            return None
        return "a polygon of its mask has fewer than three points, or half a point"
    if tuple(segmentation["size"]) == size:
        return None
    height, width = segmentation["size"]
    return f"its mask is for {width}x{height}; its picture is {size[1]}x{size[0]}"
