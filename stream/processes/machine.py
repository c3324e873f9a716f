"""What this process may use of the machine: cores and memory, control groups included.

A container or a service unit often gives far less than the machine has, and says so only in its
control group. Both generations are read (v2's unified tree, v1's controllers), from the process's
own group up to the root, because every level's limit holds.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/")


@dataclass(frozen=True, slots=True)
class ThreadBudget:
    """Threads of each stage's runtime."""

    decoder: int
    engine: int
    encoder: int


def available_cores(root: Path = _ROOT) -> int:
    """Returns how many cores this process may keep busy, at least 1.

    Args:
        root: Where ``proc`` and ``sys`` lie; another one only in tests.
    """
    cores = float(len(os.sched_getaffinity(0)))
    for folder in _group_folders(root, "cpu"):
        quota = _cpu_quota(folder)
        if quota is not None:
            cores = min(cores, quota)
    # Part of a core is still a core to a thread pool, but one more would only wait.
    return max(1, math.floor(cores + 1e-6))


def available_memory_bytes(root: Path = _ROOT) -> int:
    """Returns how much memory can be taken now without swapping or being killed.

    Args:
        root: Where ``proc`` and ``sys`` lie; another one only in tests.
    """
    available = _machine_memory_bytes(root)
    for folder in _group_folders(root, "memory"):
        left = _group_memory_left(folder)
        if left is not None:
            available = min(available, left)
    return max(0, available)


def share_threads(cores: int, source_count: int) -> ThreadBudget:
    """Returns the threads of each runtime, so that together they keep ``cores`` busy and no more.

    Decoder and encoder run once a source, the engine once. The engine has nearly all the work of a
    frame, so it gets what the others leave, and on a small machine all of it: there the stages take
    turns anyway, and an engine held to one core leaves the other idle.

    Args:
        cores: As ``available_cores`` returns it, or what the user allowed.
        source_count: At least 1.
    """
    if cores <= 4:
        return ThreadBudget(decoder=1, engine=cores, encoder=1)
    per_source = max(1, cores // (8 * source_count))
    # Of each source: its decoder, its encoder, and one for drawing.
    taken = source_count * (2 * per_source + 1)
    engine = max(cores // 2, cores - taken)
    return ThreadBudget(decoder=per_source, engine=engine, encoder=per_source)


def _machine_memory_bytes(root: Path) -> int:
    for line in (root / "proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/meminfo: no line MemAvailable; Linux 3.14 or newer is needed.")


def _group_folders(root: Path, controller: str) -> Iterator[Path]:
    """Yields the folders whose limits hold for ``controller``, own group first."""
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            bases = [root / "sys/fs/cgroup", root / "sys/fs/cgroup/unified"]
        elif controller in controllers.split(","):
            bases = [root / "sys/fs/cgroup" / name for name in (controllers, controller)]
        else:
            continue
        for base in bases:
            yield from _folders_up(base, path)


def _folders_up(base: Path, path: str) -> Iterator[Path]:
    folder = base / path.lstrip("/")
    # Inside a container the path may name a folder of the host that is not visible here.
    while folder != base:
        if folder.is_dir():
            yield folder
        folder = folder.parent
    if base.is_dir():
        yield base


def _cpu_quota(folder: Path) -> float | None:
    """Returns the cores that ``folder`` allows, None where it sets no limit."""
    words = " ".join(_lines(folder / "cpu.max")).split()
    if len(words) == 2 and words[0] != "max":
        return int(words[0]) / int(words[1])
    quota_us = _number(folder / "cpu.cfs_quota_us")
    period_us = _number(folder / "cpu.cfs_period_us")
    if quota_us is not None and period_us and quota_us > 0:
        return quota_us / period_us
    return None


def _group_memory_left(folder: Path) -> int | None:
    """Returns the bytes that ``folder`` can still take, None where it sets no limit."""
    for limit_name, usage_name, cache_key in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        limit, usage = _number(folder / limit_name), _number(folder / usage_name)
        if limit is not None and usage is not None:
            # Cached file pages count as usage but are given back before anything is killed.
            return limit - max(0, usage - _stat(folder / "memory.stat", cache_key))
    return None


def _stat(path: Path, key: str) -> int:
    for line in _lines(path):
        name, _, value = line.partition(" ")
        if name == key:
            return int(value)
    return 0


def _number(path: Path) -> int | None:
    lines = _lines(path)
    if not lines or lines[0] == "max":
        return None
    return int(lines[0])


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()
    except OSError:
        return []
