"""Instances as programs see them: boxes, masks and outlines in pixels of the frame."""

import numpy as np
import pytest

import maskstream as ms
from maskstream.engines.interface.instances import Instances as Rows
from maskstream.tools.library.instances import Lease


def two(lease=None):
    """A square of 4 x 4 pixels at (2, 1), and one of 2 x 2 at (8, 4)."""
    rows = Rows(
        boxes_xyxy_src=np.array([[2, 1, 6, 5], [8, 4, 10, 6]], np.float32),
        scores=np.array([0.9, 0.4], np.float32),
        class_ids=np.array([1, 0], np.int32),
        extents_xyxy_src=np.array([[2, 1, 6, 5], [8, 4, 10, 6]], np.int32),
        patches=(np.full((2, 2), 255, np.uint8), np.full((2, 2), 255, np.uint8)),
        track_ids=np.array([7, 3], np.int32),
    )
    return ms.Instances(rows, class_names=("person", "car"), width=12, height=8, lease=lease)


def test_an_instance_says_what_it_is_and_where():
    first, second = two()
    assert (first.class_name, first.class_id, first.track_id) == ("car", 1, 7)
    assert (first.box, first.extent) == ((2, 1, 6, 5), (2, 1, 6, 5))
    assert second.score == pytest.approx(0.4)
    assert (second.origin, second.age_frames) == ("network", 0)
    assert repr(first) == "<car #7 0.90 at (2, 1, 6, 5)>"


def test_a_mask_is_as_large_as_the_frame_and_a_patch_as_its_extent():
    first, _ = two()
    expected = np.zeros((8, 12), bool)
    expected[1:5, 2:6] = True
    assert np.array_equal(first.mask(), expected)
    assert first.mask_patch().shape == (4, 4)
    assert np.array_equal(two().masks()[0], expected)


def test_an_outline_goes_through_the_mask_s_own_corner_pixels():
    (outline,) = two()[0].polygons()
    assert set(outline) == {(2, 1), (5, 1), (5, 4), (2, 4)}


def test_slices_and_negative_places_are_those_of_a_sequence():
    instances = two()
    assert instances[-1].class_name == "person"
    assert [seen.class_name for seen in instances[:1]] == ["car"]
    with pytest.raises(IndexError):
        instances[2]


def test_what_belongs_to_a_frame_that_is_over_raises_and_a_copy_does_not():
    lease = Lease()
    instances = two(lease)
    first, kept = instances[0], instances.copy()
    lease.is_over = True
    for read in (lambda: first.box, lambda: len(instances), first.mask, instances.masks):
        with pytest.raises(ms.FrameOverError, match=r"frame\.copy\(\)"):
            read()
    assert kept[0].box == (2, 1, 6, 5)


def test_supervision_gets_the_same_boxes_and_masks():
    pytest.importorskip("supervision", reason="supervision is not installed")
    detections = two().to_supervision()
    assert detections.xyxy.tolist() == [[2, 1, 6, 5], [8, 4, 10, 6]]
    assert detections.mask.sum(axis=(1, 2)).tolist() == [16, 4]
    assert detections.tracker_id.tolist() == [7, 3]
    assert detections.data["class_name"].tolist() == ["car", "person"]
