"""The picture on the page: colours against Pillow's decoder and the standards' own numbers."""

import io

import numpy as np
import pytest
from PIL import Image

from maskstream.stream.memory.frame import Planes
from maskstream.stream.pixels.stamp import Stamp, read_stamp, write_stamp
from maskstream.stream.viewers.page.jpeg import encode_jpeg, fitted_size


def flat(y, u, v, size=(64, 48)):
    width, height = size
    half = (height // 2, width // 2)
    return Planes(
        np.full((height, width), y, np.uint8),
        np.full(half, u, np.uint8),
        np.full(half, v, np.uint8),
    )


def decoded(planes, color_range, color_matrix):
    content = encode_jpeg(planes, color_range=color_range, color_matrix=color_matrix)
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


# Y'CbCr of pure colours as BT.601 and BT.709 have them, from ITU-R BT.601-7 and BT.709-6.
@pytest.mark.parametrize(
    ("yuv", "color_range", "color_matrix", "rgb"),
    [
        ((16, 128, 128), 0, 6, (0, 0, 0)),
        ((235, 128, 128), 0, 6, (255, 255, 255)),
        ((81, 90, 240), 0, 6, (255, 0, 0)),
        ((145, 54, 34), 0, 6, (0, 255, 0)),
        ((41, 240, 110), 0, 6, (0, 0, 255)),
        ((16, 128, 128), 0, 1, (0, 0, 0)),
        ((235, 128, 128), 0, 1, (255, 255, 255)),
        ((63, 102, 240), 0, 1, (255, 0, 0)),
        ((173, 42, 26), 0, 1, (0, 255, 0)),
        ((32, 240, 118), 0, 1, (0, 0, 255)),
        ((0, 128, 128), 1, 6, (0, 0, 0)),
        ((255, 128, 128), 1, 6, (255, 255, 255)),
        ((76, 85, 255), 1, 5, (255, 0, 0)),
        ((182, 30, 12), 1, 1, (0, 255, 0)),
        ((125, 128, 128), 0, 1, (127, 127, 127)),
    ],
)
def test_colours_are_right_in_every_range_and_matrix(yuv, color_range, color_matrix, rgb):
    seen = decoded(flat(*yuv), color_range, color_matrix)
    assert np.abs(seen.astype(int) - rgb).max() <= 4


def test_levels_outside_the_limited_range_are_cut_and_not_wrapped():
    assert decoded(flat(0, 128, 128), 0, 1).max() <= 2
    assert decoded(flat(255, 128, 128), 0, 6).min() >= 253


@pytest.mark.parametrize(
    ("size", "fitted"),
    [
        ((1920, 1080), (960, 540)),
        ((960, 540), (960, 540)),
        ((640, 360), (640, 360)),
        ((3840, 2160), (960, 540)),
        ((1080, 1920), (540, 960)),
        ((4000, 200), (960, 48)),
        ((8192, 2), (960, 2)),
    ],
)
def test_a_frame_is_fitted_and_never_enlarged(size, fitted):
    assert fitted_size(*size) == fitted
    height, width, _ = decoded(flat(90, 128, 128, size), 0, 1).shape
    assert (width, height) == fitted


@pytest.mark.parametrize("size", [(320, 240), (1920, 1080), (3840, 2160)])
def test_a_picture_shows_its_frame(size):
    planes = flat(100, 128, 128, size)
    write_stamp(planes.y, Stamp(12345, 678))
    grey = decoded(planes, 0, 1)[:, :, 1]
    assert read_stamp(np.ascontiguousarray(grey)) == Stamp(12345, 678)


def test_an_unknown_matrix_is_refused():
    with pytest.raises(ValueError, match="colour matrix: 3"):
        encode_jpeg(flat(0, 0, 0), color_range=0, color_matrix=3)
