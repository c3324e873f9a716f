"""A source that is read by a thread of its own, so that nobody waits for it without end.

The thread reads on and on and keeps only the newest frame, or, where none may be left out, waits
until the one that it has is taken.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass

from maskstream.stream.memory.counters import StagePage
from maskstream.stream.memory.source_info import DecodedFrame, Source

_WAKE_S = 0.1


@dataclass(frozen=True, slots=True)
class Captured:
    """A decoded frame with the moment at which it left the decoder."""

    frame: DecodedFrame
    sequence: int
    captured_ns: int
    wall_ns: int
    decode_ns: int


def decode(reader: Source, max_frames: int | None, *, first: int = 0) -> Generator[Captured]:
    """Yields the source's frames with their numbers and the time that each took to decode.

    Args:
        reader: From its beginning; a live one from now on.
        max_frames: Frames to read at most, those before ``first`` included.
        first: Number of the first frame to yield: those before it were captured already.

    The frames of a file that cannot be decoded have numbers too; those of a live source, which is
    never read twice, have none.
    """
    begun_ns = time.monotonic_ns()
    is_live = reader.info.kind == "live"
    for count, frame in enumerate(reader.frames(), start=first if is_live else 0):
        now_ns = time.monotonic_ns()
        sequence = count if is_live else count + reader.decode_error_count
        if sequence < first:
            continue
        if max_frames is not None and sequence >= max_frames:
            return
        yield Captured(frame, sequence, now_ns, time.time_ns(), now_ns - begun_ns)
        if max_frames is not None and sequence + 1 >= max_frames:
            return
        begun_ns = time.monotonic_ns()


class Mailbox:
    """The newest frame of a source that is read by a thread of its own."""

    def __init__(
        self,
        page: StagePage,
        reader: Source,
        max_frames: int | None,
        *,
        first: int = 0,
        keeps_all: bool = False,
        stop_s: float | None = None,
    ) -> None:
        """Read ``reader`` once started; what is left out is counted on ``page``.

        Args:
            page: Of the capture stage.
            reader: Closed by its owner, after ``stop``.
            max_frames: Frames to read at most, those before ``first`` included.
            first: Number of the first frame, where some were captured already.
            keeps_all: Whether reading waits for each frame to be taken.
            stop_s: How long ``stop`` waits for the reading thread, which a connection may hold
                up; None waits for as long as it takes.
        """
        self._page = page
        self._keeps_all = keeps_all
        self._stop_s = stop_s
        self._frames = decode(reader, max_frames, first=first)
        self._stale_count = 0
        self._changed = threading.Condition()
        self._newest: Captured | None = None
        self._is_ended = False
        self._is_stopped = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._read, name="reader", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def take(self, is_over: Callable[[], bool]) -> Captured | None:
        """Returns the newest frame, waiting for one; None at the source's end.

        Args:
            is_over: Asked again and again while waiting; None is returned once it says so.

        Raises:
            Exception: What ended the reading thread.
        """
        with self._changed:
            while self._newest is None:
                if self._error is not None:
                    raise self._error
                if self._is_ended or is_over():
                    return None
                self._changed.wait(_WAKE_S)
            newest, self._newest = self._newest, None
            self._changed.notify()
            self._count_stale()
            return newest

    def stop(self) -> None:
        """Stop reading; a frame that was read and not taken is counted as dropped."""
        self._is_stopped = True
        self._thread.join(self._stop_s)
        self._count_stale()
        if self._newest is not None:
            self._page.count_taken()
            self._page.count_dropped("shutdown")

    def _read(self) -> None:
        try:
            for captured in self._frames:
                with self._changed:
                    while self._keeps_all and self._newest is not None and not self._is_stopped:
                        self._changed.wait(_WAKE_S)
                    if self._is_stopped:
                        break
                    self._stale_count += self._newest is not None
                    self._newest = captured
                    self._changed.notify()
        except Exception as exc:  # noqa: BLE001 - carried to the thread that takes
            self._error = exc
        finally:
            self._frames.close()  # here, as nobody else may close a connection that is being read
        with self._changed:
            self._is_ended = True
            self._changed.notify()

    def _count_stale(self) -> None:
        """Count what was passed over. Done by the taking thread: a page has one writer."""
        for _ in range(self._stale_count):
            self._page.count_taken()
            self._page.count_dropped("stale")
        self._stale_count = 0
