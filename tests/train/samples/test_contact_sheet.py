"""The sheet shows masks where they are, and says how many there are."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from maskstream.train.errors import AnnotationError
from maskstream.train.formats import FORMATS
from maskstream.train.samples.coco import Annotation, CocoSet, LabelledImage, read_coco
from maskstream.train.samples.contact_sheet import CELL_PX, _cell, class_colors, draw_sheet
from tests.helpers.made import make_set


def read(tmp_path):
    FORMATS["coco"].write(make_set(tmp_path / "p", has_crowd=True), tmp_path / "made.json")
    return read_coco(tmp_path / "made.json")


def test_a_cell_is_tinted_where_the_mask_is(tmp_path):
    dataset = read(tmp_path)
    (image,) = (i for i in dataset.images if i.path.name == "picture 1.png")
    cv2.imwrite(str(image.path), np.zeros((47, 61, 3), np.uint8))
    cell = _cell(image, [(0, 255, 0), (255, 0, 0)])
    scale, top = CELL_PX / 61, (CELL_PX - round(47 * CELL_PX / 61)) // 2
    inside = cell[int(top + 7.5 * scale), int(20.5 * scale)].astype(int)
    hole = cell[int(top + 12.5 * scale), int(16 * scale)]
    assert inside[0] > 100 > 90 > inside[1] - 40  # red, under the crowd's grey
    assert hole.tolist() == [0, 0, 0]
    assert cell[0, 0].tolist() == [255, 255, 255]


def test_the_sheet_is_one_picture_of_all_that_were_asked_for(tmp_path):
    draw_sheet(read(tmp_path), tmp_path / "sheet.png", count=24, seed=0)
    drawn = np.asarray(cv2.imread(str(tmp_path / "sheet.png")))
    assert drawn.shape[1] == 14 * 110
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 1000


def test_odd_sets_have_a_sheet_and_an_empty_one_is_refused(tmp_path):
    picture = tmp_path / "a.png"
    cv2.imwrite(str(picture), np.zeros((40, 60, 3), np.uint8))
    alike = Annotation((5.0, 5.0, 30.0, 30.0), 0, None, is_crowd=False)
    names = ("$a_ {茶", "never used")
    for annotations in ((), (alike, alike)):
        images = (LabelledImage(1, picture, 60, 40, annotations),)
        odd = CocoSet(tmp_path / "$o^_{.json", images, names, (1, 2))
        draw_sheet(odd, tmp_path / "sheet.png", count=24, seed=0)  # a warning would be an error
        drawn = np.asarray(cv2.imread(str(tmp_path / "sheet.png")))
        assert drawn.shape[0] < drawn.shape[1]  # not one picture of half a metre
    with pytest.raises(AnnotationError, match="lists no pictures"):
        draw_sheet(replace(odd, images=()), tmp_path / "none.png", count=24, seed=0)


def test_colors_differ():
    assert len(set(class_colors(80))) > 60
    assert len(set(class_colors(12))) == 12
