"""What the machine and its control groups give, read from made-up trees."""

from __future__ import annotations

import os

import pytest

from maskstream.stream.processes.machine import (
    available_cores,
    available_memory_bytes,
    share_threads,
)

GIB = 1 << 30


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A machine of 8 cores and 16 GiB without control groups."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    write(tmp_path, "proc/meminfo", f"MemTotal: 1 kB\nMemAvailable: {16 * GIB // 1024} kB\n")
    return tmp_path


def write(root, name: str, text: str | int) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")


def test_a_machine_without_limits_gives_all_it_has(root):
    assert available_cores(root) == 8
    assert available_memory_bytes(root) == 16 * GIB


def test_affinity_limits_the_cores(root, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5})
    assert available_cores(root) == 2


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("max 100000", 8), ("250000 100000", 2), ("50000 100000", 1), ("900000 100000", 8)],
)
def test_a_unified_groups_quota_limits_the_cores(root, quota, cores):
    write(root, "proc/self/cgroup", "0::/service/unit")
    write(root, "sys/fs/cgroup/service/unit/cpu.max", quota)
    assert available_cores(root) == cores


def test_the_tightest_group_up_to_the_root_counts(root):
    write(root, "proc/self/cgroup", "0::/a/b")
    write(root, "sys/fs/cgroup/a/b/cpu.max", "max 100000")
    write(root, "sys/fs/cgroup/a/cpu.max", "300000 100000")
    for folder, limit in (("a/b", 8 * GIB), ("a", 3 * GIB)):
        write(root, f"sys/fs/cgroup/{folder}/memory.max", limit)
        write(root, f"sys/fs/cgroup/{folder}/memory.current", GIB)
    assert available_cores(root) == 3
    assert available_memory_bytes(root) == 2 * GIB


def test_cached_files_do_not_count_as_used(root):
    write(root, "proc/self/cgroup", "0::/")
    write(root, "sys/fs/cgroup/memory.max", 4 * GIB)
    write(root, "sys/fs/cgroup/memory.current", 3 * GIB)
    write(root, "sys/fs/cgroup/memory.stat", f"anon 5\ninactive_file {2 * GIB}\n")
    assert available_memory_bytes(root) == 3 * GIB


def test_an_unlimited_group_leaves_what_the_machine_has(root):
    write(root, "proc/self/cgroup", "0::/")
    write(root, "sys/fs/cgroup/memory.max", "max")
    write(root, "sys/fs/cgroup/memory.current", GIB)
    assert available_memory_bytes(root) == 16 * GIB


def test_first_generation_groups_limit_both(root):
    write(root, "proc/self/cgroup", "4:memory:/box\n2:cpu,cpuacct:/box")
    write(root, "sys/fs/cgroup/memory/box/memory.limit_in_bytes", 2 * GIB)
    write(root, "sys/fs/cgroup/memory/box/memory.usage_in_bytes", GIB)
    write(root, "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us", 400000)
    write(root, "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_period_us", 100000)
    assert available_cores(root) == 4
    assert available_memory_bytes(root) == GIB


def test_a_first_generation_quota_of_minus_one_is_none(root):
    write(root, "proc/self/cgroup", "2:cpu:/")
    write(root, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", -1)
    write(root, "sys/fs/cgroup/cpu/cpu.cfs_period_us", 100000)
    assert available_cores(root) == 8


def test_a_group_path_of_the_host_falls_back_to_what_is_visible(root):
    write(root, "proc/self/cgroup", "0::/docker/0123")
    write(root, "sys/fs/cgroup/cpu.max", "200000 100000")
    assert available_cores(root) == 2


def test_more_used_than_allowed_leaves_nothing(root):
    write(root, "proc/self/cgroup", "0::/")
    write(root, "sys/fs/cgroup/memory.max", GIB)
    write(root, "sys/fs/cgroup/memory.current", 2 * GIB)
    assert available_memory_bytes(root) == 0


def test_this_machine_can_be_asked():
    assert available_cores() >= 1
    assert available_memory_bytes() > 0


@pytest.mark.parametrize("cores", [1, 2, 4, 6, 8, 16, 64])
@pytest.mark.parametrize("sources", [1, 2, 4])
def test_every_stage_has_a_thread_and_the_engine_the_most(cores, sources):
    budget = share_threads(cores, sources)
    assert min(budget.decoder, budget.encoder) >= 1
    assert budget.engine >= cores / 2
    assert budget.engine <= cores
    assert budget.engine >= max(budget.decoder, budget.encoder)


@pytest.mark.parametrize("cores", [8, 16, 64])
def test_one_source_keeps_within_the_cores(cores):
    budget = share_threads(cores, 1)
    drawing = 1
    assert budget.decoder + budget.engine + budget.encoder + drawing <= cores
