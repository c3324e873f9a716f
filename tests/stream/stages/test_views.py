import os

import numpy as np
import pytest

from maskstream.engines.interface.instances import Instances
from maskstream.stream.memory.pool import BufferPool
from maskstream.stream.memory.slot import SlotLayout
from maskstream.stream.stages.views import SLOT_COUNT, View

LAYOUT = SlotLayout(64, 48, top_k=4, patch_px=8)


@pytest.fixture
def line_pool():
    pool = BufferPool.create(LAYOUT, 1)
    yield pool
    pool.close()


@pytest.fixture
def view_pool():
    pool = BufferPool.create(LAYOUT, SLOT_COUNT)
    yield pool
    pool.close()


@pytest.fixture
def view(view_pool):
    with View(7, view_pool) as view:
        view.receiver.begin()
        yield view


def _frame(pool, sequence):
    slot = pool.slot(0)
    slot.header.sequence = sequence
    slot.planes.y[...] = sequence
    slot.write_instances(Instances.empty())
    return slot


def test_a_viewer_sees_the_frame_as_it_was_shown(line_pool, view):
    slot = _frame(line_pool, 5)
    patch = np.arange(12, dtype=np.uint8).reshape(3, 4)
    slot.write_instances(
        Instances(
            boxes_xyxy_src=np.array([[1, 2, 9, 8]], np.float32),
            scores=np.array([0.5], np.float32),
            class_ids=np.array([3], np.int32),
            extents_xyxy_src=np.array([[0, 2, 10, 8]], np.int32),
            patches=(patch,),
        )
    )
    assert view.sender.show(slot)
    slot.planes.y[...] = 99  # the line goes on with its slot
    seen = view.receiver.newest()
    assert (seen.header.sequence, view.receiver.source_id) == (5, 7)
    assert (seen.planes.y == 5).all()
    np.testing.assert_array_equal(seen.instances().patches[0], patch)


def test_a_slow_viewer_gets_the_newest_and_what_it_holds_is_left_alone(line_pool, view):
    view.sender.show(_frame(line_pool, 1))
    held = view.receiver.newest()
    shown = [view.sender.show(_frame(line_pool, sequence)) for sequence in (2, 3, 4, 5)]
    assert shown == [True, True, False, False]
    assert held.header.sequence == 1
    assert view.receiver.newest().header.sequence == 3
    assert view.receiver.newest() is None


def test_a_viewer_that_keeps_up_gets_every_frame(line_pool, view):
    for sequence in range(20):
        assert view.sender.show(_frame(line_pool, sequence))
        assert view.receiver.newest().header.sequence == sequence


def test_the_end_is_told_after_the_last_frame(line_pool, view):
    view.sender.show(_frame(line_pool, 1))
    view.sender.end()
    assert view.receiver.newest().header.sequence == 1
    assert view.receiver.newest() is None
    assert view.receiver.is_ended


def test_nobody_looks_any_more(line_pool, view):
    view.receiver.close()
    assert not view.sender.show(_frame(line_pool, 1))
    view.sender.end()


def test_the_one_who_shows_is_gone(view):
    view.sender.close()
    assert view.receiver.newest() is None
    assert view.receiver.is_parted
    assert not view.receiver.is_ended


def test_frames_go_to_the_viewer_that_was_started_in_its_place(line_pool, view_pool, view):
    view.sender.show(_frame(line_pool, 1))
    view.receiver.close()
    with View(7, view_pool) as other:
        other.receiver.begin()
        frames, returned = other.sender.descriptors
        view.sender.join(os.dup(frames), os.dup(returned))
        assert view.sender.show(_frame(line_pool, 2))
        seen = other.receiver.newest()
        assert seen is not None
        assert seen.header.sequence == 2
