"""Pasting and joining scenes, on pictures small enough to work out by hand."""

import numpy as np

from maskstream.train.samples.scene import Scene, SeenObject, join, paste, tight_box


def _mask(left, top, right, bottom, side=10):
    mask = np.zeros((side, side), np.uint8)
    mask[top:bottom, left:right] = 255
    return mask


def _object(*corners, has_mask=True, class_id=0):
    box = np.array(corners, np.float64)
    return SeenObject(class_id, box, _mask(*corners) if has_mask else None)


def _scene(grey, *objects, is_exhaustive=True, ignored=()):
    image = np.full((10, 10, 3), grey, np.uint8)
    return Scene(image, objects, tuple(np.array(b, np.float64) for b in ignored), is_exhaustive)


def test_pasted_pixels_are_the_sources_and_no_others():
    source = _scene(200, _object(2, 2, 5, 5), _object(6, 6, 9, 9, class_id=1))
    pasted = paste(_scene(50), source, [0])
    expected = np.full((10, 10, 3), 50)
    expected[2:5, 2:5] = 200
    np.testing.assert_array_equal(pasted.image, expected)
    assert [thing.class_id for thing in pasted.objects] == [0]


def test_what_is_covered_leaves_the_mask_and_the_box():
    below = _object(0, 0, 6, 4)
    pasted = paste(_scene(50, below), _scene(200, _object(3, 0, 8, 9)), [0])
    left, _ = pasted.objects
    np.testing.assert_array_equal(left.mask, _mask(0, 0, 3, 4))
    assert left.box_xyxy_net.tolist() == [0, 0, 3, 4]
    assert pasted.ignored_xyxy_net == ()


def test_an_object_that_is_wholly_hidden_is_gone():
    pasted = paste(_scene(50, _object(3, 3, 5, 5)), _scene(200, _object(2, 2, 6, 6)), [0])
    assert len(pasted.objects) == 1
    assert pasted.ignored_xyxy_net == ()


def test_an_object_of_which_hardly_anything_is_left_is_ignored():
    # 5 of 60 pixels are left: the last half column.
    below = _object(0, 0, 6, 10)
    cover = _scene(200, SeenObject(0, np.zeros(4), _mask(0, 0, 5, 10) | _mask(5, 0, 6, 5)))
    pasted = paste(_scene(50, below), cover, [0])
    assert len(pasted.objects) == 1
    assert [box.tolist() for box in pasted.ignored_xyxy_net] == [[5, 5, 6, 10]]


def test_a_box_without_a_mask_keeps_what_sticks_out_of_the_pasted_object():
    below = _object(0, 0, 10, 4, has_mask=False)
    left, _ = paste(_scene(50, below), _scene(200, _object(6, 0, 10, 10)), [0]).objects
    assert left.box_xyxy_net.tolist() == [0, 0, 6, 4]
    assert left.mask is None


def test_a_box_without_a_mask_that_is_mostly_covered_is_ignored():
    below = _object(0, 0, 10, 4, has_mask=False)
    pasted = paste(_scene(50, below), _scene(200, _object(4, 0, 10, 10)), [0])
    assert len(pasted.objects) == 1
    assert [box.tolist() for box in pasted.ignored_xyxy_net] == [[0, 0, 4, 4]]


def test_edges_of_a_box_between_pixels_stay_where_nothing_covers_them():
    box = np.array([1.25, 0.5, 8.75, 3.5])
    below = Scene(np.zeros((10, 10, 3), np.uint8), (SeenObject(0, box, None),), (), True)
    left, _ = paste(below, _scene(200, _object(6, 0, 10, 10)), [0]).objects
    assert left.box_xyxy_net.tolist() == [1.25, 0.5, 6, 3.5]


def test_pasting_changes_neither_what_is_ignored_nor_how_exhaustively_a_picture_is_labelled():
    source = _scene(200, _object(2, 2, 5, 5), is_exhaustive=False, ignored=[[0, 0, 9, 9]])
    for is_exhaustive in (True, False):
        below = _scene(50, is_exhaustive=is_exhaustive, ignored=[[1, 1, 2, 2]])
        pasted = paste(below, source, [0])
        assert pasted.is_exhaustive is is_exhaustive
        assert [box.tolist() for box in pasted.ignored_xyxy_net] == [[1, 1, 2, 2]]


def test_tiles_lie_in_reading_order_with_their_objects_on_them():
    def tile(grey, height, width, **changes):
        thing = SeenObject(grey, np.array([0.0, 0.0, 1.0, 2.0]), _part(height, width))
        return Scene(np.full((height, width, 3), grey, np.uint8), (thing,), (), True, **changes)

    def _part(height, width):
        mask = np.zeros((height, width), np.uint8)
        mask[:2, :1] = 255
        return mask

    whole = join([tile(1, 3, 4), tile(2, 3, 6), tile(3, 7, 4), tile(4, 7, 6)])
    assert whole.image.shape == (10, 10, 3)
    corners = [(0, 0), (4, 0), (0, 3), (4, 3)]
    for thing, (x, y) in zip(whole.objects, corners, strict=True):
        assert thing.box_xyxy_net.tolist() == [x, y, x + 1, y + 2]
        assert thing.mask is not None
        tight = tight_box(thing.mask)
        assert tight is not None
        assert tight.tolist() == [x, y, x + 1, y + 2]
        assert (whole.image[thing.mask > 0] == thing.class_id).all()


def test_a_mosaic_with_one_partly_labelled_picture_is_partly_labelled():
    tiles = [_scene(1), _scene(2), _scene(3), _scene(4, ignored=[[1, 2, 3, 4]])]
    whole = join(tiles)
    assert whole.is_exhaustive
    assert [box.tolist() for box in whole.ignored_xyxy_net] == [[11, 12, 13, 14]]
    tiles[2] = _scene(3, is_exhaustive=False)
    assert not join(tiles).is_exhaustive
