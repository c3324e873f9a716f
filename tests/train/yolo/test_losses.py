"""Which row learns which object, and the losses, on a grid that is small enough to do by hand.

Of an input of 64 pixels: 2 x 2 cells of 32 pixels with one anchor, rows 0 to 3; then 4 x 4 cells of
16 pixels with two, rows 4 to 35.
"""

import math

import numpy as np
import pytest
import torch

from maskstream.engines.networks.yolov3.network import YoloHead, make_cells
from maskstream.train.yolo.losses import UNTAUGHT, YoloTargets, assign, box_loss, yolo_losses

SIDE = 64
HEADS = (YoloHead(32, ((64, 64),)), YoloHead(16, ((16, 16), (32, 16))))
CELLS = make_cells(HEADS, SIDE)
OBJECT = (24 / 64, 16 / 64, 56 / 64, 32 / 64)
"""32 x 16 pixels around (40, 24): as its best anchor, in the middle of column 2, row 1."""
ROW = 4 + (1 * 4 + 2) * 2 + 1
LN2 = math.log(2)


def _assign(*boxes, **options):
    owners = assign(np.array(boxes, np.float32).reshape(-1, 4), HEADS, SIDE, **options)
    assert owners.shape == (36,)
    return {int(row): int(owners[row]) for row in np.flatnonzero(owners != UNTAUGHT)}


def _targets(*boxes, ignored=(), is_exhaustive=True):
    return YoloTargets(
        boxes_xyxy_rel=[torch.tensor(boxes).reshape(-1, 4)],
        class_ids=[torch.ones(len(boxes), dtype=torch.int64)],
        ignored_xyxy_rel=[torch.tensor(ignored).reshape(-1, 4)],
        is_exhaustive=torch.tensor([is_exhaustive]),
    )


def _losses(targets, raw=None, **options):
    raw = torch.zeros(1, 36, 7) if raw is None else raw
    return yolo_losses(raw, targets, HEADS, CELLS, SIDE, **options)


def test_an_object_is_learnt_where_its_centre_is_by_the_anchor_of_its_shape():
    assert _assign(OBJECT) == {ROW: 0}


def test_anchors_that_fit_well_enough_learn_it_too():
    # 16 x 16 shares half of 32 x 16; 64 x 64 shares an eighth.
    assert _assign(OBJECT, anchor_iou_min=0.4) == {ROW: 0, ROW - 1: 0}
    assert _assign(OBJECT, anchor_iou_min=0.6) == {ROW: 0}


def test_of_two_objects_that_want_a_row_the_better_fitting_has_it():
    smaller = (26 / 64, 16 / 64, 54 / 64, 32 / 64)
    assert _assign(OBJECT, smaller) == {ROW: 0}
    assert _assign(smaller, OBJECT) == {ROW: 1}


def test_an_object_whose_centre_is_on_the_last_edge_is_in_the_last_cell():
    # The smallest anchor is most like what has nearly no size.
    box = (0.9999, 0.9999, 1.0, 1.0)
    assert _assign(box) == {4 + (3 * 4 + 3) * 2: 0}


def test_losses_of_a_network_that_says_nothing():
    losses = _losses(_targets(OBJECT))
    # The centre is in the middle of its cell, where a logit of 0 is right: its entropy is left.
    # The size is that of the anchor. The weight is 2 minus 1/2 * 1/4 of the picture.
    assert losses["box"].item() == pytest.approx(1.875 * 2 * LN2)
    assert losses["objectness"].item() == pytest.approx(36 * LN2)
    assert losses["classes"].item() == pytest.approx(2 * LN2)


def test_a_row_whose_box_lies_on_an_object_is_not_called_background():
    raw = torch.zeros(1, 36, 7)
    raw[0, ROW - 1, 2] = LN2  # as wide as the object now
    assert _losses(_targets(OBJECT), raw)["objectness"].item() == pytest.approx(35 * LN2)


def test_what_lies_in_an_ignored_region_is_not_called_background():
    # Of the coarse anchors 48 x 48 of 64 x 64 pixels are inside, of the others three quarters.
    losses = _losses(_targets(OBJECT, ignored=(0.0, 0.0, 1.0, 1.0)))
    assert losses["objectness"].item() == pytest.approx((4 + 1) * LN2)


def test_where_objects_are_unlabelled_only_what_touches_a_labelled_one_is_background():
    # All four coarse boxes, the square ones of columns 1 to 3, and the wide ones of the same.
    losses = _losses(_targets(OBJECT, is_exhaustive=False))
    assert losses["objectness"].item() == pytest.approx((4 + 3 + 3) * LN2)
    assert _losses(_targets(is_exhaustive=False))["objectness"].item() == 0


def test_a_picture_without_objects_teaches_background():
    losses = _losses(_targets())
    assert losses["objectness"].item() == pytest.approx(36 * LN2)
    assert losses["box"].item() == losses["classes"].item() == 0


def test_losses_are_means_over_the_pictures_of_the_whole_batch():
    whole = _losses(_targets(OBJECT))
    part = _losses(_targets(OBJECT), image_count=4)
    for name, value in whole.items():
        assert part[name].item() == pytest.approx(value.item() / 4)


def test_the_gradient_of_a_box_is_darknets():
    raw = torch.tensor([[0.3, -0.2, 0.1, 0.4]], requires_grad=True)
    row = type(CELLS)(*(part[ROW : ROW + 1] for part in CELLS))
    # 16 x 8 pixels around (36, 20): a quarter into the cell; half the anchor either way.
    box = torch.tensor([[28 / 64, 16 / 64, 44 / 64, 24 / 64]])
    box_loss(raw, box, row, SIDE).backward()
    weight = 2 - 16 * 8 / 64**2
    sigmoid = torch.sigmoid(raw.detach()[0, :2])
    expected = [sigmoid[0] - 0.25, sigmoid[1] - 0.25, 0.1 + LN2, 0.4 + LN2]
    assert raw.grad is not None
    torch.testing.assert_close(raw.grad[0], weight * torch.tensor(expected))
