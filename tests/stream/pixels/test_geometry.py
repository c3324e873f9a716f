"""Turning, fitting and placing pictures, against numpy's own rotations and hand-made sizes."""

from fractions import Fraction

import numpy as np
import pytest

from maskstream.stream.pixels.geometry import (
    UPRIGHT,
    Orientation,
    canvas_size,
    orientation_of,
    place,
    write_planes,
)
from tests.helpers.clips import canvas, gradient, planes_from

ONE = 1 << 16
TURNS = [
    # matrix (a b c d), then what numpy does to the stored picture to show it, then degrees
    pytest.param((ONE, 0, 0, ONE), lambda p: p, 0, id="upright"),
    pytest.param((0, ONE, -ONE, 0), lambda p: np.rot90(p, -1), 90, id="90-clockwise"),
    pytest.param((-ONE, 0, 0, -ONE), lambda p: np.rot90(p, 2), 180, id="180"),
    pytest.param((0, -ONE, ONE, 0), lambda p: np.rot90(p, 1), 270, id="270-clockwise"),
    pytest.param((-ONE, 0, 0, ONE), np.fliplr, 0, id="mirrored"),
    pytest.param((ONE, 0, 0, -ONE), np.flipud, 180, id="upside-down-mirrored"),
    pytest.param((0, ONE, ONE, 0), np.transpose, 90, id="transposed"),
    pytest.param((0, -ONE, -ONE, 0), lambda p: np.rot90(p, 2).T, 270, id="transversed"),
]


def matrix_of(a: int, b: int, c: int, d: int) -> list[int]:
    return [a, b, 0, c, d, 0, 0, 0, 1 << 30]


@pytest.mark.parametrize(("entries", "turned", "degrees"), TURNS)
def test_a_display_matrix_turns_every_plane_as_numpy_does(entries, turned, degrees):
    orientation = orientation_of(matrix_of(*entries))
    assert orientation is not None
    assert orientation.degrees == degrees
    picture = planes_from(gradient(0, 12, 8), 12, 8)
    size = canvas_size(12, 8, Fraction(1), orientation)
    target = canvas(*size)
    placement = place(12, 8, Fraction(1), orientation, size)
    write_planes(picture, orientation, placement, 0, target)
    for plane, expected in zip(target, picture, strict=True):
        np.testing.assert_array_equal(plane, turned(expected))


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param((0, 0, 0, 0), id="all-zero"),
        pytest.param((46341, 46341, -46341, 46341), id="45-degrees"),
        pytest.param((ONE, 0, 0, 0), id="flat"),
    ],
)
def test_a_matrix_of_no_right_angle_is_no_orientation(entries):
    assert orientation_of(matrix_of(*entries)) is None


def test_a_trace_left_by_a_cosine_does_not_hide_a_right_angle():
    assert orientation_of(matrix_of(3, ONE, -ONE, 3)) == Orientation(transpose=True, flip_x=True)


@pytest.mark.parametrize(
    ("size", "aspect", "transpose", "expected"),
    [
        pytest.param((640, 360), 1, False, (640, 360), id="as-is"),
        pytest.param((640, 360), 1, True, (360, 640), id="portrait"),
        pytest.param((35, 27), 1, False, (36, 28), id="odd-sides-grow"),
        pytest.param((1, 1), 1, False, (2, 2), id="one-pixel"),
        pytest.param((640, 360), Fraction(2, 3), False, (426, 360), id="narrow-pixels"),
        pytest.param((720, 576), Fraction(16, 15), False, (768, 576), id="pal"),
        pytest.param((720, 576), Fraction(16, 15), True, (576, 768), id="pal-portrait"),
        pytest.param((200, 112), Fraction(224, 225), False, (200, 112), id="nearly-square"),
    ],
)
def test_the_canvas_is_upright_has_square_pixels_and_even_sides(size, aspect, transpose, expected):
    orientation = Orientation(transpose=transpose, flip_x=transpose)
    assert canvas_size(size[0], size[1], Fraction(aspect), orientation) == expected


def test_a_nearly_square_pixel_needs_no_scaling():
    placement = place(200, 112, Fraction(224, 225), UPRIGHT, (200, 112))
    assert (placement.scaled_width, placement.scaled_height) == (200, 112)


@pytest.mark.parametrize(
    ("size", "target", "scaled", "corner"),
    [
        pytest.param((424, 232), (848, 464), (848, 464), (0, 0), id="same-shape"),
        pytest.param((480, 480), (848, 464), (464, 464), (192, 0), id="bars-left-and-right"),
        pytest.param((848, 200), (424, 464), (424, 100), (0, 182), id="bars-above-and-below"),
    ],
)
def test_a_picture_of_another_size_is_fitted_in_the_middle(size, target, scaled, corner):
    placement = place(size[0], size[1], Fraction(1), UPRIGHT, target)
    assert (placement.scaled_width, placement.scaled_height) == scaled
    assert (placement.left, placement.top) == corner
    assert (placement.width, placement.height) == scaled


@pytest.mark.parametrize(("color_range", "black"), [(0, 16), (1, 0)])
def test_what_a_fitted_picture_leaves_free_is_black(color_range, black):
    target = canvas(16, 8)
    placement = place(8, 8, Fraction(1), UPRIGHT, (16, 8))
    picture = planes_from(np.full(8 * 8 * 3 // 2, 99, np.uint8), 8, 8)
    write_planes(picture, UPRIGHT, placement, color_range, target)
    expected = np.full((8, 16), black)
    expected[:, 4:12] = 99
    np.testing.assert_array_equal(target.y, expected)
    chroma = np.full((4, 8), 128)
    chroma[:, 2:6] = 99
    np.testing.assert_array_equal(target.u, chroma)
    np.testing.assert_array_equal(target.v, chroma)


@pytest.mark.parametrize(("entries", "turned", "degrees"), TURNS)
def test_an_odd_picture_keeps_all_its_pixels_and_repeats_its_edge(entries, turned, degrees):
    orientation = orientation_of(matrix_of(*entries))
    assert orientation is not None
    luma = np.arange(5 * 7, dtype=np.uint8).reshape(5, 7)
    chroma = np.arange(3 * 4, dtype=np.uint8).reshape(3, 4)
    size = canvas_size(7, 5, Fraction(1), orientation)
    target = canvas(*size)
    placement = place(7, 5, Fraction(1), orientation, size)
    picture = planes_from(gradient(0, 8, 6), 8, 6)._replace(y=luma, u=chroma, v=chroma)
    write_planes(picture, orientation, placement, 0, target)
    # The picture grows by its own last row and column, then it is turned.
    np.testing.assert_array_equal(target.y, turned(np.pad(luma, ((0, 1), (0, 1)), "edge")))
    np.testing.assert_array_equal(target.u, turned(chroma))
