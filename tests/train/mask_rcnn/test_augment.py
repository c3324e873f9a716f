"""Pictures and their truth are changed alike."""

import numpy as np
import pytest
import torch
from torchvision import tv_tensors
from torchvision.transforms.v2.functional import gaussian_blur

from maskstream.train.augment_options import NO_AUGMENTATION, AugmentOptions
from maskstream.train.mask_rcnn.augment import RandomBlur, change, make_changes
from maskstream.train.mask_rcnn.data import MaskRcnnSet, collate
from maskstream.train.samples.coco import read_coco
from tests.helpers.engines.tiny_mask_rcnn import tiny_config
from tests.helpers.shapes import write_shapes


def picture():
    """Grey, with a bright rectangle; its box and its mask."""
    pixels = torch.full((64, 64, 3), 40, dtype=torch.uint8)
    pixels[4:20, 10:50] = 220
    mask = torch.zeros(1, 64, 64, dtype=torch.uint8)
    mask[0, 4:20, 10:50] = 255
    return pixels, torch.tensor([[10.0, 4.0, 50.0, 20.0]]), mask


def test_an_upside_down_flip_takes_box_and_mask_along():
    pixels, boxes, masks = picture()
    changed, moved, turned = change(make_changes(vertical_flip=1.0), pixels, boxes, masks, 3)
    assert changed.shape == pixels.shape
    assert changed.dtype == torch.uint8
    assert moved.tolist() == [[10.0, 44.0, 50.0, 60.0]]
    assert torch.equal(turned, masks.flip(1))
    assert changed[50, 30].float().mean() > changed[10, 30].float().mean() + 50


@pytest.mark.parametrize("seed", range(8))
def test_light_compression_and_blur_leave_things_where_they_are(seed):
    pixels, boxes, masks = picture()
    changed, moved, turned = change(make_changes(vertical_flip=0.0), pixels, boxes, masks, seed)
    assert torch.equal(moved, boxes)
    assert torch.equal(turned, masks)
    assert not torch.equal(changed, pixels)
    assert changed[10, 30].float().mean() > changed[40, 30].float().mean()


def test_the_same_seed_changes_alike_and_torchs_generator_is_left_alone():
    changes, before = make_changes(vertical_flip=0.5), torch.get_rng_state()
    pixels, boxes, masks = picture()
    first, again, other = (change(changes, pixels, boxes, masks, seed)[0] for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_set_gives_truths_in_pixels_of_a_letterbox(tmp_path):
    dataset = read_coco(write_shapes(tmp_path, 2, side=48))
    items = MaskRcnnSet(dataset.images, tiny_config(), NO_AUGMENTATION, 0, is_changed=False)
    frames, truths = collate([items[0], items[1]])
    assert frames.shape == (2, 96, 96, 3)
    for index, image in enumerate(dataset.images):
        # The picture is shown twice as large.
        expected = np.array([a.box_xywh_src for a in image.annotations]) * 2
        boxes = truths.boxes[index].numpy()
        np.testing.assert_allclose(boxes[:, :2], expected[:, :2], atol=1)
        np.testing.assert_allclose(boxes[:, 2:] - boxes[:, :2], expected[:, 2:], atol=2)
        assert truths.labels[index].tolist() == [a.class_id + 1 for a in image.annotations]
        areas = [4 * int(a.mask().sum()) for a in image.annotations]
        np.testing.assert_allclose((truths.masks[index] > 127).sum(dim=(1, 2)), areas, rtol=0.1)


def test_an_item_is_the_same_each_time_and_another_draw_differs(tmp_path):
    dataset = read_coco(write_shapes(tmp_path, 2))
    items = MaskRcnnSet(dataset.images, tiny_config(), AugmentOptions(), 0)
    assert torch.equal(items[1].picture, items[1].picture)
    assert not torch.equal(items[1].picture, items[3].picture)


def test_classes_that_a_network_does_not_know_are_background_to_it(tmp_path):
    dataset = read_coco(write_shapes(tmp_path, 2))
    items = MaskRcnnSet(dataset.images, tiny_config(), NO_AUGMENTATION, 0, is_changed=False)
    _, truths = collate([items[0], items[1]])
    circles = truths.mapped([-1, 0, -1])  # squares alone are known, as the first class
    for before, after, boxes in zip(truths.labels, circles.labels, circles.boxes, strict=True):
        assert after.tolist() == [1] * int((before == 2).sum())
        assert len(boxes) == len(after)


def test_blur_is_torchvisions():
    pixels = tv_tensors.Image(torch.randint(0, 256, (3, 40, 40), dtype=torch.uint8))
    ours = RandomBlur().transform(pixels, {"side": 5, "sigma": 1.2})
    theirs = gaussian_blur(pixels, [5, 5], [1.2, 1.2])
    assert type(ours) is type(theirs)
    assert (ours.int() - theirs.int()).abs().max() <= 1
