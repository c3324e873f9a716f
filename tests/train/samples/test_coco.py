"""Reading COCO JSON: mask forms, classes, and files that contradict themselves."""

import json

import cv2
import numpy as np
import pytest

from maskstream.train.errors import AnnotationError
from maskstream.train.samples.coco import read_coco
from tests.helpers.shapes import write_shapes

SQUARE = np.zeros((6, 8), np.uint8)
SQUARE[1:4, 2:6] = 1


def _write(folder, annotation, categories=({"id": 5, "name": "cat"},)):
    cv2.imwrite(str(folder / "a.png"), np.zeros((6, 8, 3), np.uint8))
    document = {
        "images": [{"id": 1, "file_name": "a.png", "width": 8, "height": 6}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 5, "bbox": [2, 1, 4, 3], **annotation}
        ],
        "categories": list(categories),
    }
    path = folder / "a.json"
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize(
    "segmentation",
    [
        pytest.param([[2, 1, 6, 1, 6, 4, 2, 4]], id="polygon"),
        # Columns of 6: twelve zeros and one, three ones a column with three zeros between.
        pytest.param({"size": [6, 8], "counts": [13, 3, 3, 3, 3, 3, 3, 3, 14]}, id="plain-rle"),
    ],
)
def test_mask_forms_give_the_same_mask(tmp_path, segmentation):
    (image,) = read_coco(_write(tmp_path, {"segmentation": segmentation})).images
    np.testing.assert_array_equal(image.annotations[0].mask(), SQUARE)


def test_an_annotation_without_segmentation_is_a_box_only(tmp_path):
    (image,) = read_coco(_write(tmp_path, {"iscrowd": 1})).images
    assert image.annotations[0].rle is None
    assert image.annotations[0].is_crowd
    assert image.annotations[0].box_xywh_src == (2, 1, 4, 3)


def test_class_ids_follow_the_category_ids_whatever_their_order(tmp_path):
    categories = [{"id": 9, "name": "dog"}, {"id": 5, "name": "cat"}]
    dataset = read_coco(_write(tmp_path, {}, categories))
    assert dataset.class_names == ("cat", "dog")
    assert dataset.category_ids == (5, 9)
    assert dataset.images[0].annotations[0].class_id == 0


def test_images_of_partial_sources_are_not_exhaustive(tmp_path):
    path = write_shapes(tmp_path, 2)
    document = json.loads(path.read_text())
    document["images"][0]["source"] = "street"
    path.write_text(json.dumps(document))
    dataset = read_coco(path, partial_sources=["street"])
    assert [image.is_exhaustive for image in dataset.images] == [False, True]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        pytest.param({"category_id": 6}, "category 6", id="category"),
        pytest.param({"image_id": 8}, "image 8", id="image"),
    ],
)
def test_an_annotation_that_points_nowhere_is_named(tmp_path, change, text):
    with pytest.raises(AnnotationError, match=text):
        read_coco(_write(tmp_path, change))


@pytest.mark.parametrize("text", ["not json", "[]", "{}", '{"images": [], "annotations": {}}'])
def test_a_file_that_is_no_coco_json_is_named(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(AnnotationError, match=str(path)):
        read_coco(path)


def test_a_wrong_image_folder_is_named_with_the_option(tmp_path):
    with pytest.raises(AnnotationError, match="--images"):
        read_coco(_write(tmp_path, {}), tmp_path / "elsewhere")


def test_a_picture_of_another_size_is_named(tmp_path):
    (image,) = read_coco(_write(tmp_path, {})).images
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((7, 8, 3), np.uint8))
    with pytest.raises(AnnotationError, match="8x7"):
        image.read()


def test_pictures_are_read_as_rgb(tmp_path):
    (image,) = read_coco(_write(tmp_path, {})).images
    red_as_bgr = np.zeros((6, 8, 3), np.uint8)
    red_as_bgr[..., 2] = 255
    cv2.imwrite(str(tmp_path / "a.png"), red_as_bgr)
    assert image.read()[0, 0].tolist() == [255, 0, 0]
