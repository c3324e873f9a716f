"""From boxes to crops: whole pixels, borders, and the same crop from all kinds of pictures."""

import numpy as np
import pytest

from maskstream.engines.decoding.crops import FittedPicture, RgbPicture, crop_extents
from maskstream.engines.interface.fit import fitted, make_fit


def extents(box, margin=0.0, width=100, height=80):
    return crop_extents(np.array([box], np.float32), margin, width, height)[0].tolist()


@pytest.mark.parametrize(
    ("box", "margin", "expected"),
    [
        ((10, 20, 30, 40), 0, [10, 20, 30, 40]),
        ((10.5, 21, 29.5, 39), 0, [10, 20, 30, 40]),  # out to even pixels
        ((10, 20, 30, 40), 0.1, [8, 18, 32, 42]),  # 2 px more on each side
        ((0, 0, 100, 80), 0.5, [0, 0, 100, 80]),  # the frame ends where it ends
        ((5, 5, 5.4, 5.4), 0, [4, 4, 6, 6]),  # less than a pixel
        ((99.5, 79.5, 100, 80), 0, [98, 78, 100, 80]),
        ((100, 80, 100, 80), 0, [98, 78, 100, 80]),  # nothing, at the very corner
    ],
)
def test_boxes_become_whole_even_pixels_inside_the_frame(box, margin, expected):
    assert extents(box, margin) == expected


def test_a_frame_of_odd_sides_ends_at_its_last_pixel():
    assert extents((90, 70, 101, 81), width=101, height=81) == [90, 70, 101, 81]
    assert extents((0, 0, 1, 1), width=1, height=1) == [0, 0, 1, 1]
    assert extents((100, 80, 101, 81), width=101, height=81) == [100, 80, 101, 81]


def test_no_boxes_make_no_extents():
    assert crop_extents(np.zeros((0, 4), np.float32), 0.1, 10, 10).shape == (0, 4)


@pytest.mark.parametrize("seed", range(20))
def test_extents_are_never_empty_and_hold_the_box(seed):
    random = np.random.default_rng(seed)
    width, height = (int(side) for side in random.integers(1, 300, 2))
    corners = random.uniform(0, 1, (50, 2, 2)) * [width, height]
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1).astype(np.float32)
    found = crop_extents(boxes, random.uniform(0, 0.5), width, height)
    assert (found[:, :2] < found[:, 2:]).all()
    assert (found[:, :2] >= 0).all()
    assert (found[:, 2:] <= [width, height]).all()
    assert (found[:, :2] <= boxes[:, :2]).all()
    assert (found[:, 2:] >= boxes[:, 2:]).all()


def test_crops_show_what_lies_in_their_extents():
    rgb = np.zeros((40, 60, 3), np.uint8)
    rgb[10:20, 30:50] = (255, 128, 7)
    crops = RgbPicture(rgb).cut(np.array([[30, 10, 50, 20], [0, 0, 30, 10]], np.int32), 16)
    assert crops.shape == (2, 16, 16, 3)
    assert (crops[0] == (255, 128, 7)).all()
    assert not crops[1].any()


@pytest.mark.parametrize("kind", ["squash", "letterbox"])
def test_an_input_gives_the_crops_of_its_picture_coarsely(kind):
    rgb = np.zeros((120, 200, 3), np.uint8)
    rgb[40:80, 100:160] = 200
    fit = make_fit(kind, 200, 120, 64)
    crop = FittedPicture(fitted(rgb, 64, kind), fit).cut(
        np.array([[100, 40, 160, 80]], np.int32), 16
    )[0]
    assert (crop[2:-2, 2:-2] == 200).all()
    other = FittedPicture(fitted(rgb, 64, kind), fit).cut(np.array([[0, 0, 60, 30]], np.int32), 16)[
        0
    ]
    assert not other.any()
