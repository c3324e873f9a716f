"""What a stage says of itself: one shared page that it alone writes and the supervisor reads.

Counting into shared memory costs no message and no queue, and what was counted survives the stage's
death. Every field is one aligned machine word with one writer, so a reader sees the value before or
after a store and nothing between; two fields together may be one store apart.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import time
from multiprocessing import reduction
from typing import Any, ClassVar, Literal, get_args

from maskstream.engines.limits import MAX_BATCH
from maskstream.stream.memory.histogram import BUCKET_COUNT, Histogram

DropCause = Literal[
    "stale", "queue_full", "decode_error", "source_reset", "worker_restart", "shutdown"
]
"""Why a captured frame was not delivered. The list is closed."""
DROP_CAUSES: tuple[DropCause, ...] = get_args(DropCause)

_NOTE_BYTES = 2048
_USAGE_PERIOD_NS = 250_000_000

_Buckets = ctypes.c_uint64 * BUCKET_COUNT


class _Page(ctypes.Structure):
    _fields_: ClassVar[Any] = [
        ("taken", ctypes.c_uint64),
        ("given", ctypes.c_uint64),
        ("dropped", ctypes.c_uint64 * len(DROP_CAUSES)),
        ("beats", ctypes.c_uint64),
        ("turns", ctypes.c_uint64),
        ("busy_since_ns", ctypes.c_uint64),
        ("busy_item", ctypes.c_uint64),
        ("ready_ns", ctypes.c_uint64),
        ("worked_ns", ctypes.c_uint64),
        ("cpu_ns", ctypes.c_uint64),
        ("start_cpu_ns", ctypes.c_uint64),
        ("rss_bytes", ctypes.c_uint64),
        ("rss_peak_bytes", ctypes.c_uint64),
        ("batch_counts", ctypes.c_uint64 * (MAX_BATCH + 1)),
        ("wait", _Buckets),
        ("work", _Buckets),
        ("total", _Buckets),
        ("lost_since_ns", ctypes.c_uint64),
        ("last_frame_ns", ctypes.c_uint64),
        ("last_pts", ctypes.c_int64),
        ("last_epoch", ctypes.c_uint64),
        ("next_track_id", ctypes.c_uint64),
        ("note_length", ctypes.c_uint64),
        ("note", ctypes.c_char * _NOTE_BYTES),
    ]


PAGE_BYTES = -(-ctypes.sizeof(_Page) // mmap.PAGESIZE) * mmap.PAGESIZE


class StagePage:
    """The page of one stage. Picklable only while a process is being spawned."""

    def __init__(self, fd: int) -> None:
        """Map the page behind ``fd``, which this object owns from here on. See ``create``."""
        self._fd = fd
        self._data = _Page.from_buffer(mmap.mmap(fd, PAGE_BYTES))
        self.wait = Histogram(self._data.wait)
        self.work = Histogram(self._data.work)
        self.total = Histogram(self._data.total)
        self._usage_ns = 0
        # A stage that was started anew goes on counting where the one before it ended.
        self._former_cpu_ns = int(self._data.cpu_ns)

    @classmethod
    def create(cls) -> StagePage:
        """Returns a new page with every count at zero."""
        fd = os.memfd_create("maskstream-page", os.MFD_CLOEXEC)
        os.posix_fallocate(fd, 0, PAGE_BYTES)
        return cls(fd)

    # What the stage writes.

    def mark_ready(self) -> None:
        """Say that the stage waits for its first frame; its start's processor time is noted."""
        self.sample_usage(time.monotonic_ns(), is_due=True)
        self._data.start_cpu_ns = self._data.cpu_ns
        self._data.ready_ns = time.monotonic_ns()

    def begin(self, item: int, now_ns: int) -> None:
        """Say that work on ``item`` began at ``now_ns``."""
        self._data.busy_item = item
        self._data.busy_since_ns = now_ns

    def rest(self, now_ns: int) -> None:
        """Say that work on the item is done, or interrupted to wait for something."""
        begun_ns = self._data.busy_since_ns
        if begun_ns:
            self._data.worked_ns += now_ns - begun_ns
            self._data.busy_since_ns = 0
        self.sample_usage(now_ns)

    def count_taken(self, count: int = 1) -> None:
        """Count frames that the stage took."""
        self._data.taken += count

    def count_given(self) -> None:
        """Count a frame that the stage gave on."""
        self._data.given += 1

    def count_dropped(self, cause: DropCause) -> None:
        """Count a frame that goes no further."""
        self._data.dropped[DROP_CAUSES.index(cause)] += 1

    @property
    def next_track_id(self) -> int:
        """The number of the next track; 0 before the first process of the stage has set it."""
        return int(self._data.next_track_id)

    def note_track_id(self, number: int) -> None:
        """Say which number the next track will get, for the process that may come after."""
        self._data.next_track_id = number

    def beat(self) -> None:
        """Say that the stage waits for something that may stay away for as long as it likes."""
        self._data.beats += 1

    def turn(self) -> None:
        """Say that the stage looked whether there is work."""
        self._data.turns += 1

    def count_batch(self, size: int) -> None:
        """Count a batch of ``size`` frames."""
        self._data.batch_counts[min(size, MAX_BATCH)] += 1

    def mark_lost(self, since_ns: int | None) -> None:
        """Say since when (monotonic) a live source is away; None says that it is there."""
        self._data.lost_since_ns = since_ns or 0

    def mark_frame(self, now_ns: int, *, pts: int, epoch: int) -> None:
        """Say which frame capture has given on last."""
        self._data.last_pts, self._data.last_epoch = pts, epoch
        self._data.last_frame_ns = now_ns

    def note(self, text: str) -> None:
        """Leave a line that is worth knowing even if the stage does not live to send it."""
        lines = [*self.notes(), text]
        encoded = "\n".join(lines).encode()[:_NOTE_BYTES]
        self._data.note_length = 0
        self._data.note = encoded
        self._data.note_length = len(encoded)

    def sample_usage(self, now_ns: int, *, is_due: bool = False) -> None:
        """Write processor time and memory of the calling process, four times a second."""
        if not is_due and now_ns - self._usage_ns < _USAGE_PERIOD_NS:
            return
        self._usage_ns = now_ns
        self._data.cpu_ns = self._former_cpu_ns + time.process_time_ns()
        self._data.rss_bytes = resident = _resident_bytes()
        self._data.rss_peak_bytes = max(self._data.rss_peak_bytes, resident)

    # What the supervisor writes while the stage has no process.

    def take_over(self) -> None:
        """Make up for a writer that was killed at work."""
        self._data.busy_since_ns = 0
        self._data.lost_since_ns = 0

    # What the supervisor reads.

    @property
    def taken(self) -> int:
        """Frames that the stage took; for capture, frames that it decoded."""
        return int(self._data.taken)

    @property
    def given(self) -> int:
        """Frames that the stage gave on; for the sink, frames delivered."""
        return int(self._data.given)

    @property
    def captured(self) -> int:
        """Frames whose fate capture has settled: in a slot, or left out.

        Each is one store, so the sum holds at any moment at which capture may be killed.
        """
        return self.given + sum(self.dropped().values())

    @property
    def beats(self) -> int:
        """How often the stage said that it waits for something outside the line."""
        return int(self._data.beats)

    @property
    def turns(self) -> int:
        """How often the stage looked whether there is work."""
        return int(self._data.turns)

    @property
    def worked_ns(self) -> int:
        """Time spent at work, the item in hand left out."""
        return int(self._data.worked_ns)

    @property
    def is_ready(self) -> bool:
        """Whether the stage has ever been ready."""
        return bool(self._data.ready_ns)

    @property
    def cpu_s(self) -> float:
        """Processor time of the process, all threads, when last sampled."""
        return float(self._data.cpu_ns / 1e9)

    @property
    def start_cpu_s(self) -> float:
        """The part of ``cpu_s`` used before the stage was ready."""
        return float(self._data.start_cpu_ns / 1e9)

    @property
    def rss_bytes(self) -> int:
        """Resident memory when last sampled."""
        return int(self._data.rss_bytes)

    @property
    def rss_peak_bytes(self) -> int:
        """The largest resident memory that was sampled."""
        return int(self._data.rss_peak_bytes)

    @property
    def lost_since_ns(self) -> int | None:
        """Since when a live source is away; None while it is there."""
        return int(self._data.lost_since_ns) or None

    @property
    def last_frame(self) -> tuple[int, int, int] | None:
        """When the last frame was captured (monotonic ns), its pts and epoch; None before one."""
        at_ns = int(self._data.last_frame_ns)
        return (at_ns, int(self._data.last_pts), int(self._data.last_epoch)) if at_ns else None

    def busy_on(self) -> tuple[int, int] | None:
        """Returns the item in work and since when (monotonic ns), None while the stage waits."""
        since_ns = int(self._data.busy_since_ns)
        return (int(self._data.busy_item), since_ns) if since_ns else None

    def dropped(self) -> dict[DropCause, int]:
        """Returns frames by cause; only causes that occurred."""
        counts = zip(DROP_CAUSES, self._data.dropped, strict=True)
        return {cause: int(count) for cause, count in counts if count}

    def batch_sizes(self) -> dict[int, int]:
        """Returns number of batches by size; only sizes that occurred."""
        return {size: int(n) for size, n in enumerate(self._data.batch_counts) if n}

    def notes(self) -> list[str]:
        """Returns the lines that were left."""
        length = int(self._data.note_length)
        text = bytes(self._data.note)[:length].decode(errors="ignore")
        return text.split("\n") if text else []

    def close(self) -> None:
        """Give the page back; nothing can be counted or read any more."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            del self._data, self.wait, self.work, self.total

    def __getstate__(self) -> Any:
        return reduction.DupFd(self._fd)

    def __setstate__(self, state: Any) -> None:
        StagePage.__init__(self, state.detach())


def _resident_bytes() -> int:
    with open("/proc/self/statm", "rb", buffering=0) as file:  # noqa: PTH123 - half the cost
        return int(file.read(128).split()[1]) * mmap.PAGESIZE
