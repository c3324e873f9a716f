"""Fast NMS and the rows that leave the graph."""

import numpy as np
import torch

from engines.yolact.detect import decode, detect, fast_nms, pairwise_iou
from engines.yolact.network import RawOutputs
from engines.yolact.priors import decode_boxes


def _boxes(*rows):
    return torch.tensor([[rows]], dtype=torch.float32)


def test_iou_of_half_overlapping_squares_is_one_third():
    iou = pairwise_iou(_boxes([0, 0, 2, 2], [1, 0, 3, 2]))[0, 0]
    torch.testing.assert_close(iou, torch.tensor([[1.0, 1 / 3], [1 / 3, 1.0]]))


def test_a_suppressed_box_still_suppresses():
    # B overlaps A by 2/3, C overlaps B by 2/3, C overlaps A by 0.43: greedy NMS would drop B, and
    # then keep C; Fast NMS drops both.
    a, b, c = [0, 0, 10, 10], [0, 2, 10, 12], [0, 4, 10, 14]
    assert fast_nms(_boxes(a, b, c), 0.5)[0, 0].tolist() == [1.0, 0.0, 0.0]
    assert fast_nms(_boxes(a, c), 0.5)[0, 0].tolist() == [1.0, 1.0]


def test_an_overlap_of_just_the_limit_is_kept():
    # Intersection 10, union 20.
    assert fast_nms(_boxes([0, 0, 10, 2], [0, 0, 10, 1]), 0.5)[0, 0].tolist() == [1.0, 1.0]


def test_decode_in_torch_equals_decode_in_numpy():
    random = np.random.default_rng(0)
    locations = random.normal(size=(50, 4)).astype(np.float32)
    priors = random.uniform(0.1, 0.9, (50, 4)).astype(np.float32)
    ours = decode(torch.from_numpy(locations)[None], torch.from_numpy(priors))[0]
    np.testing.assert_allclose(ours.numpy(), decode_boxes(locations, priors), atol=1e-6)


def test_rows_are_sorted_with_their_own_coefficients_and_classes():
    # Three far-apart priors, two classes; logits make prior 2 the best of class 1, prior 0 the
    # second of class 0.
    priors = torch.tensor([[0.1, 0.1, 0.1, 0.1], [0.5, 0.5, 0.1, 0.1], [0.9, 0.9, 0.1, 0.1]])
    logits = torch.tensor([[[0.0, 2.0, -9.0], [9.0, 0.0, 0.0], [0.0, -9.0, 4.0]]])
    raw = RawOutputs(
        locations=torch.zeros(1, 3, 4),
        logits=logits,
        coefficients=torch.tensor([[[10.0], [11.0], [12.0]]]),
        prototypes=torch.zeros(1, 2, 2, 1),
        semantic=None,
    )
    found = detect(raw, priors)
    assert found.class_ids[0, :2].tolist() == [1, 0]
    assert found.coefficients[0, :2, 0].tolist() == [12.0, 10.0]
    torch.testing.assert_close(found.boxes[0, 0], torch.tensor([0.85, 0.85, 0.95, 0.95]))
    torch.testing.assert_close(found.scores[0, 0], torch.softmax(logits[0, 2], 0)[2])
    assert bool((found.scores[0, :-1] >= found.scores[0, 1:]).all())
