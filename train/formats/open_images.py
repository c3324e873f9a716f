"""Open Images V6: tables (CSV) of masks, boxes and class names, and a PNG for each mask."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from maskstream.train.errors import AnnotationError
from maskstream.train.formats.labelled import (
    LabelledObject,
    LabelledPicture,
    LabelledSet,
    Reading,
    ReadOptions,
    encode,
)
from maskstream.train.formats.pictures import copy_pictures, picture_size, pictures_in
from maskstream.train.formats.shapes import box
from maskstream.train.formats.text_file import told_faults

MASKS = "annotations-object-segmentation.csv"
BOXES = "annotations-bbox.csv"
_TABLE = "a table (CSV) in UTF-8"
SPLITS = ("train", "validation", "test")
SAME_BOX = 0.002
"""The corners of a mask's box and of the same object in the table of boxes differ by less."""
_CORNERS = ("XMin", "XMax", "YMin", "YMax")
_MASK_COLUMNS = ("MaskPath", "ImageID", "LabelName", *(f"Box{name}" for name in _CORNERS))
_BOX_COLUMNS = ("ImageID", "LabelName", *_CORNERS, "IsGroupOf")

Row = Mapping[str, str]


@dataclass(slots=True)
class _Found:
    """The objects of one picture, and the boxes of those that have masks, by class."""

    objects: list[LabelledObject] = field(default_factory=list)
    boxes: dict[str, list[NDArray[np.float64]]] = field(default_factory=lambda: defaultdict(list))


@dataclass(slots=True)
class _Sources:
    """What rows refer to."""

    names: Mapping[str, str]
    files: Mapping[str, Path]
    reading: Reading
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    found: dict[str, _Found] = field(default_factory=lambda: defaultdict(_Found))

    def size_of(self, image_id: str) -> tuple[int, int]:
        """Return a picture's width and height.

        Raises:
            AnnotationError: It is not here, or broken.
        """
        if image_id not in self.sizes:
            if image_id not in self.files:
                raise AnnotationError(f"{image_id}: no picture of that name")
            self.sizes[image_id] = picture_size(self.files[image_id])
        return self.sizes[image_id]

    def name_of(self, label: str) -> str:
        """Return a class's name.

        Raises:
            AnnotationError: The class descriptions do not have it.
        """
        if label not in self.names:
            raise AnnotationError(f"{label}: the class descriptions do not list it")
        return self.names[label]


def read_open_images(source: Path, options: ReadOptions) -> LabelledSet:
    """Read one split; masks of one picture and class stay objects of their own.

    Boxes that no mask has are objects without mask, and crowds where they are of a group.

    Args:
        source: A folder with the tables; the pictures and PNGs may lie anywhere below it.

    Raises:
        AnnotationError: A table, picture or mask is missing or broken.
    """
    split = _split(source, options.split)
    reading = Reading(source)
    files = {path.stem: path for path in pictures_in(source)}
    if options.images is not None:
        files |= {path.stem: path for path in pictures_in(options.images)}
    sources = _Sources(read_class_names(_table(source, "class-descriptions")), files, reading)
    for name, columns, add in (
        (f"{split}-{MASKS}", _MASK_COLUMNS, _add_mask),
        (f"{split}-{BOXES}", _BOX_COLUMNS, _add_box),
    ):
        for path in sorted(source.rglob(f"*{name}")):
            for line, row in read_rows(path, columns):
                try:
                    add(row, sources)
                except (AnnotationError, ValueError) as exc:
                    reading.faults.append(f"{path}:{line}: {exc}")
    for image_id, found in sources.found.items():
        width, height = sources.sizes[image_id]
        picture = LabelledPicture(files[image_id], width, height, tuple(found.objects))
        reading.pictures.append(picture)
    seen = {o.class_name for picture in reading.pictures for o in picture.objects}
    return reading.finish([n for n in dict.fromkeys(sources.names.values()) if n in seen])


def read_class_names(path: Path) -> dict[str, str]:
    """Return class names by their label; with or without a line of column names.

    Raises:
        AnnotationError: It is no table in UTF-8.
    """
    with told_faults(path, _TABLE), path.open(encoding="utf-8-sig", newline="") as file:
        rows = [row[:2] for row in csv.reader(file) if len(row) >= 2]
    return {label: name for label, name in rows if label != "LabelName"}


def read_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, Row]]:
    """Return the rows of a table, each with its line.

    Raises:
        AnnotationError: It is no table in UTF-8, lacks one of the columns, or a row is short.
    """
    with told_faults(path, _TABLE), path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        missing = set(columns) - set(reader.fieldnames or ())
        if missing:
            raise AnnotationError(f"{path}:1: no column {', '.join(sorted(missing))}.")
        for row in reader:
            if any(row[column] is None for column in columns):
                raise AnnotationError(f"{path}:{reader.line_num}: the row ends too early.")
            yield reader.line_num, row


def _split(source: Path, wanted: str | None) -> str:
    there = [s for s in SPLITS if any(source.rglob(f"*{s}-{MASKS}"))]
    if not there:
        raise AnnotationError(f"{source}: no table SPLIT-{MASKS} below it.")
    split = wanted or (there[0] if len(there) == 1 else None)
    if split not in there:
        raise AnnotationError(f"{source}: has {', '.join(there)}; name one with --split.")
    return split


def _table(source: Path, name: str) -> Path:
    found = sorted(source.rglob(f"*{name}*.csv"))
    if not found:
        raise AnnotationError(f"{source}: no table *{name}*.csv below it.")
    return found[0]


def _shares(row: Row, prefix: str = "") -> NDArray[np.float64]:
    """Return left, right, top and bottom as shares of the picture's sides."""
    corners = np.array([float(row[prefix + name]) for name in _CORNERS])
    if not ((corners >= 0) & (corners <= 1)).all():
        raise AnnotationError(f"corners {corners.tolist()}; shares of 0 to 1 are needed")
    return corners


def _add_mask(row: Row, sources: _Sources) -> None:
    name, image_id = sources.name_of(row["LabelName"]), row["ImageID"]
    width, height = sources.size_of(image_id)
    path = sources.files.get(Path(row["MaskPath"]).stem)
    mask = None if path is None else cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise AnnotationError(f"{row['MaskPath']}: no such mask, or one that cannot be read")
    corners = _shares(row, "Box")
    if mask.shape != (height, width):  # masks are made on smaller pictures
        mask = cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST)
    if not mask.any():
        sources.reading.left_out["empty masks"] += 1
        return
    found = sources.found[image_id]
    found.objects.append(LabelledObject(name, encode(np.asarray(mask > 0, np.uint8))))
    found.boxes[name].append(corners)


def _add_box(row: Row, sources: _Sources) -> None:
    name, image_id = sources.name_of(row["LabelName"]), row["ImageID"]
    width, height = sources.size_of(image_id)
    corners = _shares(row)
    found = sources.found[image_id]
    if any(np.abs(corners - other).max() < SAME_BOX for other in found.boxes[name]):
        return
    left, right, top, bottom = corners * (width, width, height, height)
    placed = box(left, top, right - left, bottom - top)
    found.objects.append(LabelledObject(name, None, placed, is_crowd=row["IsGroupOf"] == "1"))


def write_open_images(dataset: LabelledSet, target: Path) -> Counter[str]:
    """Write a folder with the tables, the pictures and a PNG for each mask, as the split train."""
    left_out: Counter[str] = Counter()
    copies = copy_pictures(dataset.pictures, target / "images")
    (target / "masks").mkdir(exist_ok=True)
    labels = {name: f"/class/{number}" for number, name in enumerate(dataset.class_names, 1)}
    masks: list[list[object]] = []
    boxes: list[list[object]] = []
    for picture, copy in zip(dataset.pictures, copies, strict=True):
        if not picture.objects:
            left_out["pictures without objects, which the format does not list"] += 1
        for number, labelled in enumerate(picture.objects):
            corners = _corners(labelled, picture)
            head: list[object] = [copy.stem, labels[labelled.class_name]]
            if labelled.segmentation is None or labelled.is_crowd:
                boxes.append([*head, *corners, int(labelled.is_crowd)])
                left_out["masks of crowds; their boxes are kept"] += (
                    labelled.segmentation is not None
                )
                continue
            name = f"{copy.stem}_{number:04d}.png"
            mask = labelled.mask(picture.height, picture.width) * 255
            cv2.imwrite(str(target / "masks" / name), mask)
            masks.append([name, *head, *corners])
    _write_rows(target / f"train-{MASKS}", _MASK_COLUMNS, masks)
    _write_rows(target / f"train-{BOXES}", _BOX_COLUMNS, boxes)
    names = [[label, name] for name, label in labels.items()]
    _write_rows(target / "class-descriptions.csv", ("LabelName", "DisplayName"), names)
    return +left_out


def _corners(labelled: LabelledObject, picture: LabelledPicture) -> list[float]:
    left, top, width, height = labelled.box(picture.height, picture.width)
    shares = [
        left / picture.width, (left + width) / picture.width,
        top / picture.height, (top + height) / picture.height,
    ]  # fmt: skip
    return [min(1.0, max(0.0, share)) for share in shares]


def _write_rows(path: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([columns, *rows])
