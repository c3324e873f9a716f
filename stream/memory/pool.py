"""The buffer pool of one source: one nameless piece of shared memory, split into equal slots.

The memory is a memfd: it has no name, so nothing can be left behind or attached to by mistake, and
it is gone with the last process that holds it, however that process ends. It is allocated in full
and sealed against resizing before any stage starts, so running out of memory is an error with
numbers at the start and never a SIGBUS in mid-stream.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from multiprocessing import reduction
from typing import Any

from maskstream.errors import ConfigError
from maskstream.stream.memory.frame import Holder
from maskstream.stream.memory.slot import Slot, SlotLayout
from maskstream.stream.processes.machine import available_memory_bytes

STAGE_RESERVE_BYTES = 256 << 20
"""Left to the stages themselves when a pool's size is checked against what is available."""


def check_memory(wanted_bytes: int, subject: str, available_bytes: int | None = None) -> None:
    """Checks that ``wanted_bytes`` of shared memory can be given.

    Args:
        wanted_bytes: Of all pools of a run together.
        subject: What the memory is for, as the message begins.
        available_bytes: Asked from the machine where None.

    Raises:
        ConfigError: The machine or the control group has less, with a reserve for the stages.
    """
    available = available_memory_bytes() if available_bytes is None else available_bytes
    if wanted_bytes > available - STAGE_RESERVE_BYTES:
        raise ConfigError(
            f"{subject}: {_mib(wanted_bytes)} MiB wanted, {_mib(available)} MiB available of which "
            f"{_mib(STAGE_RESERVE_BYTES)} MiB are kept for the stages; "
            "ask for fewer --slots, a smaller --batch or smaller frames."
        )


class BufferPool:
    """Slots in shared memory. Picklable only while a process is being spawned."""

    def __init__(self, layout: SlotLayout, slot_count: int, fd: int) -> None:
        """Map the pool behind ``fd``, which this object owns from here on. See ``create``."""
        self.layout = layout
        self.slot_count = slot_count
        self._fd = fd
        # MAP_POPULATE: a first touch of a 1080p slot costs 5 to 12 ms if it is left to page faults.
        self._map: mmap.mmap | None = mmap.mmap(
            fd, self.byte_count, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE
        )
        self._slots: dict[int, Slot] = {}

    @classmethod
    def create(cls, layout: SlotLayout, slot_count: int) -> BufferPool:
        """Returns a new pool with all its memory allocated and every slot free.

        Raises:
            ConfigError: There is not enough memory.
        """
        byte_count = layout.slot_bytes * slot_count
        check_memory(byte_count, _sizes(layout, slot_count))
        fd = os.memfd_create("maskstream-pool", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.posix_fallocate(fd, 0, byte_count)
            fcntl.fcntl(
                fd,
                fcntl.F_ADD_SEALS,
                fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL,
            )
        except OSError as exc:
            os.close(fd)
            raise ConfigError(
                f"{_sizes(layout, slot_count)}: {_mib(byte_count)} MiB wanted, the system said "
                f"{exc.strerror!r}; ask for fewer --slots or smaller frames."
            ) from exc
        return cls(layout, slot_count, fd)

    @property
    def byte_count(self) -> int:
        """Size of the shared memory."""
        return self.layout.slot_bytes * self.slot_count

    def slot(self, index: int) -> Slot:
        """Returns the views of slot ``index``; the same object every time."""
        found = self._slots.get(index)
        if found is None:
            if self._map is None or not 0 <= index < self.slot_count:
                raise ValueError(
                    f"slot {index}: the pool has {self.slot_count} slots"
                    f"{' and is closed' if self._map is None else ''}."
                )
            found = self._slots[index] = Slot(self._map, self.layout, index)
        return found

    def held(self) -> list[Slot]:
        """Returns the slots that somebody holds, as their headers say."""
        slots = (self.slot(index) for index in range(self.slot_count))
        return [slot for slot in slots if slot.header.holder != Holder.FREE]

    def describe(self) -> str:
        """Returns the pool's size in words, for the user."""
        slot_mib = self.layout.slot_bytes / (1 << 20)
        return (
            f"{_sizes(self.layout, self.slot_count)}: {self.slot_count} x {slot_mib:.2f} MiB = "
            f"{self.byte_count / (1 << 20):.1f} MiB of shared memory"
        )

    def close(self) -> None:
        """Give the memory back; it is unmapped when the last view into it is gone."""
        if self._map is None:
            return
        self._slots.clear()
        self._map = None
        os.close(self._fd)

    def __getstate__(self) -> dict[str, Any]:
        return {
            "layout": self.layout,
            "slot_count": self.slot_count,
            "fd": reduction.DupFd(self._fd),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        BufferPool.__init__(self, state["layout"], state["slot_count"], state["fd"].detach())


def _sizes(layout: SlotLayout, slot_count: int) -> str:
    return f"pool of {slot_count} slots for {layout.width}x{layout.height} frames"


def _mib(byte_count: int) -> int:
    return byte_count >> 20
