"""Formats of labelled pictures: read into one form, and written from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from maskstream.train.formats.coco_file import read_coco_file, write_coco_file
from maskstream.train.formats.label_studio import read_label_studio, write_label_studio
from maskstream.train.formats.labelled import LabelledSet, ReadOptions
from maskstream.train.formats.labelme import read_labelme, write_labelme
from maskstream.train.formats.open_images import read_open_images, write_open_images
from maskstream.train.formats.via import read_via, write_via
from maskstream.train.formats.voc import read_voc_folder, write_voc_folder
from maskstream.train.formats.yolo import read_yolo, write_yolo

__all__ = ["FORMATS", "Format", "LabelledSet", "ReadOptions"]


@dataclass(frozen=True, slots=True)
class Format:
    """How one format is read and written.

    Attributes:
        read: Takes the source; raises `train.errors.AnnotationError` with every fault.
        write: Returns what was left out, and how often.
        is_folder: It is written as a folder, else as one JSON.
    """

    read: Callable[[Path, ReadOptions], LabelledSet]
    write: Callable[[LabelledSet, Path], Counter[str]]
    is_folder: bool


FORMATS: Mapping[str, Format] = {
    "coco": Format(read_coco_file, write_coco_file, is_folder=False),
    "labelstudio": Format(read_label_studio, write_label_studio, is_folder=False),
    "via": Format(read_via, write_via, is_folder=False),
    "labelme": Format(read_labelme, write_labelme, is_folder=True),
    "yolo": Format(read_yolo, write_yolo, is_folder=True),
    "voc": Format(read_voc_folder, write_voc_folder, is_folder=True),
    "openimages": Format(read_open_images, write_open_images, is_folder=True),
}
