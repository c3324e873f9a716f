"""What a stage's process arranges with the kernel before it does anything else."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import connection, process, resource_tracker

SALVAGE_S = 1.5
"""A stage that may outlive its parent to save what it has gets this long."""

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_SIGNALS = {signal.SIGINT, signal.SIGTERM}


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


@contextmanager
def apart_from_caller() -> Iterator[None]:
    """While a process is spawned, keep the caller's peculiarities out of it.

    - Interruptions are blocked, and so in the child until it has said that it ignores them.
    - The caller's main module is hidden: spawn would run it again in every stage, which costs a
      second and needs a guard in every script that calls us.
    - OpenBLAS starts a thread a core in each process that imports numpy; no stage needs them.
    """
    # Started first, for it unblocks the signals once it runs.
    resource_tracker.ensure_running()
    main = sys.modules["__main__"]
    blank = types.ModuleType("__main__")
    before = os.environ.get("OPENBLAS_NUM_THREADS")
    masked = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        sys.modules["__main__"] = blank
        os.environ["OPENBLAS_NUM_THREADS"] = "1"
        yield
    finally:
        if before is None:
            del os.environ["OPENBLAS_NUM_THREADS"]
        else:
            os.environ["OPENBLAS_NUM_THREADS"] = before
        sys.modules["__main__"] = main
        signal.pthread_sigmask(signal.SIG_SETMASK, masked)
