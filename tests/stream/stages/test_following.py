"""Tracking in the overlay's process: slots in, the same slots out with tracks."""

from contextlib import closing

import numpy as np
import pytest

from maskstream.engines.interface.instances import Origin
from maskstream.stream.memory.pool import BufferPool
from maskstream.stream.memory.slot import SlotLayout
from maskstream.stream.stages.following import Follower, FollowSettings
from maskstream.stream.tracking.options import TrackOptions
from tests.stream.tracking.scenes import instances_of, walker

WIDTH, HEIGHT = 640, 360


@pytest.fixture
def slots():
    layout = SlotLayout(WIDTH, HEIGHT, top_k=4, patch_px=8)
    with closing(BufferPool.create(layout, 12)) as pool:
        yield [pool.slot(index) for index in range(12)]


def settings(delay, top_k=4):
    return FollowSettings(
        track=TrackOptions(), width=WIDTH, height=HEIGHT, delay=delay, top_k=top_k, first_id=1,
        id_step=1,
    )  # fmt: skip


def fill(slot, number, instances):
    slot.header.pts, slot.header.time_base_num, slot.header.time_base_den = number, 1, 10
    slot.header.sequence = number
    slot.write_instances(instances)
    return slot


def frame(number):
    """A walker who is missed in frame 6."""
    return instances_of() if number == 6 else instances_of(walker(10.0 * number))


def test_live_each_slot_goes_on_at_once_with_its_tracks(slots):
    follower = Follower(settings(delay=0))
    for number, slot in enumerate(slots):
        (out,) = follower.follow(fill(slot, number, frame(number)))
        assert out is slot
    shown = slots[6].instances()
    assert shown.track_ids is not None
    assert shown.origins is not None
    assert (shown.track_ids.tolist(), shown.origins.tolist()) == ([1], [Origin.HELD])
    assert list(follower.flush()) == []


def test_in_a_file_slots_come_out_in_order_and_none_stays_behind(slots):
    follower = Follower(settings(delay=5))
    out = [
        done.header.sequence
        for number, slot in enumerate(slots)
        for done in follower.follow(fill(slot, number, frame(number)))
    ]
    out += [slot.header.sequence for slot in follower.flush()]
    assert out == list(range(12))
    assert [len(slot.instances()) for slot in slots] == [1] * 12


def test_a_mask_that_is_held_is_kept_although_its_slot_was_used_again(slots):
    follower = Follower(settings(delay=0))
    slot = slots[0]
    for number in range(6):
        list(follower.follow(fill(slot, number, frame(number))))
    list(follower.follow(fill(slot, 6, instances_of())))
    (patch,) = slot.instances().patches
    assert np.array_equal(patch, np.full((8, 8), 255))


def test_only_the_likeliest_instances_are_shown(slots):
    follower = Follower(settings(delay=0, top_k=2))
    for number, slot in enumerate(slots):
        boxes = [walker(10.0 * number + 120 * lane) for lane in range(4)]
        scores = [0.6, 0.9, 0.7, 0.8]
        order = np.argsort(scores)[::-1]
        instances = instances_of(*boxes, scores=scores).select(order)
        list(follower.follow(fill(slot, number, instances)))
    assert slots[-1].instances().scores.tolist() == pytest.approx([0.9, 0.8])


def test_the_process_that_comes_after_goes_on_counting(slots):
    first = Follower(settings(delay=0))
    for number, slot in enumerate(slots[:4]):
        list(first.follow(fill(slot, number, frame(number))))
    second = Follower(settings(delay=0), first.next_id)
    for number, slot in enumerate(slots[4:], 7):
        list(second.follow(fill(slot, number, frame(number))))
    shown = slots[-1].instances()
    assert shown.track_ids is not None
    assert shown.track_ids.tolist() == [2]
