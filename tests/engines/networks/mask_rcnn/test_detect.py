"""Inference of static shapes gives the rows that torchvision's own gives."""

import numpy as np
import pytest
import torch
from torchvision.models.detection.image_list import ImageList

from maskstream.engines.networks.mask_rcnn.detect import (
    MaskRcnnDetector,
    decode,
    mask_probabilities,
)
from tests.helpers.engines.tiny_mask_rcnn import SIDE, blocks, lively_model, tiny_config

SCORE_MIN = 0.05
"""torchvision's."""


def theirs(model, frames):
    """What torchvision's proposal network and heads say of our pyramid."""
    levels = model.pyramid(frames)
    sizes = [(SIDE, SIDE)] * len(frames)
    images = ImageList(torch.zeros(len(frames), 3, SIDE, SIDE), sizes)
    proposals, _ = model.network.rpn(images, levels)
    results, _ = model.network.roi_heads(levels, proposals, sizes)
    return results


@pytest.mark.parametrize("variant", ["", "+roipool"])
def test_rows_equal_torchvisions(variant):
    model = lively_model(tiny_config(f"mask-rcnn-mini-strided{variant}"))
    frames = blocks(3, seed=7)
    with torch.inference_mode():
        ours = MaskRcnnDetector(model)(frames)
        for row, expected in enumerate(theirs(model, frames)):
            count = len(expected["scores"])
            assert count == (ours.scores[row] > SCORE_MIN).sum() > 0
            torch.testing.assert_close(
                ours.scores[row, :count], expected["scores"], atol=1e-4, rtol=0
            )
            assert (ours.class_ids[row, :count] + 1).tolist() == expected["labels"].tolist()
            torch.testing.assert_close(
                ours.boxes[row, :count] * SIDE, expected["boxes"], atol=1e-2, rtol=0
            )
            torch.testing.assert_close(
                ours.masks[row, :count], expected["masks"][:, 0], atol=1e-3, rtol=0
            )


def test_rows_are_as_many_for_any_picture():
    model = lively_model(tiny_config())
    with torch.inference_mode():
        found = MaskRcnnDetector(model)(torch.zeros(2, SIDE, SIDE, 3, dtype=torch.uint8))
    assert [tuple(output.shape) for output in found] == [
        (2, 10, 4), (2, 10), (2, 10), (2, 10, 28, 28),
    ]  # fmt: skip
    assert (found.scores.diff(dim=1) <= 0).all()
    assert found.masks.min() >= 0
    assert found.masks.max() <= 1


def test_decode_by_hand():
    # A box of 20 x 10 around (50, 45): half a width to the right, twice as high; cut at 100.
    box = torch.tensor([[[40.0, 40.0, 60.0, 50.0], [80.0, 0.0, 100.0, 10.0]]])
    shifts = torch.tensor([[[0.5, 0.0, 0.0, float(np.log(2))], [0.5, 0.0, 0.0, 0.0]]])
    expected = [[[50.0, 35.0, 70.0, 55.0], [90.0, 0.0, 100.0, 10.0]]]
    torch.testing.assert_close(decode(shifts, box, 100), torch.tensor(expected))


@pytest.mark.parametrize(
    ("variant", "logits", "expected"),
    [
        # Class 1 of two is channel 2.
        pytest.param("", [9.0, 9.0, 0.0], 0.5, id="its-class-alone"),
        pytest.param("+softmax", [np.log(3), 0.0, np.log(4)], 4 / 8, id="against-the-others"),
        pytest.param("+agnostic", [np.log(3)], 0.75, id="any-class"),
        pytest.param("+agnostic+softmax", [0.0, np.log(3)], 0.75, id="against-background"),
    ],
)
def test_mask_probabilities_by_hand(variant, logits, expected):
    config = tiny_config(f"mask-rcnn-mini{variant}", class_count=2)
    maps = torch.tensor(logits, dtype=torch.float32).view(1, -1, 1, 1).expand(1, -1, 2, 2)
    found = mask_probabilities(maps, torch.tensor([1]), config)
    torch.testing.assert_close(found, torch.full((1, 2, 2), expected))
