"""The losses, on cases worked out by hand."""

import math

import pytest
import torch

from maskstream.engines.networks.yolact.mask_scoring import MaskIouNet
from maskstream.engines.networks.yolact.network import RawOutputs
from maskstream.train.yolact.losses import (
    BOX_WEIGHT,
    MASK_WEIGHT,
    Targets,
    class_loss,
    dice_loss,
    mask_loss,
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
    loss = mask_loss(torch.full((1, 4, 4), 2.0), masks, torch.tensor([[0.0, 0.0, 1.0, 1.0]]))
    assert loss.item() == pytest.approx(math.log1p(math.exp(-2)), rel=1e-5)


def test_dice_loss_of_an_even_guess():
    # Two objects in boxes that fill the map, every cell at one half. One fills its box: overlap
    # 16 x 1/2, squares 16 x 1/4 + 16, so 1 - 2 * 8 / 20. The other fills half: 1 - 2 * 4 / 12.
    masks = torch.ones(2, 4, 4)
    masks[1, 2:] = 0
    loss = dice_loss(torch.zeros(2, 4, 4), masks, torch.tensor([[0.0, 0.0, 1.0, 1.0]] * 2))
    assert loss.item() == pytest.approx(0.2 + 1 / 3)


def test_dice_loss_is_added_with_its_weight():
    targets = _targets([1, 0], masks=[[[255] * 4] * 4], boxes=[[0.0, 0.0, 1.0, 1.0]])
    raw = _raw(2, prototypes=torch.zeros(1, 4, 4, 1), coefficients=torch.ones(1, 2, 1))
    loss = yolact_losses(raw, targets, dice_weight=2.0).mask.item()
    assert loss == pytest.approx(MASK_WEIGHT * math.log(2) + 2 * 0.2, rel=1e-5)


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


def test_without_weights_there_is_no_loss_of_context():
    targets = _targets([1], masks=[[[255] * 4] * 4], boxes=[[0.0, 0.0, 1.0, 1.0]])
    losses = yolact_losses(_raw(1), targets)
    assert losses.context == 0
    assert losses.total() == sum(losses)


def test_neighbours_of_an_object_that_point_apart_cost_the_weight():
    # Two prototypes: the upper cells point along one, the lower along the other. Of 24 pairs of
    # neighbours the 4 across the border have the distance 1, the others 0. Of the second picture
    # the object has no mask, so none of its cells is known to be in it; it counts as 0.
    prototypes = torch.zeros(2, 4, 4, 2)
    prototypes[:, :2, :, 0] = prototypes[:, 2:, :, 1] = 100
    targets = _targets([1], masks=[[[255] * 4] * 4], boxes=[[0.0, 0.0, 1.0, 1.0]], batch=2)
    targets.has_mask[1] = torch.tensor([False])
    raw = _raw(1, prototypes=prototypes, coefficients=torch.zeros(2, 1, 2), batch=2)
    losses = yolact_losses(raw, targets, neighbor_weight=3.0)
    assert losses.context.item() == pytest.approx(3 * (4 / 24) / 2, rel=1e-4)
    # A part of a batch of eight has its share of the mean.
    part = yolact_losses(raw, targets, neighbor_weight=3.0, image_count=8)
    assert part.context.item() == pytest.approx(3 * (4 / 24) / 8, rel=1e-4)


def test_class_maps_that_hold_what_is_true_have_the_least_contextual_loss():
    # The map is 2 x 2, all of one class. Seen rightly, every true cell is matched by a quarter of
    # each cell: 4 cells alike, so minus the log of 1/4. Seen as background, likewise, as all cells
    # are alike then too: what counts are the shares, and they are even.
    targets = _targets([1], masks=[[[255] * 4] * 4], boxes=[[0.0, 0.0, 1.0, 1.0]], batch=2)
    targets.knows_all_masks[1] = 0.0
    raw = _raw(1, batch=2)
    raw = raw._replace(semantic=torch.full((2, 1, 2, 2), 9.0))
    losses = yolact_losses(raw, targets, contextual_weight=2.0)
    assert losses.context.item() == pytest.approx(2 * math.log(4) / 2, rel=1e-4)


def test_contextual_loss_tells_the_object_from_the_ground():
    # The left half of 2 x 2 is the object. Seen rightly, a true cell gets half of the best cell;
    # where all is seen as background, cells of the object get next to nothing.
    mask = [[[255, 255, 0, 0]] * 4]
    targets = _targets([1], masks=mask, boxes=[[0.0, 0.0, 0.5, 1.0]])
    right = torch.tensor([[[[20.0, -20.0]] * 2]])
    seen = yolact_losses(_raw(1)._replace(semantic=right), targets, contextual_weight=1.0)
    missed = yolact_losses(
        _raw(1)._replace(semantic=torch.full((1, 1, 2, 2), -20.0)), targets, contextual_weight=1.0
    )
    assert seen.context.item() == pytest.approx(math.log(2), rel=1e-3)
    assert missed.context.item() == pytest.approx(math.log(4), rel=1e-3)


def test_the_scorers_error_counts_as_mask_loss_with_its_weight():
    class Guess(MaskIouNet):
        def forward(self, masks):
            return torch.full((len(masks), 1), 0.25)

    # Two positives see the whole map of 8 x 8, of which the half is true: the IoU is 1/2, the
    # guess is off by 1/4, and smooth L1 is half the square. The sum is divided by the positives.
    masks = [[[255] * 4 + [0] * 4] * 8]
    targets = _targets([1, 1], masks=masks, boxes=[[0.0, 0.0, 1.0, 1.0]])
    raw = _raw(2, prototypes=torch.ones(1, 8, 8, 1), coefficients=torch.ones(1, 2, 1))
    without = yolact_losses(raw, targets).mask
    error = yolact_losses(raw, targets, scorer=Guess(1)).mask - without
    assert error.item() == pytest.approx(25 * 0.5 * 0.25**2, rel=1e-4)
    # Of more positives than are drawn, it is scaled like the masks' own loss.
    many = _targets([1] * 6, masks=masks, boxes=[[0.0, 0.0, 1.0, 1.0]])
    raw = _raw(6, prototypes=torch.ones(1, 8, 8, 1), coefficients=torch.ones(1, 6, 1))
    drawn = yolact_losses(raw, many, max_masks=2, scorer=Guess(1)).mask - without
    assert drawn.item() == pytest.approx(25 * 0.5 * 0.25**2, rel=1e-4)


def test_a_network_that_is_not_in_training_is_refused():
    targets = _targets([1], masks=[[[255] * 4] * 4], boxes=[[0.0, 0.0, 1.0, 1.0]])
    with pytest.raises(ValueError, match="must be in training"):
        yolact_losses(_raw(1)._replace(semantic=None), targets)


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
