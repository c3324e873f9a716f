"""Pascal VOC's pictures of numbers as labelled objects."""

import xml.etree.ElementTree as ElementTree
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from maskstream.train.errors import AnnotationError
from maskstream.train.formats.voc_maps import objects_of
from maskstream.train.samples.voc import read_voc


@pytest.fixture(scope="module")
def sample(shared_dir):
    return shared_dir / "data/formats/voc2007_seg_sample/VOC2007"


def _write(folder, name, object_map, class_map, *, has_picture=True):
    for part in ("JPEGImages", "SegmentationObject", "SegmentationClass"):
        (folder / part).mkdir(exist_ok=True)
    for part, values in (("SegmentationObject", object_map), ("SegmentationClass", class_map)):
        picture = Image.fromarray(np.array(values, np.uint8), mode="P")
        picture.putpalette(list(range(256)) * 3)
        picture.save(folder / part / f"{name}.png")
    if has_picture:
        height, width = np.shape(object_map)
        Image.new("RGB", (width, height)).save(folder / "JPEGImages" / f"{name}.jpg")


def test_the_objects_of_the_sample_are_those_of_its_boxes(sample):
    """The boxes in Annotations were drawn apart from the outlines, by the same people."""
    dataset = read_voc(sample)
    assert dataset.class_names[14] == "person"
    compared = 0
    for image in dataset.images:
        xml = sample / "Annotations" / f"{image.path.stem}.xml"
        if not xml.is_file():
            continue
        names = Counter(item.findtext("name") for item in ElementTree.parse(xml).iter("object"))
        found = Counter(dataset.class_names[a.class_id] for a in image.annotations)
        assert found == names, image.path
        compared += 1
    assert compared > 20


def test_an_object_is_its_pixels_without_the_border():
    objects = np.array([[1, 1, 255, 2], [1, 1, 255, 2], [0, 0, 255, 2]], np.uint8)
    classes = np.array([[15, 15, 255, 9], [15, 15, 255, 9], [0, 0, 255, 9]], np.uint8)
    (first, second) = objects_of(objects, classes)
    assert (first[0], second[0]) == (15, 9)
    np.testing.assert_array_equal(first[1], [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]])
    assert second[1].sum() == 3


def test_boxes_are_tight_and_classes_count_from_zero(tmp_path):
    objects = np.zeros((6, 8), np.uint8)
    objects[1:4, 2:7] = 1
    _write(tmp_path, "a", objects, objects * 20)
    (image,) = read_voc(tmp_path).images
    (annotation,) = image.annotations
    assert annotation.box_xywh_src == (2.0, 1.0, 5.0, 3.0)
    assert annotation.class_id == 19
    assert (image.width, image.height) == (8, 6)
    np.testing.assert_array_equal(annotation.mask(), objects)
    assert image.read().shape == (6, 8, 3)


def test_every_fault_is_named(tmp_path):
    objects = np.ones((4, 4), np.uint8)
    _write(tmp_path, "a", objects, objects, has_picture=False)
    _write(tmp_path, "b", objects, np.zeros((4, 4)))
    _write(tmp_path, "c", objects, np.ones((2, 4)))
    _write(tmp_path, "d", objects, np.full((4, 4), 21))
    with pytest.raises(AnnotationError) as caught:
        read_voc(tmp_path)
    head, *lines = str(caught.value).splitlines()
    assert head == f"{tmp_path}: 4 faults to be mended first:"
    for line, reason in zip(
        lines, ("no such picture", "object 1 has no class", "is 4x4; its", "class 21"), strict=True
    ):
        assert reason in line


@pytest.mark.parametrize(
    ("folders", "reason"),
    [((), "has no SegmentationObject"), (("SegmentationObject",), "no picture has both")],
)
def test_a_folder_that_is_no_voc_is_refused(tmp_path, folders, reason):
    for name in folders:
        (tmp_path / name).mkdir()
    with pytest.raises(AnnotationError, match=reason):
        read_voc(tmp_path)
