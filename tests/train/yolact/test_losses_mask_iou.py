"""The loss of the mask scorer, by hand."""

import pytest
import torch

from maskstream.engines.networks.yolact.mask_scoring import MaskIouNet
from maskstream.train.yolact.losses_mask_iou import mask_iou_loss

WHOLE = torch.tensor([[0.0, 0.0, 1.0, 1.0]])


class Guess(MaskIouNet):
    """Says 0.25 for class 0 and 0.75 for class 1, of every mask."""

    def forward(self, masks):
        return torch.tensor([0.25, 0.75]).expand(len(masks), 2)


def _masks(columns):
    """A mask of 64 x 64 whose first columns are set."""
    mask = torch.zeros(1, 64, 64)
    mask[:, :, :columns] = 1
    return mask


def test_loss_is_smooth_l1_between_the_guess_of_the_class_and_the_iou():
    # Seen 32 columns, true 16: IoU 1/2. Both guesses are off by 1/4; smooth L1 is half a square.
    logits = 12 * (_masks(32) - 0.5)
    for class_id in (0, 1):
        loss = mask_iou_loss(Guess(2), logits, _masks(16), WHOLE, torch.tensor([class_id]))
        assert loss.item() == pytest.approx(0.5 * 0.25**2)


def test_what_lies_outside_the_truths_box_does_not_count():
    # The box ends at column 16, with one cell around it: 17 columns are seen, 16 are true.
    logits = 12 * (_masks(32) - 0.5)
    box = torch.tensor([[0.0, 0.0, 0.25, 1.0]])
    loss = mask_iou_loss(Guess(2), logits, _masks(16), box, torch.tensor([1]))
    assert loss.item() == pytest.approx(0.5 * (16 / 17 - 0.75) ** 2)


def test_small_truths_and_no_truths_cost_nothing():
    small = torch.zeros(1, 64, 64)
    small[0, :5, :5] = 1  # 25 cells
    scorer = Guess(2)
    assert mask_iou_loss(scorer, small - 0.5, small, WHOLE, torch.tensor([0])) == 0
    small[0, 5, 5] = 1
    assert mask_iou_loss(scorer, small - 0.5, small, WHOLE, torch.tensor([0])) > 0
    none = torch.zeros(0, 64, 64)
    assert mask_iou_loss(MaskIouNet(2), none, none, WHOLE[:0], torch.zeros(0).long()) == 0


def test_the_scorer_and_the_masks_learn():
    torch.manual_seed(0)
    scorer = MaskIouNet(2)
    logits = torch.randn(3, 64, 64, requires_grad=True)
    truth = torch.cat([_masks(20), _masks(40), _masks(60)])
    loss = mask_iou_loss(scorer, logits, truth, WHOLE.expand(3, 4), torch.tensor([0, 1, 1]))
    loss.backward()
    assert logits.grad is not None
    assert logits.grad.abs().max() > 0
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in scorer.parameters())
