"""Overlaps of boxes and masks, worked out by hand."""

import numpy as np
import pytest

from maskstream.stream.tracking.overlap import Shape, box_ious, mask_iou, mask_share


def full(*extent):
    return Shape(np.full((10, 10), 255, np.uint8), np.array(extent, float))


def left_half(*extent):
    patch = np.zeros((16, 16), np.uint8)
    patch[:, :8] = 255
    return Shape(patch, np.array(extent, float))


def test_overlap_of_boxes_is_shared_area_over_all_area():
    first = np.array([[0, 0, 10, 10.0]])
    second = np.array([[5, 0, 15, 10.0], [20, 0, 30, 10], [0, 0, 10, 10]])
    assert box_ious(first, second) == pytest.approx(np.array([[50 / 150, 0, 1]]))


def test_grown_boxes_meet_where_the_boxes_just_miss():
    first, second = np.array([[0, 0, 10, 10.0]]), np.array([[12, 0, 22, 10.0]])
    # Grown by 3 on each side: 16 wide, sharing columns 9 to 13 of -3 to 25.
    assert box_ious(first, second, buffer=0.3) == pytest.approx(np.array([[4 / 28]]))


def test_masks_are_compared_by_what_they_cover_not_by_their_rectangles():
    assert mask_iou(full(0, 0, 40, 40), full(0, 0, 40, 40)) == 1
    assert mask_iou(full(0, 0, 40, 40), left_half(0, 0, 40, 40)) == pytest.approx(0.5, abs=0.05)
    assert mask_iou(full(0, 0, 40, 40), full(40, 0, 80, 40)) == 0
    # The empty right half of the one lies over the other.
    assert mask_iou(left_half(0, 0, 40, 40), full(20, 0, 60, 40)) == pytest.approx(0, abs=0.05)


def test_the_share_of_a_mask_in_another_is_not_symmetric():
    small, large = full(10, 10, 20, 20), full(0, 0, 40, 40)
    assert mask_share(small, large) == pytest.approx(1.0)
    assert mask_share(large, small) == pytest.approx(100 / 1600, abs=0.03)


def test_a_shape_moves_and_scales_with_its_box():
    box, to = np.array([0, 0, 10, 20.0]), np.array([30, 10, 50, 50.0])
    moved = full(0, 0, 10, 20).moved(box, to)
    assert moved.extent.tolist() == [30, 10, 50, 50]


def test_what_leaves_the_frame_is_cut_off():
    patch = np.arange(16, dtype=np.uint8).reshape(4, 4)
    cut = Shape(patch, np.array([-4, 0, 4, 8.0])).inside(100, 100)
    assert cut is not None
    assert (cut.extent.tolist(), cut.patch.tolist()) == ([0, 0, 4, 8], patch[:, 2:].tolist())
    assert Shape(patch, np.array([-8, 0, 0, 8.0])).inside(100, 100) is None
