"""What processes hold, read from /proc: for measurements that look at a run from outside.

A process that ends while it is read counts as holding nothing.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_LISTENING = "0A"
"""Source: the kernel's include/net/tcp_states.h."""


def descendants(pid: int) -> set[int]:
    """Return the processes that ``pid`` started, and those that these started."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.glob("[0-9]*"):
        with suppress(OSError):
            children.setdefault(_parent(entry), []).append(int(entry.name))
    found: set[int] = set()
    waiting = list(children.get(pid, ()))
    while waiting:
        child = waiting.pop()
        found.add(child)
        waiting += children.get(child, ())
    return found


def is_running(pid: int) -> bool:
    """Whether a process is there and is no zombie."""
    try:
        return _fields(_PROC / str(pid))[0] != "Z"
    except OSError:
        return False


def descriptor_count(pid: int) -> int:
    """Return how many descriptors a process has open."""
    with suppress(OSError):
        return len(os.listdir(_PROC / str(pid) / "fd"))  # noqa: PTH208 - names are all it takes
    return 0


def proportional_bytes(pid: int) -> int:
    """Return a process's memory, what it shares divided by those who share it (PSS)."""
    with suppress(OSError):
        for line in (_PROC / str(pid) / "smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def own_bytes(pid: int) -> int:
    """Return a process's memory that is neither shared nor mapped from a file (RssAnon).

    A pool of frames counts as resident slot by slot as each is used for the first time, which may
    be long after it was made.
    """
    with suppress(OSError):
        for line in (_PROC / str(pid) / "status").read_text(encoding="utf-8").splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return 0


def resident_bytes(pid: int) -> int:
    """Return a process's resident memory. Source: proc(5), the second field of statm."""
    with suppress(OSError):
        pages = int((_PROC / str(pid) / "statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return 0


def listening_ports(pid: int) -> set[int]:
    """Return the TCP ports that a process listens at."""
    sockets = {
        target.removeprefix("socket:[").rstrip("]")
        for target in _open_files(pid)
        if target.startswith("socket:[")
    }
    found = set()
    for table in ("tcp", "tcp6"):
        for line in (_PROC / "net" / table).read_text(encoding="ascii").splitlines()[1:]:
            words = line.split()
            if words[3] == _LISTENING and words[9] in sockets:
                found.add(int(words[1].rpartition(":")[2], 16))
    return found


def shared_files(pid: int) -> set[str]:
    """Return the files of /dev/shm that a process has mapped or open."""
    with suppress(OSError):
        lines = (_PROC / str(pid) / "maps").read_text(encoding="utf-8").splitlines()
        mapped = {line.split(maxsplit=5)[5] for line in lines if "/dev/shm/" in line}
        opened = {target for target in _open_files(pid) if target.startswith("/dev/shm/")}
        return mapped | opened
    return set()


def _open_files(pid: int) -> list[str]:
    found = []
    with suppress(OSError):
        for entry in (_PROC / str(pid) / "fd").iterdir():
            with suppress(OSError):
                found.append(str(entry.readlink()))
    return found


def _parent(entry: Path) -> int:
    return int(_fields(entry)[1])


def _fields(entry: Path) -> list[str]:
    # What comes after the name, which may hold anything.
    return (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
