"""What is shown of tracks: filled gaps, held masks, and nothing of single sightings."""

import numpy as np
import pytest

from maskstream.engines.interface.instances import Instances, Origin
from maskstream.stream.tracking.mending import Mender
from maskstream.stream.tracking.options import TrackOptions
from maskstream.stream.tracking.tracker import Tracker
from tests.stream.tracking.scenes import instances_of, walker

STEP_S = 0.1


def shown(frames, delay=0):
    """What is shown of each frame, in order."""
    options = TrackOptions()
    tracker = Tracker(options)
    mender: Mender[int] = Mender(options, width=640, height=360, delay=delay)
    out: list[tuple[int, Instances]] = []
    for number, instances in enumerate(frames):
        time_s = number * STEP_S
        out += mender.add(number, time_s, instances, tracker.update(instances, time_s))
    out += mender.flush()
    assert [key for key, _ in out] == list(range(len(frames)))
    return [instances for _, instances in out]


def missed(frames, *numbers):
    return [instances_of() if n in numbers else frame for n, frame in enumerate(frames)]


WALK = [instances_of(walker(10.0 * n)) for n in range(20)]


def test_live_a_track_is_shown_from_its_third_sighting_on():
    assert [len(frame) for frame in shown(WALK)] == [0, 0, *[1] * 18]


def test_in_a_file_a_track_is_shown_from_its_first_sighting_on():
    assert [len(frame) for frame in shown(WALK, delay=5)] == [1] * 20


@pytest.mark.parametrize("delay", [0, 5])
def test_a_missed_track_keeps_its_mask_moved_on_and_says_so(delay):
    frame = shown(missed(WALK, 12, 13), delay)[13]
    assert frame.track_ids.tolist() == [1]
    assert (frame.origins.tolist(), frame.ages.tolist()) == ([Origin.HELD], [2])
    assert frame.boxes_xyxy_src[0] == pytest.approx(np.array(walker(130.0)), abs=6)
    assert frame.extents_xyxy_src[0] == pytest.approx(np.array(walker(130.0)), abs=6)


def test_a_gap_in_a_file_is_filled_along_the_line_between_its_ends():
    frame = shown(missed(WALK, 12, 13), delay=5)[12]
    assert frame.boxes_xyxy_src[0] == pytest.approx(np.array(walker(120.0)), abs=0.01)


def test_live_a_track_that_does_not_come_back_is_held_for_some_frames_only():
    counts = [len(frame) for frame in shown(missed(WALK, *range(10, 20)))]
    assert counts == [0, 0, *[1] * 8, *[1] * TrackOptions().hold_frames, 0, 0, 0, 0, 0]


def test_in_a_file_a_track_that_does_not_come_back_is_not_held():
    counts = [len(frame) for frame in shown(missed(WALK, *range(10, 20)), delay=5)]
    assert counts == [1] * 10 + [0] * 10


@pytest.mark.parametrize("delay", [0, 5])
def test_sightings_of_one_or_two_frames_are_not_shown(delay):
    frames = [instances_of(walker(50)) if n in (3, 10, 11) else instances_of() for n in range(20)]
    assert [len(frame) for frame in shown(frames, delay)] == [0] * 20


def test_what_walks_out_of_the_frame_is_not_held():
    frames = [instances_of(walker(590.0 + 10 * n, width=40)) for n in range(5)]
    frames += [instances_of()] * 3
    assert [len(frame) for frame in shown(frames)][-2:] == [0, 0]


def test_a_held_mask_at_the_edge_stays_inside_the_frame():
    frames = [instances_of(walker(20.0 - 5 * n)) for n in range(4)]
    frames += [instances_of()] * 2
    for frame in shown(frames):
        left, top, right, bottom = frame.extents_xyxy_src.T
        assert ((left >= 0) & (top >= 0) & (right <= 640) & (bottom <= 360)).all()
        assert [patch.size > 0 for patch in frame.patches] == [True] * len(frame)
