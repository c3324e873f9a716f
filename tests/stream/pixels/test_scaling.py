"""The network's input against the standards' formulas and a bilinear resize written out."""

import av
import numpy as np
import pytest

from maskstream.stream.memory.frame import planes_of
from maskstream.stream.pixels.scaling import network_input

WEIGHTS = {1: (0.2126, 0.0722), 6: (0.299, 0.114)}


def bilinear(image, width, height):
    """Sample centres at (i + 0.5) * scale - 0.5, edges repeated: by definition, in float."""

    def axis(old, new):
        place = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
        low = np.minimum(place.astype(int), max(old - 2, 0))
        return low, np.minimum(low + 1, old - 1), place - low

    y0, y1, fy = axis(image.shape[0], height)
    x0, x1, fx = axis(image.shape[1], width)
    fy, fx = fy[:, None, None], fx[None, :, None]
    rows = image[y0] * (1 - fy) + image[y1] * fy
    return rows[:, x0] * (1 - fx) + rows[:, x1] * fx


def exact_rgb(planes, color_range, color_matrix):
    """The whole frame as (H, W, 3) float RGB, 0..255, by ITU-T H.273's equations."""
    height, width = planes.y.shape
    u, v = (bilinear(plane[..., None].astype(float), width, height) for plane in planes[1:])
    y = planes.y[..., None].astype(float)
    if color_range == 0:
        luma, pb, pr = (y - 16) / 219, (u - 128) / 224, (v - 128) / 224
    else:
        luma, pb, pr = y / 255, (u - 128) / 255, (v - 128) / 255
    kr, kb = WEIGHTS[color_matrix]
    red, blue = luma + 2 * (1 - kr) * pr, luma + 2 * (1 - kb) * pb
    green = (luma - kr * red - kb * blue) / (1 - kr - kb)
    return np.clip(np.concatenate([red, green, blue], axis=2) * 255, 0, 255)


def halved_while_twice_as_large(image, side):
    """The mean of pairs along each axis that is at least twice the target."""
    while image.shape[0] >= 2 * side:
        image = (image[0::2] + image[1::2]) / 2
    while image.shape[1] >= 2 * side:
        image = (image[:, 0::2] + image[:, 1::2]) / 2
    return image


def scaled(planes, side, color_range, color_matrix):
    out = np.full((side, side, 3), 7, np.uint8)
    network_input(planes, out, color_range=color_range, color_matrix=color_matrix)
    return out


def textured_frame(width, height, seed=0):
    """Soft random luma and chroma with hard edges on top, within the limited range."""
    random = np.random.default_rng(seed)
    planes = planes_of(np.zeros(width * height * 3 // 2, np.uint8), width, height)
    for plane, low, high in zip(planes, (30, 80, 80), (220, 176, 176), strict=True):
        coarse = random.uniform(low, high, (9, 13, 1))
        plane[...] = bilinear(coarse, plane.shape[1], plane.shape[0])[..., 0]
    planes.y[height // 4 : height // 2, width // 3 : width // 2] = 40
    planes.u[height // 8 : height // 4, width // 6 : width // 4] = 160
    return planes


@pytest.mark.parametrize("color_range", [0, 1])
@pytest.mark.parametrize("color_matrix", [1, 6])
@pytest.mark.parametrize(
    ("width", "height", "side"),
    [
        pytest.param(768, 576, 416, id="576p"),
        pytest.param(1280, 720, 416, id="720p-halved-across"),
        pytest.param(1920, 1080, 416, id="1080p-halved-both-ways"),
        pytest.param(320, 240, 416, id="enlarged"),
        pytest.param(500, 282, 321, id="odd-chroma-and-odd-input"),
        pytest.param(960, 832, 416, id="exactly-half"),
    ],
)
def test_the_input_equals_exact_conversion_then_scaling(
    width, height, side, color_range, color_matrix
):
    planes = textured_frame(width, height)
    whole = exact_rgb(planes, color_range, color_matrix)
    expected = bilinear(halved_while_twice_as_large(whole, side), side, side)
    apart = np.abs(scaled(planes, side, color_range, color_matrix) - expected)
    assert apart.mean() < 0.8
    # At hard edges of colour, clipping before and after scaling differ.
    assert (apart > 6).mean() < 0.001


@pytest.mark.parametrize("name", ["vtest.avi", "brother.mkv"])
def test_the_input_of_a_real_frame_equals_exact_conversion_then_scaling(name, clips_dir):
    with av.open(clips_dir / name) as container:
        frame = next(container.decode(video=0)).reformat(format="yuv420p")
    pixels = frame.to_ndarray().reshape(-1)
    planes = planes_of(pixels, frame.width, frame.height)
    expected = bilinear(halved_while_twice_as_large(exact_rgb(planes, 0, 6), 416), 416, 416)
    apart = np.abs(scaled(planes, 416, 0, 6) - expected)
    assert apart.mean() < 1
    assert (apart > 8).mean() < 0.005


@pytest.mark.parametrize(
    ("color_range", "color_matrix", "yuv", "rgb"),
    [
        pytest.param(0, 6, (81, 90, 240), (255, 0, 0), id="601-limited-red"),
        pytest.param(0, 1, (63, 102, 240), (255, 0, 0), id="709-limited-red"),
        pytest.param(1, 6, (76, 85, 255), (255, 0, 0), id="601-full-red"),
        pytest.param(0, 6, (145, 54, 34), (0, 255, 0), id="601-limited-green"),
        pytest.param(0, 1, (32, 240, 118), (0, 0, 255), id="709-limited-blue"),
        pytest.param(0, 1, (16, 128, 128), (0, 0, 0), id="limited-black"),
        pytest.param(0, 1, (235, 128, 128), (255, 255, 255), id="limited-white"),
        pytest.param(1, 1, (16, 128, 128), (16, 16, 16), id="full-range-16-is-not-black"),
        pytest.param(0, 6, (5, 128, 128), (0, 0, 0), id="blacker-than-black"),
    ],
)
def test_flat_colours_come_out_as_the_standards_say(color_range, color_matrix, yuv, rgb):
    planes = planes_of(np.zeros(48 * 32 * 3 // 2, np.uint8), 48, 32)
    for plane, value in zip(planes, yuv, strict=True):
        plane[...] = value
    out = scaled(planes, 20, color_range, color_matrix)
    assert np.abs(out.astype(int) - rgb).max() <= 2
    assert np.ptp(out, axis=(0, 1)).tolist() == [0, 0, 0]


def test_the_whole_frame_is_squashed_with_its_corners_in_place():
    planes = planes_of(np.full(64 * 32 * 3 // 2, 128, np.uint8), 64, 32)
    planes.y[:16, :32], planes.y[:16, 32:], planes.y[16:, :32], planes.y[16:, 32:] = (
        16,
        80,
        140,
        235,
    )
    out = scaled(planes, 16, 0, 6)[..., 1]
    corners = [int(out[row, column]) for row in (0, -1) for column in (0, -1)]
    # 255 / 219 * (value - 16)
    assert corners == pytest.approx([0, 75, 144, 255], abs=1)
    assert int(out[4, 4]) == 0
    assert int(out[4, 12]) == pytest.approx(75, abs=1)


def test_thin_stripes_become_gray_instead_of_flickering():
    planes = planes_of(np.full(1024 * 1024 * 3 // 2, 128, np.uint8), 1024, 1024)
    planes.y[:, 0::2], planes.y[:, 1::2] = 16, 234
    out = scaled(planes, 256, 0, 6)
    # (16 + 234) / 2 = 125; 255 / 219 * (125 - 16) = 126.9
    assert np.abs(out.astype(int) - 127).max() <= 2


def test_one_picture_of_a_batch_is_written_and_its_neighbours_are_not():
    batch = np.full((3, 24, 24, 3), 7, np.uint8)
    planes = planes_of(np.full(48 * 32 * 3 // 2, 128, np.uint8), 48, 32)
    network_input(planes, batch[1], color_range=1, color_matrix=6)
    assert (batch[1] == 128).all()
    assert (batch[[0, 2]] == 7).all()


@pytest.mark.parametrize(
    "out",
    [
        pytest.param(np.zeros((8, 9, 3), np.uint8), id="not-square"),
        pytest.param(np.zeros((8, 8), np.uint8), id="no-channels"),
        pytest.param(np.zeros((8, 8, 4), np.uint8), id="four-channels"),
        pytest.param(np.zeros((8, 8, 3), np.float32), id="float"),
    ],
)
def test_a_picture_that_does_not_suit_is_refused(out):
    planes = planes_of(np.zeros(16 * 16 * 3 // 2, np.uint8), 16, 16)
    with pytest.raises(ValueError, match=r"network input: .* \(S, S, 3\) uint8 is needed"):
        network_input(planes, out, color_range=0, color_matrix=1)


def test_an_unknown_matrix_is_refused():
    planes = planes_of(np.zeros(16 * 16 * 3 // 2, np.uint8), 16, 16)
    with pytest.raises(ValueError, match="colour matrix: 2"):
        network_input(planes, np.zeros((8, 8, 3), np.uint8), color_range=0, color_matrix=2)


@pytest.mark.parametrize(("fit", "level"), [("letterbox", 114), ("darknet", 128)])
def test_a_letterbox_is_the_frame_in_its_shape_between_grey_bars(fit, level):
    planes = textured_frame(200, 100)
    out = np.zeros((50, 50, 3), np.uint8)
    network_input(planes, out, color_range=0, color_matrix=6, fit=fit)
    assert (out[:12] == level).all()
    assert (out[37:] == level).all()
    square = np.zeros((50, 50, 3), np.uint8)
    network_input(planes, square, color_range=0, color_matrix=6)
    # Rows 2i and 2i + 1 of the squashed frame are those that row i of the letterbox lies on.
    pairs = square.astype(int).reshape(25, 2, 50, 3).mean(axis=1)
    assert np.abs(pairs - out[12:37].astype(int)).mean() < 3
