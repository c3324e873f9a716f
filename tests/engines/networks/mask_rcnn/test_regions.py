"""RoIAlign and RoIPool by hand, and RoIAlign from an atlas as torchvision's own operator."""

from dataclasses import replace

import pytest
import torch
from torchvision.ops import MultiScaleRoIAlign

from maskstream.engines.networks.mask_rcnn.config import get_config
from maskstream.engines.networks.mask_rcnn.regions import (
    RegionPool,
    align_in_atlas,
    pooled_levels,
    region_atlas,
    region_levels,
)

CONFIG = replace(get_config("mask-rcnn-mini-strided"), input_size=224)
# A region 54 pixels high and 167 wide, on a picture of 224 seen with a stride of 16.
REGION = torch.tensor([[0.0, 0.0, 167.0, 54.0]])


def ramps():
    """A pyramid whose every cell says its own column and row."""
    levels = {}
    for name, stride in zip(("0", "1", "2", "3", "pool"), (4, 8, 16, 32, 64), strict=True):
        side = 224 // stride
        steps = torch.arange(side, dtype=torch.float32)
        levels[name] = torch.stack([steps.expand(side, side), steps[:, None].expand(side, side)])[
            None
        ]
    return levels


def test_roi_align_keeps_fractions_of_cells():
    # 167 / 16 = 10.4375 columns and 54 / 16 = 3.375 rows; one cell's mean is in their middle.
    found = RegionPool(CONFIG, 1)(ramps(), [REGION])
    torch.testing.assert_close(found.flatten(), torch.tensor([10.4375 / 2, 3.375 / 2]))


def test_roi_align_divides_fractions_into_equal_parts():
    found = RegionPool(CONFIG, 7)(ramps(), [REGION])
    parts = (torch.arange(7) + 0.5) / 7
    torch.testing.assert_close(found[0, 0, 3], 10.4375 * parts)
    torch.testing.assert_close(found[0, 1, :, 3], 3.375 * parts)


def test_roi_pool_rounds_to_whole_cells():
    # To columns 0 to 10 and rows 0 to 3, of which it takes the largest value.
    pool = RegionPool(replace(CONFIG, region_pooling="pool"), 1)
    assert pool(ramps(), [REGION]).flatten().tolist() == [10, 3]


@pytest.mark.parametrize(
    ("side_px", "level"),
    # The canonical side at 224 pixels is 224 * 224 / 800 = 62.72, in the third level.
    [(10, 0), (31.0, 0), (31.5, 1), (62.0, 1), (63.0, 2), (125.0, 2), (126.0, 3), (224, 3)],
)
def test_level_of_a_square(side_px, level):
    maps = pooled_levels(ramps())
    box = torch.tensor([[0.0, 0.0, side_px, side_px]])
    assert region_levels(box, maps, CONFIG).tolist() == [level]


def test_without_strides_the_finest_level_takes_every_region():
    maps = [torch.zeros(1, 1, 56, 56)] * 4
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 224.0, 224.0]])
    assert region_levels(boxes, maps, CONFIG).tolist() == [0, 0]


@pytest.mark.parametrize("has_strides", [True, False])
def test_atlas_and_pool_equal_torchvision(has_strides):
    torch.manual_seed(0)
    sides = (56, 28, 14, 7) if has_strides else (56,) * 4
    levels = {str(i): torch.randn(2, 8, side, side) for i, side in enumerate(sides)}
    boxes = torch.rand(2, 60, 4) * 224
    boxes[..., 2:] = torch.minimum(boxes[..., :2] + boxes[..., 2:], torch.tensor(224.0))
    boxes[:, :5, 2:] = boxes[:, :5, :2] + 0.5  # smaller than a cell, some at the edge
    boxes[:, 5, :2], boxes[:, 5, 2:] = 223.9, 224.0
    expected = MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2, canonical_scale=62.72)(
        levels, list(boxes), [(224, 224)] * 2
    )
    pooled = RegionPool(CONFIG, 7)(levels, list(boxes))
    torch.testing.assert_close(pooled, expected)
    maps = pooled_levels(levels)
    wanted = region_levels(boxes, maps, CONFIG)
    aligned = align_in_atlas(region_atlas(maps), boxes, wanted, 7, 224)
    torch.testing.assert_close(aligned, expected, atol=1e-4, rtol=1e-4)


def test_regions_of_no_box_are_no_maps():
    empty = RegionPool(CONFIG, 7)(ramps(), [torch.zeros(0, 4)])
    assert empty.shape == (0, 2, 7, 7)
