"""The four losses, on cases worked out by hand."""

import math

import pytest
import torch

from engines.yolact.network import RawOutputs
from train.losses import (
    BOX_WEIGHT,
    MASK_WEIGHT,
    Targets,
    class_loss,
    crop_masks,
    mask_loss,
    semantic_loss,
    yolact_losses,
)


def _targets(labels, *, masks, boxes, batch=1):
    count = len(labels)
    return Targets(
        labels=torch.tensor([labels] * batch),
        locations=torch.zeros(batch, count, 4),
        owners=torch.zeros(batch, count, dtype=torch.int64),
        boxes_xyxy_rel=[torch.tensor(boxes)] * batch,
        class_ids=[torch.zeros(len(boxes), dtype=torch.int64)] * batch,
        masks=[torch.tensor(masks, dtype=torch.uint8)] * batch,
        has_mask=[torch.ones(len(boxes), dtype=torch.bool)] * batch,
        knows_all_masks=torch.ones(batch),
    )


def _raw(count, *, side=4, logits=None, batch=1, prototypes=None, coefficients=None):
    return RawOutputs(
        locations=torch.zeros(batch, count, 4),
        logits=torch.zeros(batch, count, 2) if logits is None else logits,
        coefficients=torch.zeros(batch, count, 1) if coefficients is None else coefficients,
        prototypes=torch.zeros(batch, side, side, 1) if prototypes is None else prototypes,
        semantic=torch.zeros(batch, 1, 2, 2),
    )


def test_one_positive_costs_the_mean_entropy_over_its_box():
    # The box is the left half of 4 x 4 cells, the mask its upper half, every logit is 1; outside
    # the box plus one cell nothing counts. Cells in the crop: 3 columns of 4 rows; truth is 1 in
    # 2 x 2 of them. Entropy of 1: log(1 + 1/e), of 0: log(1 + e). Divided by the box's 8 cells.
    mask = [[[255, 255, 0, 0]] * 2 + [[0, 0, 0, 0]] * 2]
    targets = _targets([1, 0], masks=mask, boxes=[[0.0, 0.0, 0.5, 1.0]])
    raw = _raw(2, prototypes=torch.ones(1, 4, 4, 1), coefficients=torch.ones(1, 2, 1))
    hit, miss = math.log1p(math.exp(-1)), math.log1p(math.e)
    expected = MASK_WEIGHT * (4 * hit + 8 * miss) / 8
    assert yolact_losses(raw, targets).mask.item() == pytest.approx(expected, rel=1e-5)
    assert MASK_WEIGHT == 6.125


def test_a_mask_that_fills_its_box_costs_its_mean_entropy():
    masks = torch.ones(1, 4, 4)
    loss = mask_loss(
        torch.ones(4, 4, 1), torch.tensor([[2.0]]), masks, torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    )
    assert loss.item() == pytest.approx(math.log1p(math.exp(-2)), rel=1e-5)


def test_crop_keeps_one_cell_around_the_box():
    # x with 0.5 * 8 - 1 <= x < 0.75 * 8 + 1: 3 to 6; y with 0 - 1 <= y < 1 + 1: 0 and 1.
    crop = crop_masks(torch.tensor([[0.5, 0.0, 0.75, 0.125]]), 8, 8)[0]
    expected = torch.zeros(8, 8)
    expected[0:2, 3:7] = 1
    torch.testing.assert_close(crop, expected)


def test_three_hardest_negatives_are_taken_for_each_positive():
    # Eight positives, so that three to one is more than the least number of negatives.
    negatives = torch.linspace(-2, 2, 60)
    logits = torch.zeros(1, 68, 2)
    logits[0, 8:, 1] = negatives  # the larger, the harder
    labels = torch.tensor([[1] * 8 + [0] * 60])
    hardest = torch.log1p(torch.exp(negatives[-24:])).sum()
    expected = 8 * math.log(2) + hardest.item()
    assert class_loss(logits, labels).item() == pytest.approx(expected, rel=1e-5)


def test_neutral_priors_cost_nothing():
    logits = torch.zeros(1, 3, 2)
    logits[0, 1, 1] = 50.0
    assert class_loss(logits, torch.tensor([[1, -1, 0]])).item() == pytest.approx(2 * math.log(2))


def test_box_loss_is_smooth_l1_of_positives_by_their_number():
    targets = _targets([1, 1, 0], masks=[[[255] * 4] * 4], boxes=[[0.0, 0.0, 1.0, 1.0]])
    raw = _raw(3)
    raw.locations[0, 0] = torch.tensor([0.5, 0.0, 3.0, 0.0])  # 0.125 and 2.5
    raw.locations[0, 2] = 100.0  # background: does not count
    expected = BOX_WEIGHT * (0.125 + 2.5) / 2
    assert yolact_losses(raw, targets).box.item() == pytest.approx(expected)
    assert BOX_WEIGHT == 1.5


def test_semantic_loss_does_not_depend_on_the_number_of_positives():
    few = _targets([1] + [0] * 9, masks=[[[255] * 4] * 4], boxes=[[0.0, 0.0, 1.0, 1.0]])
    many = _targets([1] * 10, masks=[[[255] * 4] * 4], boxes=[[0.0, 0.0, 1.0, 1.0]])
    assert yolact_losses(_raw(10), few).semantic.item() == pytest.approx(math.log(2))
    assert yolact_losses(_raw(10), many).semantic.item() == pytest.approx(math.log(2))


def test_semantic_loss_leaves_out_pictures_whose_masks_are_not_all_known():
    targets = _targets([1], masks=[[[255] * 4] * 4], boxes=[[0.0, 0.0, 1.0, 1.0]], batch=2)
    targets.knows_all_masks[1] = 0.0
    loss = semantic_loss(torch.zeros(2, 1, 2, 2), targets)
    assert loss.item() == pytest.approx(math.log(2) / 2)


def test_a_batch_without_objects_is_finite_and_has_a_gradient():
    targets = _targets([0] * 40, masks=torch.zeros(0, 4, 4).tolist(), boxes=[])
    targets.boxes_xyxy_rel[0] = torch.zeros(0, 4)
    targets.masks[0] = torch.zeros(0, 4, 4, dtype=torch.uint8)
    logits = torch.zeros(1, 40, 2, requires_grad=True)
    losses = yolact_losses(_raw(40, logits=logits), targets)
    assert math.isfinite(losses.total().item())
    losses.total().backward()
    assert logits.grad is not None
    assert logits.grad.abs().sum() > 0


def test_too_many_positives_are_drawn_and_scaled_back():
    targets = _targets([1] * 30, masks=[[[255] * 4] * 4], boxes=[[0.0, 0.0, 1.0, 1.0]])
    all_of_them = yolact_losses(_raw(30), targets).mask
    drawn = yolact_losses(_raw(30), targets, max_masks=7).mask
    torch.testing.assert_close(drawn, all_of_them)


def test_boxes_without_masks_are_left_out_of_the_mask_loss():
    targets = _targets([1], masks=[[[0] * 4] * 4], boxes=[[0.0, 0.0, 1.0, 1.0]])
    targets.has_mask[0][0] = False
    assert yolact_losses(_raw(1), targets).mask.item() == 0
