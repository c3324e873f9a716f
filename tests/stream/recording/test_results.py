"""The line of JSON that a frame leaves behind."""

import json

import numpy as np
import pytest

from maskstream.engines.interface.instances import Instances, Origin
from maskstream.stream.recording.results import as_json, frame_record

CLASS_NAMES = ("person", "Fußgänger")


def one_instance(class_id: int = 0, **others) -> Instances:
    """A full square patch over rows 1..2 and columns 2..4 of a frame."""
    return Instances(
        boxes_xyxy_src=np.array([[1.75, 1.0, 5.0, 3.125]], np.float32),
        scores=np.array([0.93], np.float32),
        class_ids=np.array([class_id], np.int32),
        extents_xyxy_src=np.array([[2, 1, 5, 3]], np.int32),
        patches=(np.full((2, 3), 255, np.uint8),),
        **others,
    )


def line_of(instances: Instances, **changes):
    options = {"source": 0, "seq": 7, "pts_s": 1 / 3, "class_names": CLASS_NAMES}
    return json.loads(as_json(frame_record(instances, **{**options, **changes}, width=6, height=4)))


def test_a_frame_without_instances_is_a_line_with_an_empty_list():
    assert line_of(Instances.empty()) == {
        "source": 0, "seq": 7, "pts_s": 0.333333, "instances": [],
    }  # fmt: skip


def test_an_instance_has_the_described_keys_and_values():
    (row,) = line_of(one_instance())["instances"]
    assert list(row) == [
        "class_id", "class", "score", "box", "segmentation", "track_id", "origin", "age_frames",
    ]  # fmt: skip
    assert (row["class_id"], row["class"], row["track_id"]) == (0, "person", None)
    assert (row["origin"], row["age_frames"]) == ("network", 0)
    assert row["score"] == 0.93
    assert row["box"] == [1.75, 1.0, 3.25, 2.12]  # left, top, width, height; two decimals


def test_the_mask_reads_back_with_the_format_s_own_library():
    mask_api = pytest.importorskip("pycocotools.mask", reason="pycocotools is not installed")
    (row,) = line_of(one_instance())["instances"]
    expected = np.zeros((4, 6), np.uint8)
    expected[1:3, 2:5] = 1
    assert row["segmentation"]["size"] == [4, 6]
    assert np.array_equal(mask_api.decode(row["segmentation"]), expected)


def test_track_ids_are_written_where_there_are_any():
    (row,) = line_of(one_instance(track_ids=np.array([41], np.int32)))["instances"]
    assert row["track_id"] == 41


def test_a_mask_that_is_held_says_so_and_for_how_long():
    held = one_instance(
        track_ids=np.array([41], np.int32),
        origins=np.array([Origin.HELD], np.uint8),
        ages=np.array([3], np.int32),
    )
    (row,) = line_of(held)["instances"]
    assert (row["origin"], row["age_frames"]) == ("held", 3)


def test_a_line_is_one_line_and_keeps_the_class_name_s_letters():
    record = frame_record(
        one_instance(class_id=1), source=0, seq=0, pts_s=0.0, class_names=CLASS_NAMES,
        width=6, height=4,
    )  # fmt: skip
    line = as_json(record)
    assert "\n" not in line
    assert '"class":"Fußgänger"' in line
