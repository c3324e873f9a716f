"""What a stage's process arranges with the kernel before it does anything else."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing import connection, process

SALVAGE_S = 1.5
"""A stage that may outlive its parent to save what it has gets this long."""

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15


def ignore_interrupts() -> None:
    """Leave SIGINT and SIGTERM to the parent, which tells its stages when to end.

    Ctrl-C reaches the whole foreground group, and a service manager's SIGTERM the whole control
    group. The parent spawned this process with both blocked, so none can have hit it before now.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})


def set_title(title: str) -> None:
    """Name the process as ``ps`` and ``top`` show it, cut to 15 bytes."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, title.encode()[:15], 0, 0, 0)


def die_with_parent() -> None:
    """End this process when its parent ends, however that happens.

    The kernel's signal acts even while this process is stuck in foreign code; it is tied to the
    parent's *thread*, so stages are spawned from a main thread only. The pipe that multiprocessing
    keeps open in the parent is the second guard, and covers a parent that died before now.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    _after_parent(lambda: os.kill(os.getpid(), signal.SIGKILL))


def outlive_parent_shortly() -> None:
    """End this process SALVAGE_S after its parent, so that it can save what it has.

    The timer's signal ends the process even while its main thread is stuck.
    """
    _after_parent(lambda: signal.setitimer(signal.ITIMER_REAL, SALVAGE_S))


def _after_parent(act: Callable[[], object]) -> None:
    parent = process.parent_process()
    if parent is None:
        raise ValueError("process: not started by multiprocessing, so it has no parent to watch.")

    def watch() -> None:
        connection.wait([parent.sentinel])
        act()

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
