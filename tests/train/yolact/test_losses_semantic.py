"""The semantic map's truth and loss, by hand."""

import math

import pytest
import torch

from maskstream.train.yolact.losses_semantic import semantic_loss, true_class_maps


def test_a_cell_holds_a_class_where_an_object_covers_more_than_half_of_it():
    # 4 x 4 cells onto 2 x 2. Class 2 has two objects: one covers the upper left cell and, of the
    # upper right, the half, which is not enough; the other the lower left. Class 0 has none.
    masks = torch.zeros(3, 4, 4, dtype=torch.uint8)
    masks[0, :2, :3] = 255
    masks[1, 2:, :2] = 255
    masks[2, 2:, 2:] = 255
    absent = torch.zeros(0, 4, 4, dtype=torch.uint8)
    truth = true_class_maps(
        [masks, absent],
        [torch.tensor([2, 2, 1]), torch.zeros(0, dtype=torch.int64)],
        torch.zeros(2, 3, 2, 2, dtype=torch.bfloat16),
    )
    assert truth.dtype == torch.float32
    assert truth[0].tolist() == [[[0, 0], [0, 0]], [[0, 0], [0, 1]], [[1, 0], [1, 0]]]
    assert truth[1].sum() == 0


def test_pictures_whose_truth_is_not_known_are_left_out_but_count():
    semantic, truth = torch.zeros(2, 1, 2, 2), torch.ones(2, 1, 2, 2)
    loss = semantic_loss(semantic, truth, torch.tensor([1.0, 0.0]))
    assert loss.item() == pytest.approx(math.log(2) / 2)
