"""The kernels against the line's own scaling, and their compilation for GPUs that are not here."""

import cv2
import numpy as np
import pytest

from maskstream.engines.errors import BackendError
from maskstream.engines.interface.planar_frame import DeviceFrame, PlanarFrame
from maskstream.engines.runtimes.tensorrt.kernel import (
    BLOCK,
    CROP_KERNEL_NAME,
    compile_cubin,
    crop_arguments,
    kernel_arguments,
    kernel_grid,
    kernel_source,
)
from maskstream.stream.memory.frame import Planes
from maskstream.stream.pixels.crops import PlanesPicture
from maskstream.stream.pixels.scaling import network_input, rgb_matrix
from tests.engines.runtimes.tensorrt.fake_device import run_kernel

SIDE = 160


def planes_of(width, height):
    """A smooth picture with fine grain, other in each plane."""
    random = np.random.default_rng(width)
    planes = []
    for divisor in (1, 2, 2):
        size = (width // divisor, height // divisor)
        patches = random.normal(128, 60, (6, 8)).astype(np.float32)
        smooth = cv2.resize(patches, size, interpolation=cv2.INTER_CUBIC)
        grain = random.normal(0, 20, smooth.shape)
        planes.append(np.clip(smooth + grain, 0, 255).astype(np.uint8))
    return tuple(planes)


@pytest.mark.parametrize("fit", ["squash", "letterbox", "darknet"])
@pytest.mark.parametrize(("color_range", "color_matrix"), [(0, 1), (1, 6)])
@pytest.mark.parametrize(
    ("width", "height"),
    [(1920, 1080), (768, 576), (360, 640), (SIDE, SIDE), (322, 242), (64, 48)],
)
def test_the_kernel_gives_the_pixels_of_the_lines_own_scaling(
    width, height, color_range, color_matrix, fit
):
    planes = planes_of(width, height)
    expected = np.zeros((SIDE, SIDE, 3), np.uint8)
    network_input(planes, expected, color_range=color_range, color_matrix=color_matrix, fit=fit)
    data = np.concatenate([plane.ravel() for plane in planes])
    frame = PlanarFrame(data, width, height, rgb_matrix(color_range, color_matrix))
    ours = np.full_like(expected, 7)
    run_kernel(kernel_arguments(frame, data.ctypes.data, ours.ctypes.data, SIDE, fit))
    difference = np.abs(ours.astype(int) - expected)
    # Each halving there rounds to whole levels, and the matrix doubles what chroma lost by it.
    assert difference.max() <= 8
    assert difference.mean() < 0.7


@pytest.mark.parametrize("side", [32, 112])
@pytest.mark.parametrize(("width", "height"), [(1280, 720), (322, 242)])
def test_the_crops_kernel_gives_the_pixels_of_the_lines_own_crops(width, height, side):
    planes = planes_of(width, height)
    random = np.random.default_rng(side)
    corners = np.sort(random.integers(0, (width // 2, height // 2), (6, 2, 2)), axis=1) * 2
    edges = np.concatenate([corners[:, 0], corners[:, 1] + 2], axis=1).astype(np.int32)
    borders = [[0, 0, width, height], [width - 2, height - 2, width, height], [0, 0, 2, height]]
    rectangles = np.concatenate([edges, np.array(borders, np.int32)])
    expected = PlanesPicture(Planes(*planes), 0, 1).cut(rectangles, side)
    data = np.concatenate([plane.ravel() for plane in planes])
    frame = DeviceFrame(data.ctypes.data, width, height, rgb_matrix(0, 1))
    ours = np.full_like(expected, 7)
    pointers = ours.ctypes.data, side, rectangles.ctypes.data, len(rectangles)
    run_kernel(crop_arguments(frame, *pointers), CROP_KERNEL_NAME)
    difference = np.abs(ours.astype(int) - expected)
    # As above, but a crop's sides can be odd more than once on the way: there a mean of means is
    # not quite the mean that the kernel takes.
    assert difference.max() <= 32
    assert (difference > 8).mean() < 0.02
    assert difference.mean() < 1


def test_a_grid_covers_every_pixel():
    for side, count in ((1, 1), (8, 3), (33, 5), (112, 64), (416, 1), (550, 1)):
        columns, rows = kernel_grid(side, count)
        assert (columns - 1) * BLOCK[0] < side <= columns * BLOCK[0]
        assert (rows - 1) * BLOCK[1] < side * count <= rows * BLOCK[1]


@pytest.mark.parametrize("sm", ["sm86", "sm89", "sm90", "sm120"])
def test_nvrtc_compiles_the_kernels_for_a_gpu_that_is_not_here(sm):
    cubin = compile_cubin(kernel_source(), sm)
    assert cubin[:4] == b"\x7fELF"
    assert b".text.frame_input" in cubin
    assert b".text.crop_input" in cubin


def test_a_kernel_that_does_not_compile_is_told_in_the_compilers_words():
    with pytest.raises(BackendError, match='identifier "x" is undefined'):
        compile_cubin('extern "C" __global__ void f() { x; }', "sm89")
