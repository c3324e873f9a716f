"""Mask R-CNN's losses by hand, and beside torchvision's own."""

import math
from functools import partial

import pytest
import torch
from torchvision.models.detection.roi_heads import fastrcnn_loss, maskrcnn_loss

from maskstream.engines.networks.mask_rcnn.network import MaskRcnn, RawOutputs
from maskstream.train.mask_rcnn.data import Truths
from maskstream.train.mask_rcnn.losses import (
    counts,
    mask_loss,
    mask_losses,
    mask_rcnn_losses,
    region_losses,
    true_masks,
)
from maskstream.train.mask_rcnn.regions import choose_regions
from tests.helpers.engines.tiny_mask_rcnn import SIDE, blocks, tiny_config


def truths(*, has_mask=True):
    """One picture with a square of class 1 and one of class 2, of 40 pixels each."""
    boxes = torch.tensor([[8.0, 8.0, 48.0, 48.0], [50.0, 50.0, 90.0, 90.0]])
    masks = torch.zeros(2, SIDE, SIDE, dtype=torch.uint8)
    masks[0, 8:48, 8:28], masks[1, 50:90, 50:90] = 255, 255
    return Truths(
        boxes=[boxes],
        labels=[torch.tensor([1, 2])],
        masks=[masks],
        has_mask=[torch.tensor([has_mask, has_mask])],
        ignored=[torch.zeros(0, 4)],
        is_exhaustive=torch.tensor([True]),
        seeds=torch.tensor([0]),
    )


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return MaskRcnn(tiny_config()).train()


def test_true_masks_are_what_a_box_shows_of_its_owner():
    seen = true_masks(truths().masks[0], truths().boxes[0], torch.tensor([0, 1]), 4)
    # RoIAlign looks between pixels, so at an edge a tenth of a cell sees half of it.
    half = torch.tensor([[1.0, 1.0, 0.0, 0.0]] * 4)
    torch.testing.assert_close(seen[0], half, atol=0.11, rtol=0)
    torch.testing.assert_close(seen[1], torch.ones(4, 4), atol=0.11, rtol=0)


@pytest.mark.parametrize(
    ("variant", "logits", "wanted", "expected"),
    [
        # The true class is 2 of two; its probability is 3/4.
        pytest.param("", [9.0, -9.0, math.log(3)], 1.0, -math.log(3 / 4), id="its-class-alone"),
        pytest.param("", [9.0, -9.0, math.log(3)], 0.0, -math.log(1 / 4), id="not-there"),
        pytest.param("+agnostic", [math.log(3)], 1.0, -math.log(3 / 4), id="any-class"),
        pytest.param("+softmax", [0.0, 0.0, math.log(2)], 1.0, -math.log(2 / 4), id="competing"),
        pytest.param("+softmax", [0.0, 0.0, math.log(2)], 0.0, -math.log(1 / 4), id="background"),
        pytest.param("+agnostic+softmax", [0.0, math.log(3)], 1.0, -math.log(3 / 4), id="two"),
    ],
)
def test_mask_loss_by_hand(variant, logits, wanted, expected):
    config = tiny_config(f"mask-rcnn-mini{variant}", class_count=2)
    maps = torch.tensor(logits).view(1, -1, 1, 1).expand(1, -1, 2, 2)
    found = mask_loss(maps, torch.full((1, 2, 2), wanted), torch.tensor([2]), config)
    torch.testing.assert_close(found, torch.tensor(expected))


def raw_outputs(model, found):
    return model(blocks(1), partial(choose_regions, model.network.roi_heads, truths=found))


def test_region_and_mask_losses_equal_torchvisions(model):
    found = truths()
    raw: RawOutputs = raw_outputs(model, found)
    heads, chosen = model.network.roi_heads, raw.chosen
    owners = chosen.owners[0]
    targets = heads.box_coder.encode([found.boxes[0][owners]], [chosen.boxes[0]])
    classes, box = fastrcnn_loss(raw.class_logits, raw.shifts, chosen.labels, list(targets))
    torch.testing.assert_close(region_losses(heads, raw, found), (classes, box))
    rows = chosen.mask_rows[0]
    masks = maskrcnn_loss(
        raw.mask_logits,
        chosen.mask_boxes,
        [found.masks[0] // 255],
        found.labels,
        [owners[rows]],
    )
    torch.testing.assert_close(mask_losses(raw, found, model.config), masks, atol=1e-3, rtol=1e-3)


def test_objects_without_masks_teach_boxes_alone(model):
    found = truths(has_mask=False)
    losses = mask_rcnn_losses(model, model, blocks(1), found, counts(blocks(1), found))
    assert losses["mask"] == 0
    assert losses["box"] > 0
    torch.stack(list(losses.values())).sum().backward()


def test_a_picture_without_objects_teaches_background(model):
    nothing = Truths(
        boxes=[torch.zeros(0, 4)],
        labels=[torch.zeros(0, dtype=torch.int64)],
        masks=[torch.zeros(0, SIDE, SIDE, dtype=torch.uint8)],
        has_mask=[torch.zeros(0, dtype=torch.bool)],
        ignored=[torch.zeros(0, 4)],
        is_exhaustive=torch.tensor([True]),
        seeds=torch.tensor([0]),
    )
    losses = mask_rcnn_losses(model, model, blocks(1), nothing, counts(blocks(1), nothing))
    assert losses["classes"] > 0
    assert losses["objectness"] > 0
    assert losses["box"] == losses["mask"] == losses["proposals"] == 0
    torch.stack(list(losses.values())).sum().backward()


def test_a_part_of_a_batch_has_its_share_of_the_loss(model):
    found = truths()
    torch.manual_seed(1)
    alone = mask_rcnn_losses(model, model, blocks(1), found, [1, 1])
    torch.manual_seed(1)
    shared = mask_rcnn_losses(model, model, blocks(1), found, [4, 2])
    torch.testing.assert_close(shared["classes"], alone["classes"] / 4)
    torch.testing.assert_close(shared["mask"], alone["mask"] / 2)
