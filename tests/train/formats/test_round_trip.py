"""Every format gives back what was written in it: classes, boxes, and masks pixel by pixel."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from maskstream.train.errors import AnnotationError
from maskstream.train.formats import FORMATS, ReadOptions
from maskstream.train.formats.labelled import CROWDS
from maskstream.train.samples.coco import read_coco
from tests.helpers.made import assert_same, holed_mask, make_set

BARE = ReadOptions()
NO_OBJECTS = "pictures without objects, which the format does not list"


def target_of(name, folder):
    return folder / "out" if FORMATS[name].is_folder else folder / "out.json"


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_what_is_written_is_read_back(name, tmp_path):
    made = make_set(tmp_path / "pictures")
    target = target_of(name, tmp_path)

    left_out = FORMATS[name].write(made, target)
    back = FORMATS[name].read(target, BARE)

    if name == "openimages":
        assert left_out == {NO_OBJECTS: 1}
        made = replace(made, pictures=made.pictures[:2])
    else:
        assert left_out == {}
    assert back.left_out == {}
    assert_same(back, made)


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"coco", "openimages"}))
def test_crowds_are_counted_where_the_format_cannot_hold_them(name, tmp_path):
    made = make_set(tmp_path / "pictures", has_crowd=True)
    assert FORMATS[name].write(made, target_of(name, tmp_path)) == {CROWDS: 1}
    back = FORMATS[name].read(target_of(name, tmp_path), BARE)
    assert_same(back, make_set(tmp_path / "pictures"))


def test_coco_holds_crowds(tmp_path):
    made = make_set(tmp_path / "pictures", has_crowd=True)
    assert FORMATS["coco"].write(made, tmp_path / "out.json") == {}
    assert_same(FORMATS["coco"].read(tmp_path / "out.json", BARE), made)


def test_open_images_keeps_the_box_of_a_crowd(tmp_path):
    made = make_set(tmp_path / "pictures", has_crowd=True)
    left_out = FORMATS["openimages"].write(made, tmp_path / "out")
    assert left_out == {NO_OBJECTS: 1, "masks of crowds; their boxes are kept": 1}
    back = FORMATS["openimages"].read(tmp_path / "out", BARE)
    (crowd,) = (o for p in back.pictures for o in p.objects if o.is_crowd)
    assert crowd.segmentation is None
    # The mask's own columns 8 to 60 and rows 5 to 46.
    np.testing.assert_allclose(crowd.box(47, 61), (8, 5, 53, 42), atol=1e-4)


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"coco"}))
def test_what_comes_of_a_format_can_be_trained_on(name, tmp_path):
    """Through COCO JSON, which training reads with a reader of its own."""
    made = make_set(tmp_path / "pictures")
    FORMATS[name].write(made, target_of(name, tmp_path))
    back = FORMATS[name].read(target_of(name, tmp_path), BARE)
    FORMATS["coco"].write(back, tmp_path / "final.json")
    dataset = read_coco(tmp_path / "final.json")
    assert dataset.notes == ()
    (image,) = (image for image in dataset.images if image.path.name == "picture 1.png")
    (pear,) = image.annotations
    assert dataset.class_names[pear.class_id] == "Grüne Birne"
    assert np.array_equal(pear.mask(), holed_mask())
    assert image.read().shape == (47, 61, 3)


@pytest.mark.parametrize("name", FORMATS)
def test_a_picture_that_is_missing_or_broken_is_a_fault(name, tmp_path):
    made = make_set(tmp_path / "pictures")
    target = target_of(name, tmp_path)
    FORMATS[name].write(made, target)
    for picture in (tmp_path).rglob("picture 0.png"):
        if "Segmentation" not in str(picture):
            picture.write_text("no picture")
    with pytest.raises(AnnotationError, match=r"picture 0\.png: no picture that can be read"):
        FORMATS[name].read(target, BARE)
    if name == "yolo":
        return  # There, the pictures are the list.
    shutil.rmtree(tmp_path / "pictures")
    for picture in (tmp_path).rglob("picture 0.png"):
        if "Segmentation" not in str(picture):
            picture.unlink()
    with pytest.raises(AnnotationError, match=r"picture 0.*: no "):
        FORMATS[name].read(target, BARE)


def test_only_some_classes_are_taken_and_the_rest_counted(tmp_path):
    some = make_set(tmp_path / "pictures").only(["pear", "apple"])
    assert some.class_names == ("pear", "apple")
    assert some.left_out == {"objects of the class Grüne Birne, which --classes does not name": 2}
    assert [len(picture.objects) for picture in some.pictures] == [2, 0, 0]
