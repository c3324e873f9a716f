"""Greedy NMS keeps what torchvision's keeps, and Fast NMS what YOLACT's paper says."""

import pytest
import torch
from torchvision.ops import batched_nms, nms

from maskstream.engines.networks.nms import GREEDY_ROUNDS, fast_nms, greedy_nms, pairwise_iou


def kept(rows, count):
    stays = torch.zeros(count, dtype=torch.bool)
    stays[rows] = True
    return stays


def boxes_of(*rows):
    return torch.tensor([[rows]], dtype=torch.float32)


def crowded(seed, count=300):
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 60
    return torch.cat([corner, corner + 20 + 20 * torch.rand(count, 2, generator=generator)], dim=1)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("iou_max", [0.5, 0.7])
def test_crowded_boxes(seed, iou_max):
    boxes = crowded(seed)
    scores = torch.arange(len(boxes), 0, -1).float()
    expected = kept(nms(boxes, scores, iou_max), len(boxes))
    assert 0 < expected.sum() < len(boxes)
    assert torch.equal(greedy_nms(boxes[None], iou_max)[0], expected)


def test_classes_do_not_drop_each_other():
    boxes = crowded(9)
    scores = torch.arange(len(boxes), 0, -1).float()
    class_ids = torch.arange(len(boxes)) % 3
    expected = kept(batched_nms(boxes, scores, class_ids, 0.5), len(boxes))
    assert torch.equal(greedy_nms(boxes[None], 0.5, class_ids[None])[0], expected)


def test_a_chain_is_followed_to_its_end():
    # Boxes 10 wide, each 4 further than the one before: an overlap of 6 / 14 with its neighbours
    # alone, so every second one stays. Fast NMS would keep the first only.
    left = 4.0 * torch.arange(GREEDY_ROUNDS)
    boxes = torch.stack([left, left * 0, left + 10, left * 0 + 1], dim=1)
    expected = torch.arange(GREEDY_ROUNDS) % 2 == 0
    assert torch.equal(greedy_nms(boxes[None], 0.4)[0], expected)


def test_boxes_without_an_area_drop_nothing():
    assert greedy_nms(torch.zeros(1, 3, 4), 0.5).all()


def test_iou_of_half_overlapping_squares_is_one_third():
    iou = pairwise_iou(boxes_of([0, 0, 2, 2], [1, 0, 3, 2]))[0, 0]
    torch.testing.assert_close(iou, torch.tensor([[1.0, 1 / 3], [1 / 3, 1.0]]))


def test_in_fast_nms_a_dropped_box_still_drops():
    # B overlaps A by 2/3, C overlaps B by 2/3, C overlaps A by 0.43: greedy NMS drops B, and then
    # keeps C; Fast NMS drops both.
    a, b, c = [0, 0, 10, 10], [0, 2, 10, 12], [0, 4, 10, 14]
    assert greedy_nms(boxes_of(a, b, c), 0.5)[0, 0].tolist() == [True, False, True]
    assert fast_nms(boxes_of(a, b, c), 0.5)[0, 0].tolist() == [True, False, False]
    assert fast_nms(boxes_of(a, c), 0.5)[0, 0].tolist() == [True, True]


@pytest.mark.parametrize("nms_of", [fast_nms, greedy_nms])
def test_an_overlap_of_just_the_limit_is_kept(nms_of):
    # Intersection 10, union 20.
    assert nms_of(boxes_of([0, 0, 10, 2], [0, 0, 10, 1]), 0.5)[0, 0].tolist() == [True, True]
