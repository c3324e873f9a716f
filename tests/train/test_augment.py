"""Augmentation: picture, masks and boxes stay on top of each other."""

import numpy as np
import pytest

from tests.train.shapes import write_shapes
from train.augment import (
    NO_AUGMENTATION,
    AugmentOptions,
    Window,
    choose_window,
    make_sample,
    render,
    tight_box,
)
from train.coco import read_coco

FILL = (114.0, 114.0, 114.0)


def _sample(image, options, seed, size=96):
    return make_sample(
        image,
        input_size=size,
        mask_size=size,
        options=options,
        fill_rgb=FILL,
        random=np.random.default_rng(seed),
    )


@pytest.mark.parametrize("seed", range(40))
def test_boxes_are_tight_around_their_masks_whatever_is_drawn(tmp_path, seed):
    image = read_coco(write_shapes(tmp_path, 1, seed=seed)).images[0]
    sample = _sample(image, AugmentOptions(), seed)
    for box, mask in zip(sample.boxes_xyxy_rel, sample.masks, strict=True):
        tight = tight_box(mask)
        assert tight is not None
        np.testing.assert_allclose(box * 96, tight, atol=1e-4)


@pytest.mark.parametrize("seed", range(40))
def test_masks_stay_on_their_objects(tmp_path, seed):
    image = read_coco(write_shapes(tmp_path, 1, seed=seed)).images[0]
    options = AugmentOptions(brightness=0, contrast=1, saturation=1, hue_deg=0)
    sample = _sample(image, options, seed)
    for mask, class_id in zip(sample.masks, sample.class_ids, strict=True):
        inside = np.median(sample.image[mask == 255].astype(int), axis=0)
        wanted = [230, 30, 30] if class_id == 0 else [20, 200, 230]
        np.testing.assert_allclose(inside, wanted, atol=12)


def test_without_augmentation_the_picture_and_its_truth_are_as_they_were(tmp_path):
    image = read_coco(write_shapes(tmp_path, 1)).images[0]
    sample = _sample(image, NO_AUGMENTATION, 0)
    np.testing.assert_array_equal(sample.image, image.read())
    for row, annotation in enumerate(image.annotations):
        np.testing.assert_array_equal(sample.masks[row] > 127, annotation.mask() > 0)


def test_the_same_draw_gives_the_same_sample(tmp_path):
    image = read_coco(write_shapes(tmp_path, 1)).images[0]
    first, second = (_sample(image, AugmentOptions(), 5) for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)


def test_a_window_maps_boxes_by_hand():
    boxes = np.array([[10.0, 20.0, 30.0, 40.0]])
    np.testing.assert_allclose(Window(0, 0, 100, 200).to_input(boxes, 50), [[5.0, 5.0, 15.0, 10.0]])
    np.testing.assert_allclose(
        Window(20, 0, 40, 40, is_mirrored=True).to_input(boxes, 80), [[60.0, 40.0, 80.0, 80.0]]
    )


def test_zooming_out_puts_the_picture_on_the_fill():
    picture = np.full((10, 10, 3), 200, np.uint8)
    shown = render(picture, Window(-10, 0, 20, 20), 20, FILL)
    assert (shown[:10, 10:] == 200).all()
    assert (shown[:, :10] == 114).all()
    assert (shown[10:] == 114).all()


def test_a_crop_keeps_the_centre_of_an_object():
    boxes = np.array([[80.0, 80.0, 90.0, 90.0]])
    options = AugmentOptions(expand_probability=0, crop_probability=1)
    windows = [
        choose_window(100, 100, boxes, options=options, random=np.random.default_rng(seed))
        for seed in range(200)
    ]
    assert all(
        w.left <= 85 <= w.left + w.width and w.top <= 85 <= w.top + w.height for w in windows
    )
    assert sum(w.width < 100 for w in windows) > 150


def test_an_object_whose_centre_is_cut_off_is_ignored_not_background(tmp_path):
    image = read_coco(write_shapes(tmp_path, 12, seed=3)).images
    options = AugmentOptions(expand_probability=0, crop_probability=1)
    samples = [_sample(i, options, seed) for i in image for seed in range(10)]
    assert sum(len(s.ignored_xyxy_rel) for s in samples) > 0
    for sample in samples:
        assert ((sample.ignored_xyxy_rel >= 0) & (sample.ignored_xyxy_rel <= 1)).all()


def test_tiny_objects_are_ignored(tmp_path):
    image = read_coco(write_shapes(tmp_path, 1)).images[0]
    options = AugmentOptions(
        expand_probability=0, crop_probability=0, min_box_px=200, mirror_probability=0
    )
    sample = _sample(image, options, 0)
    assert len(sample.boxes_xyxy_rel) == 0
    assert len(sample.ignored_xyxy_rel) == len(image.annotations)
