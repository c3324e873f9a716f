"""Instances: masks over their extents, and COCO's run-length code."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from maskstream.engines.interface.instances import Instances, to_rle


def _one(patch, extent):
    return Instances(
        boxes_xyxy_src=np.array([extent], np.float32),
        scores=np.array([0.9], np.float32),
        class_ids=np.array([0], np.int32),
        extents_xyxy_src=np.array([extent], np.int32),
        patches=(np.asarray(patch, np.uint8),),
    )


def test_mask_is_cut_at_one_half_after_scaling():
    # 0 | 255 scaled bilinearly to four columns: 0, 63.75, 191.25, 255.
    instances = _one([[0, 255]], (0, 0, 4, 1))
    np.testing.assert_array_equal(instances.mask(0), [[0, 0, 1, 1]])


def test_mask_threshold_is_128():
    np.testing.assert_array_equal(_one([[127, 128]], (5, 5, 7, 6)).mask(0), [[0, 1]])


def test_rle_of_two_columns_when_written_by_hand():
    # A 2 x 3 frame whose middle column is set: column-wise 2 zeros, 2 ones, 2 zeros.
    rle = to_rle(_one([[255], [255]], (1, 0, 2, 2)), 0, height=2, width=3)
    assert rle == {"size": [2, 3], "counts": "222"}


@pytest.mark.parametrize("seed", range(60))
def test_rle_equals_pycocotools_for_random_masks(seed):
    random = np.random.default_rng(seed)
    height, width = (int(n) for n in random.integers(1, 50, 2))
    left, top = int(random.integers(0, width)), int(random.integers(0, height))
    right = int(random.integers(left + 1, width + 1))
    bottom = int(random.integers(top + 1, height + 1))
    shape = (bottom - top, right - left)
    patch = (random.random(shape) < random.choice([0.0, 0.1, 0.5, 0.9, 1.0])) * 255
    instances = _one(patch, (left, top, right, bottom))
    whole = np.zeros((height, width), np.uint8)
    whole[top:bottom, left:right] = patch > 0
    expected = coco_mask.encode(np.asfortranarray(whole))
    assert to_rle(instances, 0, height, width)["counts"] == expected["counts"].decode()


def test_rle_of_a_full_hd_mask_equals_pycocotools():
    y, x = np.mgrid[-100:100, -50:50]
    patch = ((x**2 + (y / 2) ** 2) < 2000) * 255
    instances = _one(patch, (1500, 200, 1800, 1080))
    whole = np.zeros((1080, 1920), np.uint8)
    whole[200:1080, 1500:1800] = instances.mask(0)
    expected = coco_mask.encode(np.asfortranarray(whole))
    assert to_rle(instances, 0, 1080, 1920)["counts"] == expected["counts"].decode()


def test_select_keeps_rows_and_their_patches():
    both = Instances(
        boxes_xyxy_src=np.array([[0, 0, 1, 1], [2, 2, 4, 4]], np.float32),
        scores=np.array([0.9, 0.5], np.float32),
        class_ids=np.array([0, 3], np.int32),
        extents_xyxy_src=np.array([[0, 0, 1, 1], [2, 2, 4, 4]], np.int32),
        patches=(np.full((1, 1), 7, np.uint8), np.full((2, 2), 9, np.uint8)),
    )
    second = both.select([False, True])
    assert len(second) == 1
    assert second.class_ids.tolist() == [3]
    assert second.patches[0].tolist() == [[9, 9], [9, 9]]
    assert len(Instances.empty().select([])) == 0
