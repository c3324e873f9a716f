"""The overlay's figures: measured side by side, and within the ratio that is promised."""

import pytest

from maskstream.tools.bench.overlay import OverlayFigures, measure_overlay, people


def test_ten_instances_at_1080p_are_drawn_ten_times_faster_than_float_masks():
    figures = measure_overlay(repeats=3)
    assert (figures.width, figures.height, figures.instance_count) == (1920, 1080, 10)
    assert figures.times_float_masks >= 10
    assert figures.masks_only_ms > 0


def test_people_lie_inside_the_frame_and_have_the_size_of_people():
    found = people(1920, 1080, 10)
    widths, heights = (found.boxes_xyxy_src[:, 2:] - found.boxes_xyxy_src[:, :2]).T
    assert widths == pytest.approx(180, abs=0.1)
    assert heights == pytest.approx(480, abs=0.1)
    assert (found.extents_xyxy_src >= 0).all()
    assert (found.extents_xyxy_src[:, 2:] <= (1920, 1080)).all()
    # An ellipse of radius 1 fills pi / 4 of its box: 1.5 - 0.5 at its edge is cut at one half.
    assert found.mask(0).mean() == pytest.approx(3.14159 / 4, abs=0.03)


def test_ratios_count_how_often_ours_fits_in_the_others():
    figures = OverlayFigures(1920, 1080, 10, 2.0, 1.0, 100.0, 30.0)
    assert (figures.times_float_masks, figures.times_supervision) == (50.0, 15.0)


def test_without_supervision_there_is_no_ratio_to_it():
    assert OverlayFigures(1920, 1080, 10, 2.0, 1.0, 100.0, None).times_supervision is None
