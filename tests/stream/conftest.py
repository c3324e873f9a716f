"""Fixtures of the line's tests: nothing may be left behind."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest


def children() -> set[int]:
    """Returns the processes that this one has started and that still run, trackers left out."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            # The parent's id is the second field after the name, which may hold anything.
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            is_tracker = b"resource_tracker" in (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if parent == os.getpid() and not is_tracker:
            found.add(int(entry.name))
    return found


def descriptors(process: int | str = "self") -> list[str]:
    """Returns what a process has open, the resource tracker's pipe left out."""
    found = []
    for entry in Path(f"/proc/{process}/fd").iterdir():
        try:
            target = str(entry.readlink())
        except OSError:
            continue
        if target.startswith(("socket:", "/memfd:", "anon_inode:")):
            found.append(target)
    return sorted(found)


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """Fails a test that leaves processes, shared memory or sockets."""
    children_before, open_before = children(), descriptors()
    yield
    deadline_s = time.monotonic() + 2
    while children() - children_before and time.monotonic() < deadline_s:
        time.sleep(0.02)
    assert children() - children_before == set()
    assert descriptors() == open_before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system needs the rights of root.")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
