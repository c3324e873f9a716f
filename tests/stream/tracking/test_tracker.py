"""Who is who: tracks through crossings, misses, gaps and false alarms."""

import numpy as np
import pytest

from maskstream.stream.tracking.options import TrackOptions
from maskstream.stream.tracking.tracker import Tracker
from tests.stream.tracking.scenes import instances_of, walker

STEP_S = 0.1


def follow(frames, options=None, looks=None, step_s=STEP_S):
    """The ids of each frame's instances in their order, None where one has no track shown yet."""
    tracker = Tracker(options or TrackOptions())
    ids = []
    for number, instances in enumerate(frames):
        seen = looks[number].__getitem__ if looks else None
        sightings = tracker.update(instances, number * step_s, seen)
        by_row = {s.row: s.track.track_id or None for s in sightings if s.row is not None}
        ids.append([by_row.get(row) for row in range(len(instances))])
    return ids


def test_a_walker_keeps_one_id_from_the_third_sighting_on():
    ids = follow([instances_of(walker(10 * n)) for n in range(10)])
    assert ids == [[None], [None], *[[1]] * 8]


def test_two_walkers_that_pass_each_other_keep_their_ids():
    frames = [
        instances_of(walker(10 * n, top=100), walker(300 - 10 * n, top=130)) for n in range(31)
    ]
    assert follow(frames)[-1] == [1, 2]


@pytest.mark.parametrize("missed", [1, 3, 10, 15])
def test_a_walker_is_found_again_after_frames_that_missed_it(missed):
    frames = [
        instances_of() if 10 <= n < 10 + missed else instances_of(walker(6 * n)) for n in range(40)
    ]
    assert follow(frames)[-1] == [1]


def test_times_between_frames_are_real_so_a_dropped_frame_is_no_jump():
    kept = [n for n in range(40) if n % 7 not in (3, 4)]
    tracker = Tracker(TrackOptions())
    for n in kept:
        sightings = tracker.update(instances_of(walker(12 * n)), n * STEP_S)
    assert [s.track.track_id for s in sightings] == [1]


def test_after_the_time_that_a_track_is_kept_the_next_one_has_a_new_id():
    gap = int(TrackOptions().lost_s / STEP_S) + 2
    frames = (
        [instances_of(walker(50))] * 5 + [instances_of()] * gap + [instances_of(walker(50))] * 5
    )
    assert follow(frames)[-1] == [2]


def test_unsure_sightings_continue_a_track_and_begin_none():
    frames = [instances_of(walker(6 * n), scores=[0.9 if n < 5 else 0.2]) for n in range(12)]
    assert follow(frames)[-1] == [1]
    assert follow([instances_of(walker(50), scores=[0.2])] * 10)[-1] == [None]


def test_what_is_never_seen_well_is_never_shown():
    assert follow([instances_of(walker(50), scores=[0.45])] * 20)[-1] == [None]


def test_a_second_mask_on_a_walker_gets_no_track():
    frames = [
        instances_of(walker(6 * n), (6 * n + 2, 105, 6 * n + 38, 180), scores=[0.9, 0.6])
        for n in range(10)
    ]
    assert follow(frames)[-1] == [1, None]


def test_a_track_keeps_the_class_that_most_of_its_sightings_have():
    tracker = Tracker(TrackOptions())
    for n in range(10):
        instances = instances_of(walker(5 * n), class_ids=[7 if n == 6 else 2])
        sighting = tracker.update(instances, n * STEP_S)[0]
        assert sighting.track.class_id == 2


def test_looks_tell_apart_two_who_meet_and_turn_back():
    """Their boxes alone say that they walked through each other."""
    red, blue = np.zeros((2, 48), np.float32)
    red[[0, 24]], blue[[5, 29]] = 1.0, 1.0
    lefts = [8.0 * n for n in range(15)]
    lefts = lefts + lefts[::-1]
    frames = [instances_of(walker(left), walker(232 - left)) for left in lefts]
    ids = follow(frames, looks=[[red, blue]] * len(frames))
    assert (ids[3], ids[-1]) == ([1, 2], [1, 2])


def test_masks_tell_apart_where_boxes_lie_over_each_other():
    """A tall and a short one whose boxes overlap the same; only the masks fit one way alone."""
    frames = [
        instances_of((100 + n, 100, 200 + n, 200), (110 + n, 100, 210 + n, 200)) for n in range(6)
    ]
    for frame in frames:
        left, right = (np.zeros((8, 8), np.uint8) for _ in range(2))
        left[:, :4], right[:, 4:] = 255, 255
        object.__setattr__(frame, "patches", (left, right))
    swapped = frames[-1].select([1, 0])
    assert follow([*frames[:-1], swapped])[-1] == [2, 1]


def test_ids_of_several_sources_are_never_the_same():
    trackers = [Tracker(TrackOptions(), first_id=source + 1, id_step=3) for source in range(3)]
    ids = set()
    for tracker in trackers:
        for n in range(4):
            sightings = tracker.update(instances_of(walker(5 * n), walker(300 + 5 * n)), n * STEP_S)
        ids |= {s.track.track_id for s in sightings}
    assert len(ids) == 6


def test_a_frame_without_instances_and_a_step_back_in_time_do_no_harm():
    tracker = Tracker(TrackOptions())
    assert tracker.update(instances_of(), 5.0) == []
    assert len(tracker.update(instances_of(walker(5)), 1.0)) == 1
