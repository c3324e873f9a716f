"""Augmentation: picture, masks and boxes stay on top of each other."""

from dataclasses import replace

import numpy as np
import pytest

from maskstream.train.augment_options import NO_AUGMENTATION, AugmentOptions
from maskstream.train.samples.augment import Partners, make_sample
from maskstream.train.samples.coco import read_coco
from maskstream.train.samples.scene import tight_box
from tests.helpers.shapes import write_shapes

FILL = (114.0, 114.0, 114.0)


MIXED = AugmentOptions(mosaic_probability=0.5, copy_paste_probability=0.8)


def _sample(image, options, seed, size=96, partners=None):
    return make_sample(
        image,
        input_size=size,
        mask_size=size,
        options=options,
        fill_rgb=FILL,
        random=np.random.default_rng(seed),
        partners=partners,
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


@pytest.mark.parametrize("seed", range(40))
def test_boxes_are_tight_and_masks_on_their_objects_in_mosaics_and_under_pasted_objects(
    tmp_path, seed
):
    images = read_coco(write_shapes(tmp_path, 6, seed=seed)).images
    options = replace(MIXED, brightness=0, contrast=1, saturation=1, hue_deg=0)
    sample = _sample(images[0], options, seed, partners=Partners(images))
    for box, mask, class_id in zip(
        sample.boxes_xyxy_rel, sample.masks, sample.class_ids, strict=True
    ):
        tight = tight_box(mask)
        assert tight is not None
        np.testing.assert_allclose(box * 96, tight, atol=1e-4)
        if (mask == 255).sum() < 20:
            continue  # a sliver may be all edge
        inside = np.median(sample.image[mask == 255].astype(int), axis=0)
        wanted = [230, 30, 30] if class_id == 0 else [20, 200, 230]
        np.testing.assert_allclose(inside, wanted, atol=12)


def test_masks_do_not_lie_on_each_other_after_pasting(tmp_path):
    images = read_coco(write_shapes(tmp_path, 6)).images
    options = AugmentOptions(copy_paste_probability=1)
    for seed in range(30):
        sample = _sample(images[0], options, seed, partners=Partners(images))
        # Two that meet at an edge share its pixels, which each covers in part.
        assert ((sample.masks >= 160).sum(axis=0) <= 1).all()


def test_pasting_brings_more_objects_and_a_mosaic_those_of_four_pictures(tmp_path):
    images = read_coco(write_shapes(tmp_path, 6)).images
    plain = replace(NO_AUGMENTATION, min_box_px=0)
    own = len(images[0].annotations)
    pasting = replace(plain, copy_paste_probability=1)
    assert all(
        len(_sample(images[0], pasting, seed, partners=Partners(images)).class_ids) >= 1
        for seed in range(10)
    )
    most = max(
        len(_sample(images[0], pasting, seed, partners=Partners(images)).class_ids)
        for seed in range(10)
    )
    assert most > own
    mosaic = replace(plain, mosaic_probability=1)
    counts = [
        len(_sample(images[0], mosaic, seed, partners=Partners(images)).class_ids)
        for seed in range(20)
    ]
    assert np.mean(counts) > own


def test_mosaics_join_pictures_that_are_labelled_alike(tmp_path):
    images = list(read_coco(write_shapes(tmp_path, 6)).images)
    images = [replace(image, is_exhaustive=row >= 3) for row, image in enumerate(images)]
    partners = Partners(images)
    random = np.random.default_rng(0)
    for image in images:
        drawn = partners.alike(image, 20, random)
        assert {other.is_exhaustive for other in drawn} == {image.is_exhaustive}
        options = AugmentOptions(mosaic_probability=1, copy_paste_probability=1)
        assert _sample(image, options, 1, partners=partners).is_exhaustive == image.is_exhaustive


def test_pasted_objects_come_from_pictures_with_masks(tmp_path):
    images = list(read_coco(write_shapes(tmp_path, 4)).images)
    boxes_only = [
        replace(image, annotations=tuple(replace(a, rle=None) for a in image.annotations))
        for image in images[:3]
    ]
    partners = Partners([*boxes_only, images[3]])
    random = np.random.default_rng(0)
    assert all(partners.with_masks(random) is images[3] for _ in range(20))
    assert Partners(boxes_only).with_masks(random) is None
    sample = _sample(
        boxes_only[0], AugmentOptions(copy_paste_probability=1), 3, partners=Partners(boxes_only)
    )
    assert not sample.has_mask.any()


def test_the_same_draw_gives_the_same_mixture_and_another_gives_another(tmp_path):
    images = read_coco(write_shapes(tmp_path, 6)).images
    first, second, other = (
        _sample(images[0], MIXED, seed, partners=Partners(images)) for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.masks, second.masks)
    assert (first.image != other.image).any()


def test_options_that_are_off_leave_the_draws_of_a_run_as_they_were(tmp_path):
    images = read_coco(write_shapes(tmp_path, 6)).images
    alone = _sample(images[0], AugmentOptions(), 4)
    among = _sample(images[0], AugmentOptions(), 4, partners=Partners(images))
    np.testing.assert_array_equal(alone.image, among.image)
