"""How differences of outputs and of instances are counted."""

import numpy as np
import pytest

from maskstream.engines.interface.instances import Instances
from maskstream.tools.engine_files.agreement import (
    InstanceAgreement,
    OutputDifferences,
    mask_iou,
    matches,
)

NAMES = (("cat", "dog"), ("cat", "dog"))


def _instances(boxes, class_ids=None, patches=None):
    extents = np.array(boxes, np.int32).reshape(-1, 4)
    count = len(extents)
    return Instances(
        boxes_xyxy_src=extents.astype(np.float32),
        scores=np.linspace(0.9, 0.5, count, dtype=np.float32),
        class_ids=np.array(class_ids or [0] * count, np.int32),
        extents_xyxy_src=extents,
        patches=tuple(patches or [np.full((2, 2), 255, np.uint8)] * count),
    )


def test_instances_are_matched_by_overlap_and_class():
    first = _instances([[0, 0, 10, 10], [20, 0, 30, 10], [50, 50, 60, 60]])
    second = _instances([[20, 1, 30, 11], [0, 0, 10, 10], [50, 50, 60, 60]], [0, 0, 1])
    assert matches(first, second, NAMES) == [(0, 1), (1, 0)]


def test_classes_of_two_engines_are_one_where_their_names_are():
    first, second = _instances([[0, 0, 10, 10]], [0]), _instances([[0, 0, 10, 10]], [1])
    assert matches(first, second, (("dog",), ("cat", "dog"))) == [(0, 0)]
    assert matches(first, second, (("cat",), ("cat", "dog"))) == []


def test_each_instance_is_matched_once():
    first = _instances([[0, 0, 10, 10]])
    second = _instances([[0, 0, 10, 9], [0, 0, 10, 10]])
    assert matches(first, second, NAMES) == [(0, 1)]


def test_masks_are_compared_where_they_lie_in_the_frame():
    # Two squares of 10 x 10, one 5 to the right of the other: 50 shared of 150.
    first, second = _instances([[0, 0, 10, 10]]), _instances([[5, 0, 15, 10]])
    assert mask_iou(first, 0, second, 0) == pytest.approx(50 / 150)
    empty = _instances([[0, 0, 10, 10]], patches=[np.zeros((2, 2), np.uint8)])
    assert mask_iou(empty, 0, empty, 0) == 1.0


def test_the_share_that_both_see_counts_both_sides():
    seen = InstanceAgreement()
    seen.add(_instances([[0, 0, 10, 10], [20, 0, 30, 10]]), _instances([[0, 0, 10, 10]]), NAMES)
    seen.add(Instances.empty(), _instances([[0, 0, 10, 10]]), NAMES)
    assert seen.counts == (2, 2)
    assert seen.matched == pytest.approx(2 / 4)


def _rows(scores, boxes, values):
    return {
        "scores": np.array([scores], np.float32),
        "boxes": np.array([boxes], np.float32),
        "class_ids": np.zeros((1, len(scores)), np.int32),
        "values": np.array([values], np.float32),
        "map": np.zeros((1, 5), np.float32),
    }


def test_rows_that_have_changed_places_are_compared_with_their_own():
    left, right = [0, 0, 0.1, 0.1], [0.5, 0.5, 0.6, 0.6]
    first = _rows([0.8, 0.79, 0.0], [left, right, left], [1, 2, 99])
    second = _rows([0.81, 0.8, 0.0], [right, left, right], [2, 1.5, -99])
    outputs = OutputDifferences()
    outputs.add(first, second, score_min=0.3)
    assert outputs.by_name["values"].largest == pytest.approx(0.5)
    assert outputs.by_name["values"].mean == pytest.approx(0.25)
    assert outputs.by_name["values"].shape == (3,)
    assert outputs.by_name["scores"].largest == pytest.approx(0.02)
    assert outputs.by_name["map"].largest == 0


def test_outputs_of_unequal_names_and_shapes_are_named_and_left_out():
    outputs = OutputDifferences()
    first = {"a": np.zeros((1, 2)), "b": np.zeros((1, 2)), "same": np.ones((1, 3))}
    second = {"a": np.zeros((1, 4)), "c": np.zeros((1, 2)), "same": np.full((1, 3), 1.25)}
    outputs.add(first, second, score_min=0.3)
    assert outputs.left_out == {"a": "(2,) in A, (4,) in B", "b": "only in A", "c": "only in B"}
    assert {name: gap.largest for name, gap in outputs.by_name.items()} == {"same": 0.25}


def test_what_is_no_number_counts_as_the_largest_difference():
    outputs = OutputDifferences()
    outputs.add({"a": np.array([[np.nan]])}, {"a": np.array([[1.0]])}, score_min=0.3)
    assert outputs.by_name["a"].largest == np.inf
