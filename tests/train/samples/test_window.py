"""Windows onto a picture: boxes and pixels go the same way."""

import numpy as np

from maskstream.train.augment_options import AugmentOptions
from maskstream.train.samples.window import Window, choose_window, render

FILL = (114.0, 114.0, 114.0)


def test_a_window_maps_boxes_by_hand():
    boxes = np.array([[10.0, 20.0, 30.0, 40.0]])
    np.testing.assert_allclose(
        Window(0, 0, 100, 200).to_view(boxes, 50, 50), [[5.0, 5.0, 15.0, 10.0]]
    )
    np.testing.assert_allclose(
        Window(20, 0, 40, 40, is_mirrored=True).to_view(boxes, 80, 40), [[60.0, 20.0, 80.0, 40.0]]
    )


def test_a_part_of_a_window_is_given_in_shares_of_its_sides():
    assert Window(10, 20, 100, 50, True).part(0.5, 0.2, 0.3, 0.8) == Window(60, 30, 30, 40, True)


def test_zooming_out_puts_the_picture_on_the_fill():
    picture = np.full((10, 10, 3), 200, np.uint8)
    shown = render(picture, Window(-10, 0, 20, 20), 20, 20, FILL)
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
    assert all(w.contains(85, 85) for w in windows)
    assert sum(w.width < 100 for w in windows) > 150
