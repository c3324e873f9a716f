"""Text files of polygons as shares of the picture's sides, a line an object, beside a data.yaml.

The pictures lie in folders called ``images``, the text of each in the folder ``labels`` beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from maskstream.train.errors import AnnotationError
from maskstream.train.formats.labelled import (
    CROWDS,
    LabelledObject,
    LabelledPicture,
    LabelledSet,
    Reading,
    ReadOptions,
)
from maskstream.train.formats.pictures import SUFFIXES, copy_pictures, picture_size, pictures_in
from maskstream.train.formats.shapes import box, polygon, single_polygon
from maskstream.train.formats.text_file import read_text

_SPLITS = ("train", "val", "test")
SHARE_SLACK = 0.01
"""Shares may be this far outside 0..1: tools round, and people draw a little over the edge."""


def read_yolo(source: Path, options: ReadOptions) -> LabelledSet:
    """Read the pictures of one split, and the text of each; without text it has no objects.

    Args:
        source: The data.yaml, or the folder that it is in. Label Studio and CVAT write a list of
            names in place of a data.yaml; all pictures of the folder are read then.

    Raises:
        AnnotationError: Something is broken, or there are several splits and none is named.
    """
    listed = _name_list_in(source)
    if listed is not None:
        reading = Reading(listed)
        found = pictures_in(options.images or source)
        return _read_pictures(found, _listed_names(listed), reading)
    path = _yaml_in(source)
    document = _load(path)
    names = _class_names(path, document.get("names"))
    there = [name for name in _SPLITS if document.get(name)]
    split = options.split or (there[0] if len(there) == 1 else None)
    if split not in there:
        raise AnnotationError(f"{path}: has {', '.join(there) or 'no pictures'}; --split NAME.")
    reading = Reading(path)
    found = []
    for entry in document[split] if isinstance(document[split], list) else [document[split]]:
        found += _pictures_of(path, document, str(entry), options.images)
    return _read_pictures(found, names, reading)


def _read_pictures(found: Sequence[Path], names: Sequence[str], reading: Reading) -> LabelledSet:
    if found and not any(_labels_of(picture).is_file() for picture in found):
        reading.faults.append(
            f"none of {len(found)} pictures has a text; the first one's would be "
            f"{_labels_of(found[0])}"
        )
        return reading.finish(names)
    for picture in found:
        _read_picture(picture, names, reading)
    return reading.finish(names)


def _name_list_in(source: Path) -> Path | None:
    """Return a folder's list of class names, where it stands for a data.yaml."""
    if source.is_file() or any((*source.glob("*.yaml"), *source.glob("*.yml"))):
        return None
    found = sorted([*source.glob("classes.txt"), *source.glob("*.names")])
    return found[0] if len(found) == 1 else None


def _listed_names(path: Path) -> list[str]:
    """Return a class name a line."""
    try:
        names = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as exc:
        raise AnnotationError(f"{path}: cannot be read as text ({exc}).") from exc
    return _class_names(path, [name.strip() for name in names if name.strip()])


def _yaml_in(source: Path) -> Path:
    if source.is_file():
        return source
    found = sorted([*source.glob("*.yaml"), *source.glob("*.yml")])
    if not found:
        raise AnnotationError(
            f"{source}: has no data.yaml, no classes.txt and no list that ends in .names; the "
            "names of the classes are needed."
        )
    if len(found) > 1:
        raise AnnotationError(
            f"{source}: {len(found)} files end in .yaml; name the one that lists the classes."
        )
    return found[0]


def _load(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark else 1
        raise AnnotationError(f"{path}:{line}: {exc.problem}; YAML is needed.") from exc
    except (OSError, ValueError, yaml.YAMLError) as exc:
        raise AnnotationError(f"{path}: cannot be read as YAML ({exc}).") from exc
    if not isinstance(document, dict):
        raise AnnotationError(f"{path}:1: no keys; names, and one of {', '.join(_SPLITS)}.")
    return document


def _class_names(path: Path, names: Any) -> list[str]:
    if isinstance(names, dict) and sorted(names) == list(range(len(names))):
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list) or not names or len(set(map(str, names))) < len(names):
        raise AnnotationError(
            f"{path}: names is {names!r}; a list of different names, or names by 0, 1, 2, ..."
        )
    return [str(name) for name in names]


def _pictures_of(
    path: Path, document: dict[str, Any], entry: str, images: Path | None
) -> list[Path]:
    """Return the pictures of a folder, or of a text file with a picture a line."""
    roots = [path.parent / str(document.get("path") or ""), path.parent]
    if images is not None:
        roots = [images]
    # Exports often say ../train/images for what lies beside their data.yaml.
    names = [entry, entry.removeprefix("../")]
    for candidate in (root / name for root in roots for name in names):
        if candidate.is_dir():
            return pictures_in(candidate)
        if candidate.is_file():
            return _listed(candidate)
    raise AnnotationError(f"{path}: {entry}: no such folder or list of pictures.")


def _listed(path: Path) -> list[Path]:
    found = []
    text = read_text(path, "a list of pictures in UTF-8")
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            picture = path.parent / line.strip()
            if picture.suffix.lower() not in SUFFIXES or not picture.is_file():
                raise AnnotationError(f"{path}:{number}: {line.strip()}: no such picture.")
            found.append(picture)
    return found


def _labels_of(picture: Path) -> Path:
    """Return where a picture's text is: in ``labels`` for the last ``images``, or beside it."""
    beside = picture.with_suffix(".txt")
    if beside.is_file():
        return beside
    parts = list(picture.parts)
    for at in range(len(parts) - 2, -1, -1):
        if parts[at] == "images":
            parts[at] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _read_picture(picture: Path, names: Sequence[str], reading: Reading) -> None:
    try:
        width, height = picture_size(picture)
    except AnnotationError as exc:
        reading.faults.append(str(exc))
        return
    path = _labels_of(picture)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines() if path.is_file() else []
    except (OSError, ValueError) as exc:
        reading.faults.append(f"{path}: cannot be read as text ({exc})")
        return
    objects = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            objects.append(_read_line(line.split(), names, width, height))
        except (AnnotationError, ValueError) as exc:
            reading.faults.append(f"{path}:{number}: {exc}")
    reading.pictures.append(LabelledPicture(picture, width, height, tuple(objects)))


def _read_line(
    words: Sequence[str], names: Sequence[str], width: int, height: int
) -> LabelledObject:
    class_id = int(words[0]) if words[0].isdigit() else -1
    if class_id not in range(len(names)):
        raise AnnotationError(f"class {words[0]}; data.yaml lists 0 to {len(names) - 1}")
    shares = [float(word) for word in words[1:]]
    for share in shares:
        if not -SHARE_SLACK <= share <= 1 + SHARE_SLACK:
            raise AnnotationError(f"{share}; shares of the picture's side are needed, 0 to 1")
    if len(shares) == 4:
        x, y, across, down = shares
        placed = box(
            (x - across / 2) * width, (y - down / 2) * height, across * width, down * height
        )
        return LabelledObject(names[class_id], None, placed)
    if len(shares) % 2:
        raise AnnotationError(f"{len(shares)} numbers; four for a box, or pairs for a polygon")
    points = polygon([x * width for x in shares[::2]], [y * height for y in shares[1::2]])
    return LabelledObject(names[class_id], [points])


def write_yolo(dataset: LabelledSet, target: Path) -> Counter[str]:
    """Write a folder with the pictures, a text for each, and a data.yaml.

    Several parts and holes become one outline with the same pixels.
    """
    left_out: Counter[str] = Counter()
    ids = {name: number for number, name in enumerate(dataset.class_names)}
    copies = copy_pictures(dataset.pictures, target / "images" / "train")
    labels = target / "labels" / "train"
    labels.mkdir(parents=True, exist_ok=True)
    for picture, copy in zip(dataset.pictures, copies, strict=True):
        lines = []
        for labelled in picture.objects:
            shares = None if labelled.is_crowd else _shares(labelled, picture)
            if shares is None:
                left_out[CROWDS if labelled.is_crowd else "empty masks"] += 1
                continue
            lines.append(" ".join([str(ids[labelled.class_name]), *map(repr, shares)]))
        text = "".join(f"{line}\n" for line in lines)
        (labels / f"{copy.stem}.txt").write_text(text, encoding="utf-8")
    document = {"path": ".", "train": "images/train", "names": list(dataset.class_names)}
    (target / "data.yaml").write_text(
        yaml.safe_dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8"
    )
    return left_out


def _shares(labelled: LabelledObject, picture: LabelledPicture) -> list[float] | None:
    width, height = picture.width, picture.height
    if labelled.segmentation is None:
        left, top, across, down = labelled.box(height, width)
        middle = [(left + across / 2) / width, (top + down / 2) / height]
        return [*middle, across / width, down / height]
    points = single_polygon(labelled, height, width)
    if points is None:
        return None
    return [value / (height if at % 2 else width) for at, value in enumerate(points)]
