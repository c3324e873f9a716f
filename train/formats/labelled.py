"""The form that every format of labelled pictures is read into and written from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from maskstream.train.formats.coco_check import Findings

Box = tuple[float, float, float, float]
Segmentation = list[list[float]] | Mapping[str, Any]
CROWDS = "regions of many objects (crowds), which the format cannot hold"


@dataclass(frozen=True, slots=True)
class LabelledObject:
    """One object of a picture.

    Attributes:
        segmentation: COCO's polygons (x, y alternately, in pixels) or its compressed run-length
            code with text as counts; None where only the box is known.
        box_xywh_src: Left, top, width and height in pixels; that of the mask if None.
        is_crowd: A region with many objects that are not told apart.
    """

    class_name: str
    segmentation: Segmentation | None
    box_xywh_src: Box | None = None
    is_crowd: bool = False

    def rle(self, height: int, width: int) -> dict[str, Any]:
        """Return the mask in COCO's compressed form; only for objects that have one."""
        assert self.segmentation is not None
        if isinstance(self.segmentation, Mapping):
            return dict(self.segmentation)
        parts = coco_mask.frPyObjects(self.segmentation, height, width)
        return as_text(coco_mask.merge(parts))

    def mask(self, height: int, width: int) -> NDArray[np.uint8]:
        """Return the (height, width) mask of 0 and 1; only for objects that have one."""
        return np.asarray(coco_mask.decode(self.rle(height, width)), np.uint8)

    def box(self, height: int, width: int) -> Box:
        """Return left, top, width and height in pixels."""
        if self.box_xywh_src is not None:
            return self.box_xywh_src
        left, top, across, down = coco_mask.toBbox(self.rle(height, width)).tolist()
        return left, top, across, down

    def polygon(self) -> list[float] | None:
        """Return the outline where it is a single polygon."""
        if isinstance(self.segmentation, list) and len(self.segmentation) == 1:
            return self.segmentation[0]
        return None


@dataclass(frozen=True, slots=True)
class LabelledPicture:
    """One picture and its objects; it has none where the labels say so."""

    path: Path
    width: int
    height: int
    objects: tuple[LabelledObject, ...]


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """All that was read.

    Attributes:
        class_names: In the format's own order, or sorted where it has none.
        left_out: What was not taken over -> how often.
    """

    class_names: tuple[str, ...]
    pictures: tuple[LabelledPicture, ...]
    left_out: Counter[str] = field(default_factory=Counter)

    def only(self, class_names: Sequence[str]) -> LabelledSet:
        """Return the set with these classes alone, in this order; the rest counts as left out."""
        wanted = set(class_names)
        left_out = self.left_out.copy()
        for name in sorted(set(self.class_names) - wanted):
            count = sum(o.class_name == name for p in self.pictures for o in p.objects)
            if count:
                left_out[f"objects of the class {name}, which --classes does not name"] += count
        pictures = tuple(
            replace(p, objects=tuple(o for o in p.objects if o.class_name in wanted))
            for p in self.pictures
        )
        return LabelledSet(tuple(class_names), pictures, left_out)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What a reader may be told besides the source.

    Attributes:
        images: Folder of the pictures; the source's own if None.
        split: Of formats that hold several; may be None where there is one.
        class_attribute: Of VGG Image Annotator, the attribute that names an object's class.
    """

    images: Path | None = None
    split: str | None = None
    class_attribute: str | None = None


@dataclass(slots=True)
class Reading:
    """What is collected while a source is read, so that all faults are told at once."""

    source: Path
    faults: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    pictures: list[LabelledPicture] = field(default_factory=list)

    def finish(self, class_names: Sequence[str] | None = None) -> LabelledSet:
        """Return what was read.

        Args:
            class_names: The format's own list; those that were seen, sorted, if None.

        Raises:
            AnnotationError: There were faults; the text names them.
        """
        if not self.faults and not self.pictures:
            self.faults.append("no labelled picture in it")
        Findings(faults=self.faults).refuse(self.source)
        if class_names is None:
            class_names = sorted({o.class_name for p in self.pictures for o in p.objects})
        return LabelledSet(tuple(class_names), tuple(self.pictures), +self.left_out)


def as_text(rle: Mapping[str, Any]) -> dict[str, Any]:
    """Return run-length code of pycocotools as JSON takes it."""
    counts = rle["counts"]
    text = counts.decode("ascii") if isinstance(counts, bytes) else counts
    return {"size": [int(side) for side in rle["size"]], "counts": text}


def encode(mask: NDArray[Any]) -> dict[str, Any]:
    """Return a (height, width) mask as COCO's compressed run-length code."""
    return as_text(coco_mask.encode(np.asfortranarray(mask, np.uint8)))
