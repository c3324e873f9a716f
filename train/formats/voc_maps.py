"""How Pascal VOC draws objects: one picture of object numbers, one of class numbers.

Source: Everingham et al., "The PASCAL Visual Object Classes Challenge 2012 Development Kit",
section 6 (palette pictures; 0 is background, 255 is the border that belongs to nobody).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PICTURE_FOLDER = "JPEGImages"
OBJECT_FOLDER = "SegmentationObject"
CLASS_FOLDER = "SegmentationClass"
_BORDER = 255


def objects_of(
    object_map: NDArray[np.uint8], class_map: NDArray[np.uint8]
) -> list[tuple[int, NDArray[np.uint8]]]:
    """Return each object's 1-based class and its mask of 0 and 1.

    Args:
        object_map: (H, W) object numbers.
        class_map: (H, W) class numbers; an object's class is that of most of its pixels.

    Raises:
        ValueError: An object has no class.
    """
    found = []
    for number in np.unique(object_map):
        if number in (0, _BORDER):
            continue
        mask = object_map == number
        classes = np.bincount(class_map[mask], minlength=_BORDER + 1)
        classes[[0, _BORDER]] = 0
        if not classes.any():
            raise ValueError(f"object {number} has no class")
        found.append((int(classes.argmax()), mask.astype(np.uint8)))
    return found
