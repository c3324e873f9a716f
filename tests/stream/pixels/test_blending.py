"""Masks and fills in the planes: one pixel by hand, chroma by an independent count."""

import numpy as np
import pytest

from maskstream.stream.memory.frame import planes_of
from maskstream.stream.pixels.blending import Rect, blend_mask, fill
from maskstream.stream.pixels.colors import Yuv
from tests.helpers.clips import filled

COLOR = Yuv(200, 60, 220)


def gray_frame(width, height, y=100, chroma=128):
    return filled(width, height, y, chroma)


def random_frame(width, height, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, width * height * 3 // 2, np.uint8)
    return planes_of(pixels, width, height)


def copied(planes):
    return [plane.copy() for plane in planes]


def test_a_masked_pixel_is_mixed_in_all_three_planes():
    planes = gray_frame(16, 16)
    blend_mask(planes, np.ones((2, 2), np.uint8), 4, 6, COLOR, 0.45)
    # 0.55 * 100 + 0.45 * 200 = 145; 0.55 * 128 + 0.45 * 60 = 97.4; 70.4 + 0.45 * 220 = 169.4
    assert planes.y[6, 4] == 145
    assert planes.u[3, 2] == 97
    assert planes.v[3, 2] == 169


@pytest.mark.parametrize(("value", "expected"), [(0, 90), (16, 99), (235, 219), (255, 230)])
def test_mixing_reaches_the_ends_of_both_ranges(value, expected):
    # 0.55 * value + 90, rounded: 90, 98.8, 219.25, 230.25
    planes = gray_frame(16, 16, y=value)
    blend_mask(planes, np.ones((4, 4), np.uint8), 0, 0, COLOR, 0.45)
    assert planes.y[0, 0] == expected


@pytest.mark.parametrize(("opacity", "expected"), [(0.0, 100), (1.0, 200)])
def test_opacity_runs_from_nothing_to_the_colour_itself(opacity, expected):
    planes = gray_frame(16, 16)
    blend_mask(planes, np.ones((4, 4), np.uint8), 0, 0, COLOR, opacity)
    assert planes.y[3, 3] == expected


@pytest.mark.parametrize("left", [0, 1, 6, 7])
@pytest.mark.parametrize("top", [0, 1, 4, 5])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 3), (37, 18), (57, 43)])
def test_only_masked_pixels_change_and_chroma_where_two_of_four_do(left, top, width, height):
    planes = random_frame(64, 48)
    before = copied(planes)
    mask = np.random.default_rng(1).integers(0, 2, (height, width), np.uint8)
    blend_mask(planes, mask, left, top, COLOR, 1.0)

    whole = np.zeros((48, 64), bool)
    whole[top : top + height, left : left + width] = mask
    of_four = whole.reshape(24, 2, 32, 2).sum(axis=(1, 3))
    for plane, old, value, is_on in zip(
        planes, before, COLOR, (whole, of_four >= 2, of_four >= 2), strict=True
    ):
        np.testing.assert_array_equal(plane, np.where(is_on, value, old))


@pytest.mark.parametrize("shift", [0, 1])
def test_chroma_never_bleeds_more_than_one_pixel_beyond_the_mask(shift):
    planes = gray_frame(64, 48)
    left, top, side = 20 + shift, 10 + shift, 15
    blend_mask(planes, np.ones((side, side), np.uint8), left, top, COLOR, 0.45)
    rows, columns = np.nonzero(planes.u != 128)
    assert 2 * columns.min() >= left - 1
    assert 2 * rows.min() >= top - 1
    assert 2 * columns.max() + 1 <= left + side
    assert 2 * rows.max() + 1 <= top + side


def test_a_fill_covers_the_same_pixels_in_luma_and_chroma():
    planes = gray_frame(16, 16)
    fill(planes, Rect(2, 4, 8, 6), COLOR)
    assert np.argwhere(planes.y == COLOR.y).tolist() == [
        [row, column] for row in (4, 5) for column in range(2, 8)
    ]
    assert np.argwhere(planes.u == COLOR.u).tolist() == [[2, 1], [2, 2], [2, 3]]
    assert np.argwhere(planes.v == COLOR.v).tolist() == [[2, 1], [2, 2], [2, 3]]


@pytest.mark.parametrize(
    ("other", "expected"),
    [(Rect(2, 2, 4, 4), True), (Rect(4, 0, 6, 4), False), (Rect(0, 4, 4, 6), False)],
)
def test_rectangles_that_only_touch_do_not_overlap(other, expected):
    assert Rect(0, 0, 4, 4).overlaps(other) is expected
