"""Crops from the planes are those that training cuts out of the picture, and near RoIAlign's."""

import cv2
import numpy as np
import pytest
import torch
from torchvision.ops import roi_align

from maskstream.engines.decoding.crops import RgbPicture, crop_extents
from maskstream.stream.memory.frame import Planes, planes_of
from maskstream.stream.pixels.colors import FULL_RANGE, LIMITED_RANGE
from maskstream.stream.pixels.crops import PlanesPicture

BT601 = 6


def smooth_picture(width, height):
    """Colours that vary slowly: at half the resolution of its chroma nothing is lost."""
    small = np.random.default_rng(0).integers(40, 216, (3, 4, 3), np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize(
    "box", [(20, 10, 100, 130), (0, 0, 160, 160), (150, 140, 160, 160), (31.5, 77.2, 33.1, 78.4)]
)
def test_crops_of_planes_are_those_of_the_picture(box):
    rgb = smooth_picture(160, 160)
    pixels = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420).reshape(-1)
    extents = crop_extents(np.array([box], np.float32), 0.1, 160, 160)
    ours = PlanesPicture(planes_of(pixels, 160, 160), LIMITED_RANGE, BT601).cut(extents, 32)
    theirs = RgbPicture(rgb).cut(extents, 32)
    difference = np.abs(ours.astype(int) - theirs.astype(int))
    assert difference.max() <= 8  # of 255: eight bits of luma and chroma on the way, and scaling
    assert difference.mean() < 2


def test_no_boxes_make_no_crops():
    planes = planes_of(np.zeros(16 * 16 * 3 // 2, np.uint8), 16, 16)
    crops = PlanesPicture(planes, LIMITED_RANGE, BT601).cut(np.zeros((0, 4), np.int32), 8)
    assert crops.shape == (0, 8, 8, 3)


# -- beside torchvision's RoIAlign


def grainy_luma(width, height):
    """Return brightness that varies slowly, with a grain of every pixel."""
    random = np.random.default_rng(0)
    patches = random.normal(128, 60, (6, 8)).astype(np.float32)
    smooth = cv2.resize(patches, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth + random.normal(0, 20, smooth.shape), 0, 255).astype(np.uint8)


def compared(box, side, sampling_ratio, *, of_picture=False):
    """Return how far crops of a grey frame are from RoIAlign's, in levels: (side, side)."""
    luma = grainy_luma(640, 480)
    grey = np.full((240, 320), 128, np.uint8)
    planes = PlanesPicture(Planes(luma, grey, grey), FULL_RANGE, BT601)
    picture = RgbPicture(luma[..., None].repeat(3, axis=2)) if of_picture else planes
    ours = picture.cut(np.array([box], np.int32), side)[0, ..., 0]
    theirs = roi_align(
        torch.from_numpy(luma[None, None]).float(),
        torch.tensor([[0, *box]]).float(),
        (side, side),
        sampling_ratio=sampling_ratio,
        aligned=True,
    )
    return np.abs(ours.astype(float) - theirs[0, 0].numpy())


@pytest.mark.parametrize("box", [(100, 60, 156, 172), (200, 100, 210, 130), (0, 0, 60, 60)])
def test_what_is_enlarged_is_roi_aligns_but_for_the_crops_edge(box):
    difference = compared(box, 224, 1)
    edge = 224 // 16  # wider than half a pixel of the smallest box
    assert difference[edge:-edge, edge:-edge].max() <= 1
    assert difference.mean() < 1
    assert difference.max() > 10  # there RoIAlign sees what lies beyond the box


def test_what_is_not_scaled_is_roi_aligns_to_the_level():
    assert compared((100, 100, 212, 212), 112, 0).max() == 0


@pytest.mark.parametrize("box", [(40, 20, 264, 300), (80, 40, 324, 440), (10, 10, 630, 470)])
def test_what_shrinks_is_near_roi_align_with_all_its_samples(box):
    adaptive, sparse = (compared(box, 112, ratio).mean() for ratio in (0, 1))
    assert adaptive < 3.5
    assert sparse > 1.9 * adaptive  # one sample a cell passes the grain on
    assert compared(box, 112, 0, of_picture=True).mean() < 0.5
