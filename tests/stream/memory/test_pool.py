"""The pool: allocated, sealed, nameless, and refused with numbers where it does not fit."""

from __future__ import annotations

import multiprocessing
import os
import resource

import pytest

from maskstream.errors import ConfigError
from maskstream.stream.memory.frame import Holder
from maskstream.stream.memory.pool import BufferPool, check_memory
from maskstream.stream.memory.slot import SlotLayout

LAYOUT = SlotLayout(width=640, height=480, top_k=15, patch_px=138)


@pytest.fixture
def pool(nothing_left):
    made = BufferPool.create(LAYOUT, 6)
    yield made
    made.close()


def write_to_slot(pool: BufferPool) -> None:
    pool.slot(3).planes.u[...] = 77
    pool.slot(3).header.hold(Holder.INFER)


def test_a_slot_written_by_another_process_is_seen_here(pool):
    process = multiprocessing.get_context("spawn").Process(target=write_to_slot, args=(pool,))
    process.start()
    process.join()
    assert process.exitcode == 0
    process.close()
    assert (pool.slot(3).planes.u == 77).all()
    assert [slot.index for slot in pool.held()] == [3]


def test_memory_is_there_before_it_is_touched(pool):
    touched = [pool.slot(index).planes for index in range(pool.slot_count)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for planes in touched:
        planes.y[...] = 1
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert faults < pool.byte_count / 4096 / 20


def test_memory_cannot_be_resized(pool):
    descriptor = pool._fd
    for byte_count in (4096, pool.byte_count * 2):
        with pytest.raises(PermissionError):
            os.ftruncate(descriptor, byte_count)


def test_description_names_slots_frame_and_size(pool):
    mib = pool.byte_count / 2**20
    assert pool.describe().startswith("pool of 6 slots for 640x480 frames: 6 x ")
    assert f"= {mib:.1f} MiB" in pool.describe()


def test_size_covers_header_pixels_and_mask_patches():
    least = 4096 + 640 * 480 * 3 // 2 + 15 * 138 * 138
    assert least < LAYOUT.slot_bytes < least + 4 * 4096
    assert LAYOUT.slot_bytes % 4096 == 0


def test_a_pool_larger_than_the_machine_is_refused_with_numbers():
    with pytest.raises(ConfigError, match=r"pool of 1000000 slots .* MiB wanted, .* available"):
        BufferPool.create(LAYOUT, 1_000_000)


def test_what_the_stages_need_is_kept_free():
    check_memory(744 << 20, "pools", available_bytes=1000 << 20)
    with pytest.raises(ConfigError, match="745 MiB wanted, 1000 MiB available of which 256 MiB"):
        check_memory(745 << 20, "pools", available_bytes=1000 << 20)


def test_a_slot_outside_the_pool_is_refused(pool):
    with pytest.raises(ValueError, match="slot 6: the pool has 6 slots"):
        pool.slot(6)


def test_a_closed_pool_gives_its_memory_back(nothing_left):
    made = BufferPool.create(LAYOUT, 2)
    made.slot(0).planes.y[...] = 1
    made.close()
    made.close()
    with pytest.raises(ValueError, match="closed"):
        made.slot(0)
