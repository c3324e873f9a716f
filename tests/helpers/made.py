"""A small labelled set with everything that a format may have to hold."""

import json
from pathlib import Path

import cv2
import numpy as np

from maskstream.train.formats import FORMATS, ReadOptions
from maskstream.train.formats.labelled import LabelledObject, LabelledPicture, LabelledSet, encode

NAMES = ("apple", "Grüne Birne")
SIZE = (61, 47)
"""Width and height; odd, so that shares of them are no short fractions."""
TRIANGLE = [3.25, 4.5, 40.75, 9.1, 12.34, 38.05]
PARTS = [[45.0, 2.0, 58.0, 2.0, 58.0, 9.0, 45.0, 9.0], [40.5, 20.5, 54.1, 22.9, 43.3, 40.2]]


def holed_mask() -> np.ndarray:
    """Two parts that touch at a corner, one with a hole, and a pixel of its own."""
    mask = np.zeros(SIZE[::-1], np.uint8)
    mask[5:20, 8:30] = 1
    mask[10:15, 12:20] = 0
    mask[20:26, 30:40] = 1
    mask[46, 60] = 1
    return mask


def make_set(folder: Path, *, has_crowd: bool = False) -> LabelledSet:
    """Write three pictures; one has no objects."""
    folder.mkdir(parents=True, exist_ok=True)
    apple, pear = NAMES
    crowd = LabelledObject(apple, encode(holed_mask()), is_crowd=True)
    objects = [
        (
            LabelledObject(apple, [TRIANGLE]),
            LabelledObject(pear, PARTS),
            LabelledObject(apple, None, (10.5, 4.25, 20.0, 30.5)),
        ),
        (LabelledObject(pear, encode(holed_mask())), *([crowd] if has_crowd else [])),
        (),
    ]
    pictures = []
    for number, own in enumerate(objects):
        path = folder / f"picture {number}.png"
        pixels = np.random.default_rng(number).integers(0, 255, (*SIZE[::-1], 3), np.uint8)
        cv2.imwrite(str(path), pixels)
        pictures.append(LabelledPicture(path, *SIZE, own))
    return LabelledSet(NAMES, tuple(pictures))


def assert_same(found: LabelledSet, expected: LabelledSet) -> None:
    """Classes, boxes, and every pixel of the masks."""
    assert set(found.class_names) == set(expected.class_names)
    by_name = {picture.path.name: picture for picture in found.pictures}
    assert set(by_name) == {picture.path.name for picture in expected.pictures}
    for picture in expected.pictures:
        other = by_name[picture.path.name]
        assert (other.width, other.height) == (picture.width, picture.height)
        assert other.path.read_bytes() == picture.path.read_bytes()
        assert len(other.objects) == len(picture.objects)
        # Some formats keep masks and boxes apart.
        for kind in (True, False):
            mine = [o for o in picture.objects if (o.segmentation is None) is kind]
            theirs = [o for o in other.objects if (o.segmentation is None) is kind]
            for one, two in zip(mine, theirs, strict=True):
                assert (one.class_name, one.is_crowd) == (two.class_name, two.is_crowd)
                np.testing.assert_allclose(
                    one.box(*SIZE[::-1]), two.box(*SIZE[::-1]), rtol=0, atol=1e-4
                )
                if not kind:
                    assert np.array_equal(one.mask(*SIZE[::-1]), two.mask(*SIZE[::-1]))


def write(path, content):
    """Write text, or anything else as JSON, where its folder may be new; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
    return path


def read(name, source, **options):
    """Read a source in a format by its name."""
    return FORMATS[name].read(source, ReadOptions(**options))
