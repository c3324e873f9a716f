"""Where a frame lies in a network's input, by hand-worked numbers."""

import numpy as np
import pytest

from maskstream.engines.interface.fit import PADDING_LEVEL, fitted, make_fit, placement


@pytest.mark.parametrize(
    ("width", "height", "side", "expected"),
    [
        (768, 576, 416, (0, 52, 416, 312)),
        (576, 768, 416, (52, 0, 312, 416)),
        (416, 416, 416, (0, 0, 416, 416)),
        (100, 99, 10, (0, 0, 10, 10)),
        (3, 1, 4, (0, 1, 4, 1)),  # 1.33 rows: one, and the third spare row goes below
        (10_000, 1, 416, (0, 207, 416, 1)),
    ],
)
def test_a_letterbox_keeps_the_shape_in_the_middle(width, height, side, expected):
    assert placement("letterbox", width, height, side) == (*expected, PADDING_LEVEL)


@pytest.mark.parametrize(
    ("width", "height", "side", "expected"),
    [
        (768, 576, 416, (0, 52, 416, 312)),
        (1920, 1080, 416, (0, 91, 416, 234)),
        (640, 427, 416, (0, 69, 416, 277)),  # 277.55 rows: 277, where a letterbox of ours has 278
        (427, 640, 416, (69, 0, 277, 416)),
        (100, 99, 10, (0, 0, 10, 9)),
        (10_000, 1, 416, (0, 207, 416, 1)),
    ],
)
def test_darknets_letterbox_cuts_off_and_is_of_half_grey(width, height, side, expected):
    assert placement("darknet", width, height, side) == (*expected, 128)


@pytest.mark.parametrize("kind", ["squash", "letterbox", "darknet"])
@pytest.mark.parametrize("size", [(640, 427), (427, 640), (1920, 1080), (31, 57), (416, 416)])
def test_boxes_of_an_input_come_back_to_the_pixels_they_were_made_of(kind, size):
    width, height = size
    left, top, columns, rows, _ = placement(kind, width, height, 416)
    box = np.array([width / 4, height / 5, width / 2, height * 0.9])
    scale = np.array([columns / width, rows / height] * 2)
    in_input = (box * scale + np.array([left, top] * 2)) / 416
    back = make_fit(kind, width, height, 416).to_frame(in_input[None].astype(np.float32))
    np.testing.assert_allclose(back[0], box, atol=1e-3 * max(size) / 100)


def test_boxes_of_a_squashed_frame_scale_by_its_sides():
    fit = make_fit("squash", 200, 100, 50)
    boxes = fit.to_frame(np.array([[0.1, 0.2, 0.5, 1.5]], np.float32))
    np.testing.assert_allclose(boxes, [[20, 20, 100, 100]])


def test_boxes_of_a_letterbox_leave_its_bars():
    # 200 x 100 in 50 x 50: 25 rows from row 12, so 0.24 to 0.74.
    fit = make_fit("letterbox", 200, 100, 50)
    boxes = fit.to_frame(np.array([[0.0, 0.24, 1.0, 0.74], [0.5, 0.0, 0.75, 0.49]], np.float32))
    np.testing.assert_allclose(boxes, [[0, 0, 200, 100], [100, 0, 150, 50]], atol=1e-4)


@pytest.mark.parametrize(("kind", "level"), [("letterbox", 114), ("darknet", 128)])
def test_a_picture_in_a_letterbox_has_grey_bars(kind, level):
    picture = np.full((100, 200, 3), 7, np.uint8)
    out = fitted(picture, 50, kind)
    assert (out[12:37] == 7).all()
    assert (out[:12] == level).all()
    assert (out[37:] == level).all()
    assert (fitted(picture, 50, "squash") == 7).all()
