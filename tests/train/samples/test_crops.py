"""Crops of objects, and what is measured on them."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from maskstream.train.augment_options import NO_AUGMENTATION
from maskstream.train.errors import TrainError
from maskstream.train.fcn.recipe import crop_loss, crop_metrics, object_ious
from maskstream.train.samples.coco import read_coco
from maskstream.train.samples.crops import CropSet, crops_of, cut, true_crops
from tests.helpers.shapes import write_shapes


@dataclass
class Shape:
    crop_px: int = 8
    mask_px: int = 4
    crop_margin: float = 0.0


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    return read_coco(write_shapes(tmp_path_factory.mktemp("shapes"), 4))


def test_a_crop_is_the_box_squashed_and_its_mask_what_each_cell_covers():
    picture = np.zeros((20, 30, 3), np.uint8)
    picture[4:12, 8:24] = 200  # the box
    mask = np.zeros((20, 30), np.uint8)
    mask[4:12, 8:16] = 1  # its left half ...
    mask[4:12, 16:18] = 1  # ... and half of the third of four columns
    crop = cut(picture, mask, np.array([8.0, 4.0, 24.0, 12.0]), 8, 4, 0.0)
    assert crop.image.shape == (8, 8, 3)
    assert (crop.image == 200).all()
    np.testing.assert_array_equal(crop.mask, np.tile([255, 255, 128, 0], (4, 1)))


def test_a_margin_shows_what_is_around_the_box():
    picture = np.zeros((20, 30, 3), np.uint8)
    picture[4:12, 8:24] = 200
    mask = (picture[..., 0] > 0).astype(np.uint8)
    crop = cut(picture, mask, np.array([8.0, 4.0, 24.0, 12.0]), 20, 20, 0.125)
    # 2 of 20 columns on each side, and 1 of 10 rows rounded to even pixels: 2 of 12.
    assert (crop.mask[10, [0, 1, 18, 19]] == 0).all()
    assert (crop.mask[10, 3:17] == 255).all()


def test_objects_without_a_mask_or_a_size_are_no_crops(shapes):
    crops = crops_of(shapes.images)
    assert len(crops) == sum(len(image.annotations) for image in shapes.images)
    with pytest.raises(TrainError, match="no object has a mask"):
        crops_of([])


def test_a_draw_can_be_had_again_and_another_differs(shapes):
    crops = CropSet(shapes.images, Shape(), NO_AUGMENTATION, seed=3)
    again = CropSet(shapes.images, Shape(), NO_AUGMENTATION, seed=3)
    np.testing.assert_array_equal(crops[1].image, again[1].image)
    assert not np.array_equal(crops[1].image, crops[1 + len(crops)].image)


def test_the_true_crops_are_in_the_order_of_the_pictures(shapes):
    crops = list(true_crops(shapes.images, Shape()))
    assert len(crops) == len(crops_of(shapes.images))
    # A square fills its box; a circle leaves the corners.
    assert {bool(crop.mask[0, 0] > 200) for crop in crops} == {True, False}


def test_the_loss_is_the_cross_entropy_of_what_a_cell_covers():
    logits = torch.zeros(2, 2, 3, 3)
    logits[:, 1] = math.log(3)  # object with 3/4
    masks = torch.stack([torch.full((3, 3), 255), torch.full((3, 3), 51)]).to(torch.uint8)
    expected = [-math.log(0.75), -0.8 * math.log(0.25) - 0.2 * math.log(0.75)]
    torch.testing.assert_close(crop_loss(logits, masks), torch.tensor(expected))


def test_mean_iou_is_over_both_classes_and_object_iou_over_crops():
    # truly background, wrongly object, wrongly background, truly object
    counts = np.array([[6, 2, 2, 6], [16, 0, 0, 0], [0, 0, 0, 16]])
    np.testing.assert_allclose(object_ious(counts), [0.6, 0.0, 1.0])
    metrics = crop_metrics(counts)
    # Background 22 of 26 pixels that either calls so, object 22 of 26.
    assert metrics["mean IoU"] == pytest.approx(22 / 26)
    assert metrics["object IoU"] == pytest.approx(1.6 / 3)
