"""Instances from a small mask a box."""

import numpy as np

from maskstream.engines.decoding.box_masks import assemble
from maskstream.engines.decoding.prototypes import Selection
from maskstream.engines.interface.fit import Fit, make_fit


def outputs(boxes, scores):
    masks = np.zeros((1, len(boxes), 2, 3), np.float32)
    masks[:, :, 0, 1] = 1.0
    masks[:, :, 1, 2] = 0.5
    return {
        "boxes": np.array([boxes], np.float32),
        "scores": np.array([scores], np.float32),
        "class_ids": np.arange(len(boxes), dtype=np.int32)[None],
        "masks": masks,
    }


def test_a_mask_lies_over_the_pixels_that_its_box_touches():
    found = assemble(outputs([[0.1, 0.2, 0.52, 0.8]], [0.9]), 0, Fit(200, 100), Selection())
    np.testing.assert_allclose(found.boxes_xyxy_src, [[20, 20, 104, 80]], atol=1e-4)
    np.testing.assert_array_equal(found.extents_xyxy_src, [[20, 20, 104, 80]])
    np.testing.assert_array_equal(found.patches[0], [[0, 255, 0], [0, 0, 128]])


def test_rows_below_the_score_without_area_or_of_another_class_are_left_out():
    boxes = [[0, 0, 1, 1], [0.5, 0.5, 0.5, 0.9], [0, 0, 0.5, 0.5], [0, 0, 1, 1]]
    selection = Selection(score_min=0.4, class_ids=frozenset({0, 1, 3}))
    found = assemble(outputs(boxes, [0.9, 0.8, 0.7, 0.3]), 0, Fit(10, 10), selection)
    np.testing.assert_array_equal(found.class_ids, [0])


def test_boxes_of_a_letterbox_end_where_the_frame_does():
    fit = make_fit("letterbox", 200, 100, 50)
    found = assemble(outputs([[0.0, 0.0, 0.5, 1.0]], [0.9]), 0, fit, Selection())
    np.testing.assert_array_equal(found.extents_xyxy_src, [[0, 0, 100, 100]])
