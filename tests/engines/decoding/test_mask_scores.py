"""Scores multiplied by how sure the masks are."""

import numpy as np
import pytest

from maskstream.engines.decoding.mask_scores import weighed
from maskstream.engines.interface.instances import Instances


def instances(scores, levels):
    """Instances with masks of 2 x 2 cells, given by their levels of 0 to 255."""
    count = len(scores)
    boxes = np.arange(4 * count, dtype=np.float32).reshape(count, 4)
    return Instances(
        boxes_xyxy_src=boxes,
        scores=np.array(scores, np.float32),
        class_ids=np.arange(count, dtype=np.int32),
        extents_xyxy_src=boxes.astype(np.int32),
        patches=tuple(np.array(patch, np.uint8).reshape(2, 2) for patch in levels),
    )


def test_a_score_is_multiplied_by_the_mean_of_the_cells_that_belong_to_the_object():
    found = weighed(instances([0.8], [[255, 153, 127, 0]]), 0.0)  # (1 + 0.6) / 2
    assert found.scores.tolist() == pytest.approx([0.8 * 0.8])


def test_instances_are_sorted_anew_and_stay_whole():
    given = instances([0.9, 0.8, 0.7], [[128] * 4, [255] * 4, [255, 255, 0, 0]])
    found = weighed(given, 0.0)
    assert found.class_ids.tolist() == [1, 2, 0]
    assert found.scores.tolist() == pytest.approx([0.8, 0.7, 0.9 * 128 / 255])
    np.testing.assert_array_equal(found.boxes_xyxy_src, given.boxes_xyxy_src[[1, 2, 0]])
    assert [patch.max() for patch in found.patches] == [255, 255, 128]


def test_what_scores_too_little_then_is_left_out():
    found = weighed(instances([0.5, 0.4], [[128] * 4, [255] * 4]), 0.3)
    assert found.class_ids.tolist() == [1]


def test_an_object_without_a_cell_is_none():
    found = weighed(instances([0.9], [[127] * 4]), 0.01)
    assert len(found) == 0


def test_nothing_stays_nothing():
    assert len(weighed(Instances.empty(), 0.3)) == 0
