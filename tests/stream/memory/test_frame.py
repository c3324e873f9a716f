"""What lies in a slot."""

from __future__ import annotations

import mmap

import numpy as np
import pytest

from maskstream.engines.interface.instances import Instances
from maskstream.stream.memory.slot import HEADER_BYTES, Slot, SlotLayout


def slot_of(layout: SlotLayout, count: int = 1, index: int = 0) -> Slot:
    return Slot(mmap.mmap(-1, layout.slot_bytes * count), layout, index)


def instances(*shapes: tuple[int, int], track_ids=None) -> Instances:
    rng = np.random.default_rng(7)
    count = len(shapes)
    return Instances(
        boxes_xyxy_src=rng.random((count, 4), np.float32) * 100,
        scores=np.sort(rng.random(count, np.float32))[::-1],
        class_ids=rng.integers(0, 80, count).astype(np.int32),
        extents_xyxy_src=rng.integers(0, 100, (count, 4)).astype(np.int32),
        patches=tuple(rng.integers(0, 256, shape).astype(np.uint8) for shape in shapes),
        track_ids=track_ids,
    )


def test_planes_lie_one_after_the_other_from_the_page_after_the_header():
    layout = SlotLayout(width=8, height=6, top_k=2, patch_px=4)
    memory = mmap.mmap(-1, layout.slot_bytes)
    planes = Slot(memory, layout, 0).planes
    planes.y[...], planes.u[...], planes.v[...] = 1, 2, 3
    pixels = memory[HEADER_BYTES : HEADER_BYTES + 72]
    assert pixels == b"\1" * 48 + b"\2" * 12 + b"\3" * 12
    assert (planes.y.shape, planes.u.shape, planes.v.shape) == ((6, 8), (3, 4), (3, 4))


def test_slots_of_one_pool_do_not_overlap():
    layout = SlotLayout(width=64, height=48, top_k=3, patch_px=8)
    memory = mmap.mmap(-1, layout.slot_bytes * 2)
    first, second = (Slot(memory, layout, index) for index in (0, 1))
    first.write_instances(instances((8, 8), (8, 8), (8, 8)))
    first.planes.v[...] = 255
    assert not second.planes.y.any()
    assert second.found.count == 0
    assert bytes(second.header) == bytes(len(bytes(second.header)))


@pytest.mark.parametrize("track_ids", [None, np.array([4, 9, 2], np.int32)], ids=["no", "tracks"])
def test_instances_come_back_as_they_were_written(track_ids):
    slot = slot_of(SlotLayout(64, 48, top_k=3, patch_px=16))
    written = instances((16, 16), (1, 3), (7, 16), track_ids=track_ids)
    slot.write_instances(written)
    read = slot.instances()
    for name in ("boxes_xyxy_src", "scores", "class_ids", "extents_xyxy_src"):
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name))
    assert [patch.tolist() for patch in read.patches] == [p.tolist() for p in written.patches]
    assert (read.track_ids is None) == (track_ids is None)
    if track_ids is not None:
        np.testing.assert_array_equal(read.track_ids, track_ids)


def test_patches_are_read_without_a_copy():
    slot = slot_of(SlotLayout(64, 48, top_k=1, patch_px=4))
    slot.write_instances(instances((4, 4)))
    before, again = slot.instances().patches[0], slot.instances().patches[0]
    before[0, 0] ^= 255
    assert again[0, 0] == before[0, 0]


def test_a_frame_without_instances_replaces_those_of_the_frame_before():
    slot = slot_of(SlotLayout(64, 48, top_k=2, patch_px=4))
    slot.write_instances(instances((4, 4), (2, 2)))
    slot.write_instances(Instances.empty())
    assert len(slot.instances()) == 0


def test_more_instances_than_top_k_are_refused():
    slot = slot_of(SlotLayout(64, 48, top_k=1, patch_px=4))
    with pytest.raises(ValueError, match="2 instances; at most 1"):
        slot.write_instances(instances((2, 2), (2, 2)))


def test_patches_larger_than_the_arena_are_refused():
    slot = slot_of(SlotLayout(64, 48, top_k=2, patch_px=4))
    with pytest.raises(ValueError, match="more than 32 bytes"):
        slot.write_instances(instances((5, 5), (4, 4)))


@pytest.mark.parametrize(("width", "height"), [(63, 48), (64, 47), (0, 0)])
def test_a_frame_with_odd_sides_has_no_layout(width, height):
    with pytest.raises(ValueError, match="even and positive"):
        SlotLayout(width, height, top_k=1, patch_px=1)


def test_time_of_a_frame_is_its_pts_in_its_time_base():
    header = slot_of(SlotLayout(2, 2, 1, 1)).header
    header.pts, header.time_base_num, header.time_base_den = 2002, 1001, 30000
    assert header.pts_s == pytest.approx(66.8000666, abs=1e-6)
