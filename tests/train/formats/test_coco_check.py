"""Faults of an annotation file: all are named at once."""

import json

import cv2
import numpy as np
import pytest

from maskstream.train.errors import AnnotationError
from maskstream.train.samples.coco import read_coco
from tests.helpers.shapes import write_shapes


@pytest.fixture
def document(tmp_path):
    return json.loads(write_shapes(tmp_path, 4).read_text())


def _read(tmp_path, document):
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(document))
    return read_coco(path)


def _faults(tmp_path, document):
    with pytest.raises(AnnotationError) as caught:
        _read(tmp_path, document)
    head, *lines = str(caught.value).splitlines()
    assert head == f"{tmp_path / 'changed.json'}: {len(lines)} fault{'s' * (len(lines) > 1)} " + (
        "to be mended first:"
    )
    return [line.strip() for line in lines]


def test_every_fault_is_named_not_only_the_first(tmp_path, document):
    images, annotations = document["images"], document["annotations"]
    annotations[0]["category_id"] = 4
    annotations[1]["image_id"] = 99
    annotations[3]["segmentation"] = [[1, 1, 5, 5]]
    (tmp_path / images[0]["file_name"]).unlink()
    (tmp_path / images[1]["file_name"]).write_text("no picture")
    images[2]["width"] = 95
    lines = _faults(tmp_path, document)
    found = "\n".join(lines)
    for text in (
        "annotation 1: is of category 4; the file lists [3, 7, 9]",
        "annotation 2: is for image 99, which the file does not list",
        "annotation 4: a polygon of its mask has fewer than three points",
        "image 1: " + str(tmp_path / "0001.png") + ": no such picture",
        "0002.png: no picture that can be read",
        "0003.png: is 96x96; the file says 95x96",
    ):
        assert text in found
    # The masks of image 3 are for 96 columns too.
    masks = sum(a["image_id"] == 3 and a["id"] > 4 for a in annotations)
    assert len(lines) == 7 + masks


def test_ids_and_names_must_differ(tmp_path, document):
    document["images"][1]["id"] = 1
    document["annotations"][2]["id"] = 1
    document["categories"][2]["name"] = "circle"
    assert _faults(tmp_path, document) == [
        "images: 2 have the id 1",
        "annotations: 2 have the id 1",
        "categories: 2 have the name circle",
    ]


def test_a_file_without_categories_is_refused(tmp_path, document):
    document["categories"] = []
    assert _faults(tmp_path, document) == ["categories: there are none"]


def test_many_faults_are_counted_after_fifty(tmp_path, document):
    annotation = document["annotations"][0]
    document["annotations"] = [
        {**annotation, "id": number, "category_id": 4} for number in range(1, 61)
    ]
    with pytest.raises(AnnotationError) as caught:
        _read(tmp_path, document)
    lines = str(caught.value).splitlines()
    assert "60 faults" in lines[0]
    assert lines[-1].strip() == "and 10 more"
    assert len(lines) == 52


@pytest.mark.parametrize(
    ("code", "text"),
    [
        pytest.param({"size": [5, 2], "counts": [4, 6]}, "is for 2x5; its picture", id="size"),
        pytest.param({"size": [96, 96], "counts": [5, 5]}, "has 10 pixels; 96x96", id="short"),
        pytest.param({"counts": [5, 5]}, "neither polygons nor run-length code", id="no-size"),
        pytest.param("code", "neither polygons nor run-length code", id="text"),
    ],
)
def test_masks_must_fit_their_picture(tmp_path, document, code, text):
    document["annotations"][0]["segmentation"] = code
    (line,) = _faults(tmp_path, document)
    assert text in line


def test_what_can_be_lived_with_is_noted_with_the_ids(tmp_path, document):
    boxes = [[5, 5, 0, 9], [200, 5, 9, 9], [90, 5, 20, 9], [-0.5, 5, 20, 9]]
    annotation = document["annotations"][0]
    document["annotations"] = [
        {**annotation, "id": number, "bbox": box} for number, box in enumerate(boxes)
    ]
    assert _read(tmp_path, document).notes == (
        "objects with an empty box, left out: 1 (annotation 0)",
        "objects outside their picture, left out: 1 (annotation 1)",
        "objects that reach outside their picture, cut off there: 1 (annotation 2)",
    )


def test_pictures_without_objects_and_files_without_truth_are_taken(tmp_path, document):
    document["annotations"] = []
    assert [image.annotations for image in _read(tmp_path, document).images] == [()] * 4
    del document["annotations"]
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(document))
    assert not read_coco(path, needs_truth=False).has_truth
    with pytest.raises(AnnotationError, match="no list annotations"):
        read_coco(path)


def test_the_size_is_that_of_the_stored_pixels_whatever_the_orientation_says(tmp_path):
    # Checked from the header, read by another library than the one that decodes.
    cv2.imwrite(str(tmp_path / "a.jpg"), np.zeros((6, 8, 3), np.uint8))
    document = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 8, "height": 6}],
        "annotations": [],
        "categories": [{"id": 1, "name": "cat"}],
    }
    assert _read(tmp_path, document).images[0].read().shape == (6, 8, 3)
