"""Mask scoring: the network's sizes, what it looks at, and what becomes of the scores."""

from typing import Any

import pytest
import torch

from maskstream.engines.networks.yolact.detect import Detections, rescore
from maskstream.engines.networks.yolact.mask_scoring import MaskIouNet, inside_boxes


def test_network_halves_without_padding_as_the_released_one():
    network = MaskIouNet(80)
    sizes = []
    for module in network.maskiou_net:
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda _m, _i, out: sizes.append(tuple(out.shape[1:])))
    assert network(torch.rand(3, 1, 138, 138)).shape == (3, 80)
    sides = [(8, 68), (16, 33), (32, 16), (64, 7), (128, 3), (80, 3)]
    assert sizes == [(channels, side, side) for channels, side in sides]


def test_box_keeps_one_cell_around_it():
    # From 0.3 to 0.5 of ten cells, so x from 2 to 6 (exclusive), and y is cut at the edge.
    inside = inside_boxes(torch.tensor([0.3, 0.0, 0.5, 0.1]), 10, 10)
    expected = torch.zeros(10, 10)
    expected[0:2, 2:6] = 1
    assert torch.equal(inside, expected)


class Fixed(MaskIouNet):
    """Says for each class id 0..2 the IoU 0.1, 0.5, 0.9, and remembers what it was shown."""

    def forward(self, masks):
        self.seen = masks
        return torch.tensor([0.1, 0.5, 0.9]).expand(len(masks), 3)


def test_scores_are_multiplied_by_the_iou_of_their_class_and_rows_sorted_anew():
    found = Detections(
        boxes=torch.tensor([[[0.0, 0, 1, 1], [0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1], [0, 0, 0, 0]]]),
        scores=torch.tensor([[0.9, 0.8, 0.6, 0.0]]),
        class_ids=torch.tensor([[0, 2, 1, 0]], dtype=torch.int32),
        coefficients=torch.tensor([[[1.0], [2.0], [3.0], [4.0]]]),
        prototypes=torch.ones(1, 8, 8, 1),
    )
    scorer = Fixed(3)
    ranked = rescore(found, scorer)
    # 0.8 x 0.9, 0.6 x 0.5, 0.9 x 0.1
    torch.testing.assert_close(ranked.scores, torch.tensor([[0.72, 0.30, 0.09, 0.0]]))
    assert ranked.class_ids.tolist() == [[2, 1, 0, 0]]
    assert ranked.class_ids.dtype == torch.int32
    assert ranked.coefficients[0, :, 0].tolist() == [2.0, 3.0, 1.0, 4.0]
    assert ranked.boxes[0, 0].tolist() == [0, 0, 0.5, 0.5]
    # The second row's mask: sigmoid(2) in the box and one cell around it, 0 elsewhere.
    expected = torch.zeros(8, 8)
    expected[:5, :5] = torch.sigmoid(torch.tensor(2.0))
    torch.testing.assert_close(scorer.seen[1, 0], expected)


def test_an_estimate_above_one_does_not_raise_a_score():
    found = Detections(
        boxes=torch.tensor([[[0.0, 0, 1, 1]]]),
        scores=torch.tensor([[0.5]]),
        class_ids=torch.tensor([[0]], dtype=torch.int32),
        coefficients=torch.ones(1, 1, 1),
        prototypes=torch.ones(1, 64, 64, 1),
    )
    scorer: Any = MaskIouNet(1)
    torch.nn.init.constant_(scorer.maskiou_net[10].bias, 7.0)
    assert rescore(found, scorer).scores.item() == pytest.approx(0.5)
