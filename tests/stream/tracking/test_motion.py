"""The filters of boxes: where things are expected, by hand-worked cases."""

import numpy as np
import pytest

from maskstream.stream.tracking.motion import BoxFilters, to_centers, to_corners

SURE = np.ones(1)


def started(box):
    filters = BoxFilters()
    filters.add(np.array([box], float), SURE)
    return filters


def test_corners_and_centers_are_each_others_inverse():
    boxes = np.array([[10.0, 20.0, 30.0, 80.0]])
    assert to_centers(boxes).tolist() == [[20.0, 50.0, 20.0, 60.0]]
    assert to_corners(to_centers(boxes)).tolist() == boxes.tolist()


def test_a_new_box_is_expected_where_it_was():
    filters = started([10, 20, 30, 80])
    filters.predict(0.1, np.zeros(1, bool))
    assert filters.boxes_xyxy.tolist() == [[10, 20, 30, 80]]


@pytest.mark.parametrize("step_s", [0.04, 0.1, 0.5])
def test_a_steady_walk_is_learned_whatever_the_frame_rate(step_s):
    speed = 50.0  # pixels a second
    filters = started([0, 0, 40, 100])
    for frame in range(1, 40):
        filters.predict(step_s, np.zeros(1, bool))
        left = speed * step_s * frame
        filters.correct(np.array([0]), np.array([[left, 0, left + 40, 100]]), SURE)
    assert filters.velocity[0, 0] == pytest.approx(speed, rel=0.05)
    filters.predict(1.0, np.zeros(1, bool))
    assert filters.position[0, 0] == pytest.approx(left + 20 + speed, abs=3)


def test_two_half_steps_expect_the_same_place_as_one_whole():
    one, two = started([0, 0, 40, 100]), started([0, 0, 40, 100])
    for filters in (one, two):
        filters.velocity[:] = [[30.0, -10.0, 0.0, 0.0]]
    one.predict(0.4, np.zeros(1, bool))
    for _ in range(2):
        two.predict(0.2, np.zeros(1, bool))
    assert two.position == pytest.approx(one.position)
    assert two.deviation == pytest.approx(one.deviation)


def test_an_unsure_detection_moves_a_box_less_than_a_sure_one():
    moved = []
    for score in (1.0, 0.1):
        filters = started([0, 0, 40, 100])
        filters.predict(0.1, np.zeros(1, bool))
        filters.correct(np.array([0]), np.array([[10.0, 0, 50, 100]]), np.array([score]))
        moved.append(filters.position[0, 0] - 20)
    assert 0 < moved[1] < moved[0] < 10


def test_the_place_of_what_is_not_seen_grows_less_certain_and_its_size_stays():
    filters = started([0, 0, 40, 100])
    filters.velocity[:] = [[0.0, 0.0, -40.0, -100.0]]  # it shrinks while something covers it
    before = filters.deviation.copy()
    for _ in range(20):
        filters.predict(0.1, np.ones(1, bool))
    assert (filters.deviation > before).all()
    assert filters.position[0, 3] > 60


def test_tracks_that_are_dropped_take_their_numbers_along():
    filters = BoxFilters()
    filters.add(np.array([[0, 0, 10, 10], [50, 50, 60, 60.0]]), np.ones(2))
    filters.keep(np.array([False, True]))
    assert filters.boxes_xyxy.tolist() == [[50, 50, 60, 60]]
