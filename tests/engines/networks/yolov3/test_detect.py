"""The tail of a YOLO graph: greedy NMS by class in static shapes."""

import numpy as np
import torch

from maskstream.engines.networks.yolov3.detect import DETECTION_COUNT, detect
from maskstream.engines.networks.yolov3.network import YoloHead, make_cells


def test_rows_become_relative_boxes_by_falling_score():
    cells = make_cells([YoloHead(16, ((16, 32),))], 64)
    raw = torch.full((1, 16, 7), -20.0)
    raw[0, 5] = torch.tensor([0, 0, 0, 0, 20.0, -20, 20])  # cell (1, 1), class 1
    raw[0, 10] = torch.tensor([0, 0, 0, 0, 20.0, 0, -20])  # cell (2, 2), class 0, one half
    found = detect(raw, cells, 64)
    np.testing.assert_allclose(found.scores[0, :3], [1, 0.5, 0], atol=1e-6)
    np.testing.assert_array_equal(found.class_ids[0, :2], [1, 0])
    np.testing.assert_allclose(
        found.boxes[0, :2], [[0.25, 0.125, 0.5, 0.625], [0.5, 0.375, 0.75, 0.875]], atol=1e-6
    )


def test_no_more_rows_leave_than_there_is_room_for():
    cells = make_cells([YoloHead(8, ((1, 1),))], 256)
    raw = torch.full((2, 1024, 6), 5.0)
    assert detect(raw, cells, 256).boxes.shape == (2, DETECTION_COUNT, 4)
    few = make_cells([YoloHead(8, ((1, 1),))], 16)
    assert detect(raw[:, :4], few, 16).boxes.shape == (2, 4, 4)
