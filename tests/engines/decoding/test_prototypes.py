"""From rows to instances, by hand-made outputs."""

import numpy as np
import pytest

from maskstream.engines.decoding.prototypes import Selection, assemble
from maskstream.engines.interface.fit import Fit, make_fit


def _outputs(boxes, scores, class_ids=None, prototypes=None, coefficients=None):
    count = len(scores)
    prototypes = np.zeros((4, 4, 1), np.float32) if prototypes is None else prototypes
    return {
        "boxes": np.array([boxes], np.float32).reshape(1, count, 4),
        "scores": np.array([scores], np.float32),
        "class_ids": np.array([class_ids or [0] * count], np.int32),
        "coefficients": np.ones((1, count, 1), np.float32)
        if coefficients is None
        else np.array([coefficients], np.float32),
        "prototypes": prototypes[None],
    }


def test_boxes_are_scaled_to_the_frame_and_clipped():
    outputs = _outputs([[-0.5, 0.25, 0.5, 1.5]], [0.9])
    instances = assemble(outputs, 0, Fit(200, 100), Selection())
    np.testing.assert_allclose(instances.boxes_xyxy_src, [[0, 25, 100, 100]])


def test_rows_below_the_score_and_beyond_top_k_are_left_out():
    box = [0.2, 0.2, 0.8, 0.8]
    outputs = _outputs([box] * 4, [0.9, 0.8, 0.7, 0.1])
    kept = assemble(outputs, 0, Fit(100, 100), Selection(score_min=0.5, top_k=2))
    np.testing.assert_allclose(kept.scores, [0.9, 0.8])


def test_only_wanted_classes_are_kept():
    box = [0.2, 0.2, 0.8, 0.8]
    outputs = _outputs([box] * 3, [0.9, 0.8, 0.7], class_ids=[0, 2, 1])
    kept = assemble(outputs, 0, Fit(100, 100), Selection(class_ids=frozenset({1, 2})))
    assert kept.class_ids.tolist() == [2, 1]


@pytest.mark.parametrize(
    "box",
    [
        pytest.param([0.5, 0.5, 0.5, 0.9], id="no-width"),
        pytest.param([0.9, 0.1, 0.2, 0.5], id="turned-over"),
        pytest.param([1.2, 0.1, 1.4, 0.5], id="outside"),
    ],
)
def test_boxes_without_area_are_left_out(box):
    assert len(assemble(_outputs([box], [0.9]), 0, Fit(100, 100), Selection())) == 0


def test_unused_rows_are_left_out_even_at_score_zero():
    outputs = _outputs([[0.1, 0.1, 0.9, 0.9]], [0.0])
    assert len(assemble(outputs, 0, Fit(10, 10), Selection(score_min=0.0))) == 0


def test_patch_is_the_sigmoid_of_the_product_beside_its_largest_in_the_cells_of_the_box():
    prototypes = np.zeros((4, 4, 2), np.float32)
    prototypes[1, 1] = [1.0, 2.0]
    outputs = _outputs(
        [[0.45, 0.45, 0.8, 0.8]], [0.9], prototypes=prototypes, coefficients=[[0.5, 1.0]]
    )
    instances = assemble(outputs, 0, Fit(40, 80), Selection())
    # The box is from 1.8 to 3.2 cells, so it touches 1, 2 and 3.
    assert instances.extents_xyxy_src.tolist() == [[10, 20, 40, 80]]
    # sigmoid(0.5 + 2.0) = 0.92414 at the first cell, sigmoid(0) = 0.5 elsewhere: 0.54104 of it,
    # where 0.43 is the middle: 127.5 / 0.43 * 0.54104 = 160.4.
    expected = np.full((3, 3), 160)
    expected[0, 0] = 255
    np.testing.assert_array_equal(instances.patches[0], expected)


def test_extents_stay_inside_and_not_empty_when_the_frame_is_smaller_than_the_prototypes():
    outputs = _outputs([[0.9, 0.9, 1.0, 1.0]], [0.9], prototypes=np.zeros((64, 64, 1), np.float32))
    left, top, right, bottom = assemble(outputs, 0, Fit(16, 16), Selection()).extents_xyxy_src[0]
    assert 0 <= left < right <= 16
    assert 0 <= top < bottom <= 16


def test_extents_stay_inside_where_a_cell_lies_across_the_edge_of_a_bar():
    # 30 x 40 in a square of 40: bars of 5 columns on both sides, cells of 4.
    outputs = _outputs([[0.0, 0.0, 1.0, 1.0]], [0.9], prototypes=np.zeros((10, 10, 1), np.float32))
    found = assemble(outputs, 0, make_fit("letterbox", 30, 40, 40), Selection())
    np.testing.assert_array_equal(found.extents_xyxy_src, [[0, 0, 30, 40]])
    assert found.mask(0).shape == (40, 30)
