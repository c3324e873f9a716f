"""Pascal VOC: pictures of object and of class numbers, and an XML for each picture.

Classes other than VOC's twenty stand in ``class_names.txt``, a line a class, background first, as
labelme's converter writes them.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, parse
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from pycocotools import mask as coco_mask

from maskstream.engines.files.class_names import PASCAL
from maskstream.train.errors import AnnotationError
from maskstream.train.formats.labelled import (
    CROWDS,
    Box,
    LabelledObject,
    LabelledPicture,
    LabelledSet,
    Reading,
    ReadOptions,
    encode,
)
from maskstream.train.formats.pictures import copy_pictures, picture_size, pictures_in
from maskstream.train.formats.shapes import box
from maskstream.train.formats.text_file import read_text
from maskstream.train.formats.voc_maps import (
    CLASS_FOLDER,
    OBJECT_FOLDER,
    PICTURE_FOLDER,
    objects_of,
)

XML_FOLDER = "Annotations"
CLASS_LIST = "class_names.txt"
_OBJECTS_MAX = 254
_BACKGROUND = "_background_"


def read_voc_folder(source: Path, options: ReadOptions) -> LabelledSet:
    """Read a folder such as VOC2012; objects of the XML that have no mask keep their box.

    Raises:
        AnnotationError: Something is missing or broken, or the parts contradict each other.
    """
    if not (source / OBJECT_FOLDER).is_dir() and not any(_xml_folder(source).glob("[!.]*.xml")):
        raise AnnotationError(
            f"{source}: has neither {OBJECT_FOLDER} nor XML, beside it or in {XML_FOLDER}."
        )
    names = _class_names(source)
    pictures = {p.stem: p for p in pictures_in(options.images or _picture_folder(source))}
    reading = Reading(source)
    for stem in _stems(source, options.split):
        try:
            reading.pictures.append(_read_picture(source, stem, pictures, names))
        except AnnotationError as exc:
            reading.faults.append(str(exc))
    bare = len(set(pictures) - {picture.path.stem for picture in reading.pictures})
    if bare:
        reading.left_out["pictures without masks and without XML, or of another split"] += bare
    return reading.finish(names)


def _xml_folder(source: Path) -> Path:
    """Return where the XML is: tools that know no masks write it beside the pictures."""
    folder = source / XML_FOLDER
    return folder if folder.is_dir() else source


def _picture_folder(source: Path) -> Path:
    folder = source / PICTURE_FOLDER
    return folder if folder.is_dir() else source


def _class_names(source: Path) -> list[str]:
    """Return the classes: listed, VOC's twenty, or without masks whatever the XML names."""
    path = source / CLASS_LIST
    if not path.is_file():
        if (source / OBJECT_FOLDER).is_dir():
            return list(PASCAL)
        files = sorted(_xml_folder(source).glob("[!.]*.xml"))
        seen = {name for file in files for name, _ in _read_xml(file, None)}
        return list(PASCAL) if seen <= set(PASCAL) else sorted(seen)
    names = read_text(path, "a class name a line, in UTF-8,").split("\n")
    names = [name.strip() for name in names if name.strip() not in ("", "__ignore__")]
    if names[:1] != [_BACKGROUND]:
        raise AnnotationError(f"{path}:1: {names[:1]}; {_BACKGROUND} has to come first.")
    return names[1:]


def _stems(source: Path, split: str | None) -> list[str]:
    """Return the names of the pictures that have masks or an XML."""
    if split is None:
        masks = (source / OBJECT_FOLDER).glob("[!.]*.png")
        return sorted({p.stem for p in (*masks, *_xml_folder(source).glob("[!.]*.xml"))})
    path = source / "ImageSets" / "Segmentation" / f"{split}.txt"
    if not path.is_file():
        raise AnnotationError(f"{path}: no such file; --split takes the name of one beside it.")
    return read_text(path, "a list of names in UTF-8").split()


def _read_picture(
    source: Path, stem: str, pictures: dict[str, Path], names: Sequence[str]
) -> LabelledPicture:
    if stem not in pictures:
        raise AnnotationError(f"{_picture_folder(source) / stem}: no such picture")
    width, height = picture_size(pictures[stem])
    xml = _xml_folder(source) / f"{stem}.xml"
    listed = _read_xml(xml, names)
    masked: dict[int, LabelledObject] = {}
    if (source / OBJECT_FOLDER / f"{stem}.png").is_file():
        masked = _read_masks(source, stem, (height, width), names)
    # The first object of the XML is number 1 of the masks.
    for number, (name, placed) in enumerate(listed, 1):
        labelled = masked.setdefault(number, LabelledObject(name, None, placed))
        if labelled.class_name != name:
            raise AnnotationError(
                f"{xml}: object {number}: is {name!r}; {CLASS_FOLDER} says {labelled.class_name!r}"
            )
    objects = tuple(masked[number] for number in sorted(masked))
    return LabelledPicture(pictures[stem], width, height, objects)


def _read_masks(
    source: Path, stem: str, size: tuple[int, int], names: Sequence[str]
) -> dict[int, LabelledObject]:
    """Return the objects by their numbers."""
    maps = []
    for folder in (OBJECT_FOLDER, CLASS_FOLDER):
        path = source / folder / f"{stem}.png"
        maps.append(_numbers(path))
        if maps[-1].shape != size:
            found = f"{maps[-1].shape[1]}x{maps[-1].shape[0]}"
            raise AnnotationError(f"{path}: is {found}; its picture is {size[1]}x{size[0]}")
    try:
        found_objects = objects_of(*maps)
    except ValueError as exc:
        raise AnnotationError(f"{path}: {exc}") from exc
    unknown = [class_number for class_number, _ in found_objects if class_number > len(names)]
    if unknown:
        raise AnnotationError(f"{path}: class {unknown[0]}; there are {len(names)}")
    return {
        int(maps[0][mask > 0][0]): LabelledObject(names[class_number - 1], encode(mask))
        for class_number, mask in found_objects
    }


def _numbers(path: Path) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as picture:
            if picture.mode not in ("P", "L"):
                raise AnnotationError(f"{path}: is {picture.mode}; a palette is needed")
            return np.array(picture, np.uint8)
    except (OSError, UnidentifiedImageError) as exc:
        raise AnnotationError(f"{path}: no picture that can be read") from exc


def _read_xml(path: Path, names: Sequence[str] | None) -> list[tuple[str, Box]]:
    """Return the class and box of each object; VOC's corners count from 1 and are inside.

    Args:
        names: The classes that there are; any if None.
    """
    if not path.is_file():
        return []
    try:
        root = parse(path).getroot()
    except ParseError as exc:
        raise AnnotationError(f"{path}:{exc.position[0]}: {exc}; XML is needed") from exc
    except DefusedXmlException as exc:
        raise AnnotationError(f"{path}: declares entities, which no annotation needs") from exc
    found = []
    for number, entry in enumerate(root.iter("object"), 1):
        name = (entry.findtext("name") or "").strip()
        corners = [entry.findtext(f"bndbox/{k}") for k in ("xmin", "ymin", "xmax", "ymax")]
        try:
            left, top, right, bottom = (float(corner or "none") for corner in corners)
            placed = box(left - 1, top - 1, right - left + 1, bottom - top + 1)
        except (AnnotationError, ValueError) as exc:
            raise AnnotationError(f"{path}: object {number}: its box is {corners}") from exc
        if names is not None and name not in names:
            raise AnnotationError(
                f"{path}: object {number}: its class {name!r} is not one of {len(names)}; "
                f"{CLASS_LIST} lists classes of one's own"
            )
        found.append((name, placed))
    return found


def write_voc_folder(dataset: LabelledSet, target: Path) -> Counter[str]:
    """Write a folder; a pixel belongs to one object there, of several to the smallest."""
    left_out: Counter[str] = Counter()
    copies = copy_pictures(dataset.pictures, target / PICTURE_FOLDER)
    for folder in (OBJECT_FOLDER, CLASS_FOLDER, XML_FOLDER):
        (target / folder).mkdir(exist_ok=True)
    listed = "\n".join([_BACKGROUND, *dataset.class_names])
    (target / CLASS_LIST).write_text(f"{listed}\n", encoding="utf-8")
    for picture, copy in zip(dataset.pictures, copies, strict=True):
        crowds = sum(labelled.is_crowd for labelled in picture.objects)
        objects = [labelled for labelled in picture.objects if not labelled.is_crowd]
        objects.sort(key=lambda labelled: -_pixels(labelled, picture))  # as they are numbered
        left_out[CROWDS] += crowds
        maps = _maps(objects, picture, dataset.class_names, left_out)
        for folder, numbers in zip((OBJECT_FOLDER, CLASS_FOLDER), maps, strict=True):
            image = Image.fromarray(numbers, "P")
            image.putpalette(_palette().reshape(-1).tolist())
            image.save(target / folder / f"{copy.stem}.png")
        _write_xml(target / XML_FOLDER / f"{copy.stem}.xml", copy.name, picture, objects)
    return +left_out


def _pixels(labelled: LabelledObject, picture: LabelledPicture) -> int:
    """Return the size of a mask; less than any where there is none."""
    if labelled.segmentation is None:
        return -1
    return int(coco_mask.area(labelled.rle(picture.height, picture.width)))


def _maps(
    objects: Sequence[LabelledObject],
    picture: LabelledPicture,
    names: Sequence[str],
    left_out: Counter[str],
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the numbers of objects and of classes."""
    masked = [labelled for labelled in objects if labelled.segmentation is not None]
    left_out[f"masks of a picture after the first {_OBJECTS_MAX}"] += len(masked[_OBJECTS_MAX:])
    object_map = np.zeros((picture.height, picture.width), np.uint8)
    class_map = np.zeros_like(object_map)
    hidden: set[int] = set()
    for number, labelled in enumerate(masked[:_OBJECTS_MAX], 1):
        inside = labelled.mask(picture.height, picture.width) > 0
        hidden |= set(np.unique(object_map[inside]).tolist()) - {0}
        object_map[inside] = number
        class_map[inside] = names.index(labelled.class_name) + 1
    left_out["masks of which another object hides a part; the rest is kept"] += len(hidden)
    return object_map, class_map


def _palette() -> NDArray[np.uint8]:
    """Return VOC's (256, 3) colours: the bits of a number dealt out to red, green and blue."""
    numbers = np.arange(256)
    colors = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            value = numbers >> (3 * bit + channel) & 1
            colors[:, channel] |= (value << (7 - bit)).astype(np.uint8)
    return colors


def _write_xml(
    path: Path, name: str, picture: LabelledPicture, objects: Sequence[LabelledObject]
) -> None:
    root = ET.Element("annotation")
    ET.SubElement(root, "filename").text = name
    size = ET.SubElement(root, "size")
    for key, value in (("width", picture.width), ("height", picture.height), ("depth", 3)):
        ET.SubElement(size, key).text = str(value)
    is_masked = any(labelled.segmentation is not None for labelled in objects)
    ET.SubElement(root, "segmented").text = str(int(is_masked))
    for labelled in objects:
        entry = ET.SubElement(root, "object")
        ET.SubElement(entry, "name").text = labelled.class_name
        left, top, width, height = labelled.box(picture.height, picture.width)
        corners = (left + 1, top + 1, left + width, top + height)
        bounds = ET.SubElement(entry, "bndbox")
        for key, corner in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True):
            ET.SubElement(bounds, key).text = f"{corner:g}"
    ET.indent(root)
    ET.ElementTree(root).write(path, encoding="utf-8")
