"""Outlines enclose exactly the pixels of their masks."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from maskstream.train.formats.outlines import outline


def filled(points, mask):
    return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects([points], *mask.shape)))


def test_a_rectangle_has_its_four_corners():
    mask = np.zeros((6, 8), np.uint8)
    mask[1:4, 2:7] = 1
    points = outline(mask)
    assert sorted(zip(points[::2], points[1::2], strict=True)) == [(2, 1), (2, 4), (7, 1), (7, 4)]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 1.0])
def test_any_mask_is_given_back_by_pycocotools(share):
    random = np.random.default_rng(int(10 * share))
    for _ in range(50):
        mask = (random.random(random.integers(1, 30, 2)) < share).astype(np.uint8)
        if mask.any():
            assert np.array_equal(filled(outline(mask), mask), mask)
