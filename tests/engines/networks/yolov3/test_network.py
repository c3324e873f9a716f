"""Rows of a YOLO network: how many, in which order, and what they decode to."""

import math

import numpy as np
import pytest
import torch

from maskstream.engines.networks.yolov3.darknet import make_yolo
from maskstream.engines.networks.yolov3.known import yolov3_cfg
from maskstream.engines.networks.yolov3.network import Yolo, YoloHead, decode, make_cells


@pytest.mark.parametrize(
    ("side", "ends"),
    [
        (256, (192, 960, 4_032)),
        (320, (300, 1_500, 6_300)),
        (416, (507, 2_535, 10_647)),
        (608, (1_083, 5_415, 22_743)),
    ],
)
def test_rows_of_each_input_size_lie_head_by_head(side, ends):
    with torch.device("meta"):
        network = make_yolo(yolov3_cfg(80, side))
    cells = make_cells(network.heads, side)
    strides = cells.strides[:, 0]
    assert [int((strides >= stride).sum()) for stride in (32, 16, 8)] == list(ends)
    assert (strides.diff() <= 0).all()  # coarse to fine
    frames = torch.zeros((1, side, side, 3), device="meta")
    assert network(frames).shape == (1, ends[-1], 85)


def test_rows_go_by_cell_and_then_by_anchor():
    heads = [YoloHead(4, ((1, 2), (3, 4)))]
    cells = make_cells(heads, 8)
    expected = [[0, 0], [0, 0], [1, 0], [1, 0], [0, 1], [0, 1], [1, 1], [1, 1]]
    np.testing.assert_array_equal(cells.corners, expected)
    np.testing.assert_array_equal(cells.anchors_px[:3], [[1, 2], [3, 4], [1, 2]])

    class Body(torch.nn.Module):
        """Says of each value where it stands: 100 by channel, 10 by row, 1 by column."""

        def forward(self, images):
            places = [100 * torch.arange(12.0), 10 * torch.arange(2.0), torch.arange(2.0)]
            return [torch.stack(torch.meshgrid(*places, indexing="ij")).sum(dim=0)[None]]

    raw = Yolo(Body(), heads, input_size=8, class_count=1)(torch.zeros((1, 8, 8, 3)))
    assert raw.shape == (1, 8, 6)
    # Row 5 is the second anchor (channels 6 to 11) of the cell in row 1 and column 0.
    np.testing.assert_array_equal(raw[0, 5], [610, 710, 810, 910, 1010, 1110])


def test_a_row_decodes_as_the_paper_says():
    cells = make_cells([YoloHead(16, ((30, 61),))], 64)
    raw = torch.zeros((1, 16, 7))
    raw[0, 6] = torch.tensor([0.0, math.log(3), math.log(2), -math.log(2), math.log(4), 0, 50])
    # Cell (2, 1): sigmoid(0) = 1/2 and sigmoid(log 3) = 3/4 of it; twice as wide, half as high.
    np.testing.assert_allclose(
        decode(raw, cells)[0, 6], [40.0, 28.0, 60.0, 30.5, 0.8, 0.5, 1.0], rtol=1e-6
    )


def test_a_scaled_centre_reaches_beyond_its_cell():
    cells = make_cells([YoloHead(8, ((8, 8),), xy_scale=2.0)], 8)
    raw = torch.full((1, 1, 6), -50.0)
    assert decode(raw, cells)[0, 0, 0].item() == pytest.approx(-4.0)  # half a cell to the left


def test_sizes_that_run_away_stay_finite():
    cells = make_cells([YoloHead(8, ((8, 8),))], 8)
    assert torch.isfinite(decode(torch.full((1, 1, 6), 1e4), cells)).all()
