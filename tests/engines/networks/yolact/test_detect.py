"""The rows that leave the graph."""

import numpy as np
import torch

from maskstream.engines.networks.nms import fast_nms
from maskstream.engines.networks.yolact.detect import class_scores, decode, detect
from maskstream.engines.networks.yolact.network import RawOutputs
from maskstream.engines.networks.yolact.priors import decode_boxes


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
    found = detect(raw, priors, fast_nms)
    assert found.class_ids[0, :2].tolist() == [1, 0]
    assert found.coefficients[0, :2, 0].tolist() == [12.0, 10.0]
    torch.testing.assert_close(found.boxes[0, 0], torch.tensor([0.85, 0.85, 0.95, 0.95]))
    torch.testing.assert_close(found.scores[0, 0], torch.softmax(logits[0, 2], 0)[2])
    assert bool((found.scores[0, :-1] >= found.scores[0, 1:]).all())


def test_of_one_class_the_score_is_that_of_the_softmax():
    logits = torch.randn(2, 50, 2, generator=torch.Generator().manual_seed(0)) * 8
    torch.testing.assert_close(class_scores(logits), torch.softmax(logits, dim=-1)[..., 1:])
    more = torch.randn(2, 50, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(class_scores(more), torch.softmax(more, dim=-1)[..., 1:])
