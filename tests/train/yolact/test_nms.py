"""The kinds of NMS on five priors, worked out by hand."""

import pytest
import torch

from maskstream.engines.networks.nms import fast_nms, greedy_nms
from maskstream.engines.networks.yolact.detect import detect
from maskstream.engines.networks.yolact.network import RawOutputs
from maskstream.train.yolact.nms import NmsDetector, detect_cross_class, detect_traditional
from tests.helpers.engines.tiny import tiny_detector

# Boxes 0.4 wide and high; each is 0.1 to the right of the one before, so the IoU of neighbours is
# 0.3 / 0.5 = 0.6 and that of the next but one 0.2 / 0.6 = 0.33.
PRIORS = torch.tensor([[0.2 + 0.1 * i, 0.5, 0.4, 0.4] for i in range(5)])
# Class 0, class 0, class 0, class 1, and one that nothing is sure of.
SCORES = torch.tensor([[0.9, 0.05], [0.8, 0.01], [0.7, 0.02], [0.1, 0.6], [0.03, 0.03]])


@pytest.fixture
def raw():
    background = 1 - SCORES.sum(dim=1, keepdim=True)
    logits = torch.cat([background, SCORES], dim=1).log()
    return RawOutputs(
        locations=torch.zeros(1, 5, 4),
        logits=logits[None],
        coefficients=torch.arange(5.0).view(1, 5, 1),
        prototypes=torch.ones(1, 2, 2, 1),
        semantic=None,
    )


def _seen(detections, least=0.05):
    """Prior, class and score of each row; the coefficient says which prior it was."""
    rows = zip(
        detections.coefficients[0, :, 0].tolist(),
        detections.class_ids[0].tolist(),
        detections.scores[0].tolist(),
        strict=True,
    )
    return [(int(prior), klass, round(s, 2)) for prior, klass, s in rows if s > least]


def test_traditional_and_greedy_nms_let_a_suppressed_box_suppress_no_other(raw):
    # Class 0: prior 0 suppresses 1; 2 overlaps 1 alone, so it stays, and suppresses 3.
    expected = [(0, 0, 0.9), (2, 0, 0.7), (3, 1, 0.6)]
    assert _seen(detect_traditional(raw, PRIORS)) == expected
    assert _seen(detect(raw, PRIORS, greedy_nms)) == expected


def test_fast_nms_lets_it(raw):
    assert _seen(detect(raw, PRIORS, fast_nms)) == [(0, 0, 0.9), (3, 1, 0.6)]


def test_cross_class_nms_lets_boxes_of_another_class_suppress_too(raw):
    # Prior 3 of class 1 is suppressed by 2 of class 0, which is itself suppressed by 1.
    assert _seen(detect_cross_class(raw, PRIORS)) == [(0, 0, 0.9)]


def test_each_row_has_the_box_of_its_prior(raw):
    for found in (detect_traditional(raw, PRIORS), detect_cross_class(raw, PRIORS)):
        torch.testing.assert_close(found.boxes[0, 0], torch.tensor([0.0, 0.3, 0.4, 0.7]))


def test_a_picture_of_nothing_gives_rows_without_a_score(raw):
    nothing = raw._replace(logits=torch.tensor([9.0, 0.0, 0.0]).expand(1, 5, 3))
    assert detect_traditional(nothing, PRIORS).scores.abs().max() == 0
    assert _seen(detect_cross_class(nothing, PRIORS)) == []


@pytest.mark.parametrize("nms", ["fast", "greedy", "cross-class", "traditional"])
def test_a_network_runs_with_each_kind(nms):
    network = tiny_detector().network
    frames = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    with torch.inference_mode():
        found = NmsDetector(network, nms)(frames)
    assert found.boxes.shape == (2, 100, 4)
    assert found.class_ids.dtype == torch.int32
    assert (found.scores.diff(dim=1) <= 0).all()
