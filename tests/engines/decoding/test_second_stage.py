"""The second stage: which boxes are masked, and that no two masks of a pair share a pixel."""

from dataclasses import replace

import numpy as np
import pytest

from maskstream.engines.decoding.boxes import assemble
from maskstream.engines.decoding.crops import RgbPicture
from maskstream.engines.decoding.prototypes import Selection
from maskstream.engines.decoding.second_stage import CropMasker
from maskstream.engines.interface.backend import EVERYTHING
from maskstream.engines.interface.fit import make_fit
from maskstream.engines.interface.instances import Instances, to_rle

SIDE_PX = 8


class Recorder:
    """A backend whose mask of each crop is its red channel.

    Its rows are the caller's until the next call alone, as the contract has it.
    """

    name, device, precision = "fake", "cpu", "fp32"
    preferred_batch = 3

    def __init__(self):
        self.batches = []
        self._rows = np.zeros((64, SIDE_PX, SIDE_PX), np.float32)

    def infer(self, frames, wanted=EVERYTHING):
        self.batches.append(len(frames))
        np.divide(frames[..., 0], 255.0, out=self._rows[: len(frames)])
        return {"masks": self._rows[: len(frames)]}

    def close(self):
        """Nothing is held."""


def boxed(boxes, scores):
    count = len(boxes)
    return Instances(
        boxes_xyxy_src=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.array(scores, np.float32),
        class_ids=np.zeros(count, np.int32),
        extents_xyxy_src=np.array(boxes, np.int32).reshape(-1, 4),
        patches=(np.full((1, 1), 255, np.uint8),) * count,
    )


def masked(found, *, max_crops=64, size=(40, 30), rgb=None, margin=0.0):
    """Mask frames that are all object, or ``rgb``."""
    backend = Recorder()
    masker = CropMasker(backend, SIDE_PX, margin)
    picture = np.full((size[1], size[0], 3), 255, np.uint8) if rgb is None else rgb
    result = masker.mask(found, [RgbPicture(picture)] * len(found), [size] * len(found), max_crops)
    return result, backend.batches[1:], masker.left_out_count  # the first warms up


def test_no_boxes_need_no_network():
    found, batches, left_out = masked([Instances.empty(), Instances.empty()])
    assert [len(instances) for instances in found] == [0, 0]
    assert batches == []
    assert left_out == 0


def test_one_box_becomes_one_mask_over_its_extent():
    (found,), batches, _ = masked([boxed([[4, 6, 20, 16]], [0.9])])
    assert batches == [1]
    assert found.extents_xyxy_src.tolist() == [[4, 6, 20, 16]]
    assert found.patches[0].shape == (SIDE_PX, SIDE_PX)
    assert found.mask(0).all()


def test_boxes_of_all_frames_go_through_together():
    frames = [
        boxed([[0, 0, 4, 4]] * 2, [0.9, 0.8]),
        Instances.empty(),
        boxed([[0, 0, 2, 2]], [0.7]),
    ]
    found, batches, _ = masked(frames)
    assert [len(instances) for instances in found] == [2, 0, 1]
    assert batches == [3]


def test_each_box_keeps_its_own_mask():
    shades = (np.arange(7, dtype=np.uint8) + 1) * 30
    rgb = np.zeros((30, 40, 3), np.uint8)
    for number, shade in enumerate(shades):
        rgb[0:4, 4 * number : 4 * number + 4] = shade
    boxes = [[4 * number, 0, 4 * number + 4, 4] for number in range(7)]
    (found,), _, _ = masked([boxed(boxes, np.linspace(0.9, 0.3, 7))], rgb=rgb)
    assert [int(patch.max()) for patch in found.patches] == shades.tolist()
    assert [int(patch.min()) for patch in found.patches] == shades.tolist()


def test_one_box_more_than_allowed_leaves_the_least_likely_out_and_is_counted():
    frames = [boxed([[0, 0, 4, 4]] * 2, [0.9, 0.2]), boxed([[0, 0, 4, 4]] * 2, [0.8, 0.3])]
    found, _, left_out = masked(frames, max_crops=3)
    assert [len(instances) for instances in found] == [1, 2]
    assert found[0].scores[0] == np.float32(0.9)
    assert left_out == 1
    found, _, left_out = masked(frames, max_crops=4)
    assert left_out == 0
    assert [len(instances) for instances in found] == [2, 2]


@pytest.mark.parametrize(
    "box", [[0, 0, 1, 1], [39, 29, 40, 30], [0, 29, 1, 30], [17.2, 8.1, 17.9, 8.9], [0, 0, 40, 30]]
)
def test_boxes_at_the_border_and_of_one_pixel_have_masks_inside_the_frame(box):
    (found,), _, _ = masked([boxed([box], [0.9])], margin=0.3)
    left, top, right, bottom = found.extents_xyxy_src[0]
    assert 0 <= left < right <= 40
    assert 0 <= top < bottom <= 30
    assert to_rle(found, 0, 30, 40)["counts"]


def test_a_pixel_that_two_claim_belongs_to_the_likelier():
    """The recipe's own example: two boxes over one head, scored 0.9678 and 0.8998."""
    (found,), _, _ = masked([boxed([[0, 0, 20, 20], [10, 10, 30, 30]], [0.9678, 0.8998])])
    assert found.is_exclusive
    assert found.mask(0).all()
    expected = np.ones((20, 20), np.uint8)
    expected[:10, :10] = 0
    np.testing.assert_array_equal(found.mask(1), expected)


def on_frame(found, index, mask, size):
    whole = np.zeros((size[1], size[0]), bool)
    left, top, right, bottom = found.extents_xyxy_src[index]
    whole[top:bottom, left:right] = mask
    return whole


@pytest.mark.parametrize("seed", range(25))
def test_no_pixel_is_in_two_masks_and_none_is_lost(seed):
    random = np.random.default_rng(seed)
    width, height = (int(side) for side in random.integers(20, 90, 2))
    rgb = random.integers(0, 256, (height, width, 3), np.uint8)
    count = int(random.integers(2, 9))
    corners = random.uniform(0, 1, (count, 2, 2)) * [width, height]
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    scores = np.sort(random.uniform(0.3, 1, count))[::-1]
    (found,), _, _ = masked([boxed(boxes, scores)], size=(width, height), rgb=rgb)
    claims = np.array([on_frame(found, i, found._claim(i), (width, height)) for i in range(count)])
    owned = np.array([on_frame(found, i, found.mask(i), (width, height)) for i in range(count)])
    assert owned.sum(axis=0).max() <= 1
    np.testing.assert_array_equal(owned.any(axis=0), claims.any(axis=0))
    is_claimed = claims.any(axis=0)
    likeliest = claims.argmax(axis=0)  # the first, and scores fall
    np.testing.assert_array_equal(owned.argmax(axis=0)[is_claimed], likeliest[is_claimed])


def test_a_detector_alone_gives_its_boxes_as_masks():
    outputs = {
        "boxes": np.array([[[0.25, 0.25, 0.5, 0.5], [0, 0, 0, 0]]], np.float32),
        "scores": np.array([[0.9, 0]], np.float32),
        "class_ids": np.array([[1, 0]], np.int32),
    }
    found = assemble(outputs, 0, make_fit("letterbox", 80, 40, 80), Selection())
    assert found.class_ids.tolist() == [1]
    assert found.boxes_xyxy_src.tolist() == [[20, 0, 40, 20]]
    assert found.mask(0).shape == (20, 20)
    assert found.mask(0).all()


def refined(found, *, share_max=0.1, max_crops=64, size=(40, 30)):
    """Refine frames that are all object."""
    backend = Recorder()
    masker = CropMasker(backend, SIDE_PX, 0.0)
    picture = RgbPicture(np.full((size[1], size[0], 3), 255, np.uint8))
    count = len(found)
    result = masker.refine(found, [picture] * count, [size] * count, max_crops, share_max)
    return result, backend.batches[1:], masker.left_out_count


def with_own_masks(boxes, scores):
    """Instances whose own masks are 2 x 2 cells of nothing."""
    found = boxed(boxes, scores)
    return replace(found, patches=(np.zeros((2, 2), np.uint8),) * len(found))


def test_small_boxes_get_new_masks_and_large_ones_keep_theirs():
    # 120 of 1,200 pixels are a tenth of the frame; 132 are more.
    boxes = [[0, 0, 12, 11], [20, 0, 32, 10], [0, 20, 4, 24]]
    (found,), batches, left_out = refined([with_own_masks(boxes, [0.9, 0.8, 0.7])])
    assert [patch.shape for patch in found.patches] == [(2, 2), (8, 8), (8, 8)]
    assert [bool(found.mask(row).any()) for row in range(3)] == [False, True, True]
    assert found.extents_xyxy_src.tolist() == boxes
    assert found.scores.tolist() == pytest.approx([0.9, 0.8, 0.7])
    assert not found.is_exclusive
    assert (batches, left_out) == ([2], 0)


def test_boxes_beyond_the_limit_keep_their_own_masks_and_none_is_left_out():
    frames = [
        with_own_masks([[0, 0, 4, 4], [4, 0, 8, 4]], [0.9, 0.2]),
        with_own_masks([[0, 0, 4, 4], [0, 0, 40, 30]], [0.8, 0.7]),
        Instances.empty(),
    ]
    found, batches, left_out = refined(frames, max_crops=2)
    shapes = [[patch.shape[0] for patch in instances.patches] for instances in found]
    assert shapes == [[8, 2], [8, 2], []]
    assert (batches, left_out) == ([2], 0)


def test_each_frame_s_best_are_masked_whatever_the_others_hold():
    frames = [
        with_own_masks([[0, 0, 4, 4]] * 3, [0.9, 0.8, 0.7]),
        with_own_masks([[0, 0, 40, 30], [0, 0, 4, 4], [4, 0, 8, 4]], [0.5, 0.4, 0.3]),
    ]
    found, batches, _ = refined(frames, max_crops=3)  # one each, and then the likeliest
    shapes = [[patch.shape[0] for patch in instances.patches] for instances in found]
    assert shapes == [[8, 8, 2], [2, 8, 2]]
    assert batches == [3]


def test_frames_without_small_boxes_need_no_second_network():
    frames = [with_own_masks([[0, 0, 40, 30]], [0.9]), Instances.empty()]
    found, batches, _ = refined(frames)
    assert batches == []
    assert [len(instances) for instances in found] == [1, 0]
