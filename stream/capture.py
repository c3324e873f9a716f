"""The first stage: frames of one source into free slots.

With policy ``block`` a decoded frame waits for a free slot, so nothing is lost and the source is
read no faster than the line works. With ``latest`` a second thread goes on reading and keeps only
its newest frame while no slot is free; the others are counted as ``stale``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from stream import source
from stream.channel import Readiness
from stream.errors import ChannelTimeout, PeerGone
from stream.frame import PIXEL_FORMAT_I420, Holder, Slot
from stream.options import Policy
from stream.page import StagePage
from stream.source_types import DecodedFrame, Source, SourceInfo
from stream.stages import IDLE_S, Stage
from stream.substitute import substitute

_WAKE_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureSettings:
    """What capture is started with."""

    uri: str
    source_id: int
    policy: Policy
    max_frames: int | None
    threads: int
    """Of the decoder."""
    opener: str | None = None
    """For tests: ``package.module:function`` instead of ``stream.source.open_source``."""


@dataclass(frozen=True, slots=True)
class _Captured:
    """A decoded frame with the moment at which it left the decoder."""

    frame: DecodedFrame
    sequence: int
    captured_ns: int
    wall_ns: int
    decode_ns: int


def run(stage: Stage, settings: CaptureSettings) -> None:
    """Read the source into slots until its end, ``max_frames`` or a request to drain."""
    reader = open_reader(settings.uri, threads=settings.threads, opener=settings.opener)
    try:
        stage.ready()
        slots = _FreeSlots(stage)
        if slots.wait_for_go():
            read = _read_latest if settings.policy == "latest" else _read_all
            read(stage, slots, reader, settings)
        _tell_troubles(stage, reader)
        # Sound beyond the last frame belongs to the output only if the source came to its end.
        cause = slots.why_early or ("" if reader.error is None else str(reader.error))
        if settings.max_frames is not None and stage.page.taken >= settings.max_frames:
            cause = "all frames that were asked for were captured"
        stage.end(0, captured=stage.page.taken, cause=cause)
    finally:
        reader.close()


def _tell_troubles(stage: Stage, reader: Source) -> None:
    """Note what came up while the source was read."""
    texts = [text for text in reader.warnings if text not in reader.info.warnings]
    for text in (*texts, *([] if reader.error is None else [str(reader.error)])):
        stage.note(text)


def open_reader(uri: str, *, threads: int, opener: str | None) -> Source:
    """Returns the opened source, or what a test puts in its place.

    Raises:
        SourceError: It cannot be opened.
    """
    if opener is not None:
        replaced: Source = substitute(opener)(uri, threads=threads)
        return replaced
    return source.open_source(uri, threads=threads)


def _read_all(stage: Stage, slots: _FreeSlots, reader: Source, settings: CaptureSettings) -> None:
    stage.page.begin(0, time.monotonic_ns())
    for captured in _decode(reader, settings.max_frames):
        stage.page.rest(time.monotonic_ns())
        slot = slots.take()
        if slot is None:
            return
        _fill(stage, slot, captured, reader.info, settings.source_id)
        if slots.is_drain_asked():
            return
        # From here on the stage works again: on decoding the next frame.
        stage.page.begin(captured.sequence + 1, time.monotonic_ns())


def _read_latest(
    stage: Stage, slots: _FreeSlots, reader: Source, settings: CaptureSettings
) -> None:
    mailbox = _Mailbox(stage.page, reader, settings.max_frames)
    mailbox.start()
    try:
        while not slots.is_drain_asked():
            slot = slots.take()
            captured = None if slot is None else mailbox.take(slots)
            if slot is None or captured is None:
                break
            _fill(stage, slot, captured, reader.info, settings.source_id)
    finally:
        mailbox.stop()


def _decode(reader: Source, max_frames: int | None) -> Iterator[_Captured]:
    """Yields the source's frames with their numbers and the time that each took to decode."""
    begun_ns = time.monotonic_ns()
    for sequence, frame in enumerate(reader.frames()):
        now_ns = time.monotonic_ns()
        yield _Captured(frame, sequence, now_ns, time.time_ns(), now_ns - begun_ns)
        if max_frames is not None and sequence + 1 >= max_frames:
            return
        begun_ns = time.monotonic_ns()


def _fill(stage: Stage, slot: Slot, captured: _Captured, info: SourceInfo, source_id: int) -> None:
    """Write frame and header into ``slot`` and give it on."""
    begun_ns = time.monotonic_ns()
    stage.page.begin(captured.sequence, begun_ns)
    captured.frame.write_into(slot.planes)
    _write_header(slot, captured, info, source_id)
    header = slot.header
    header.taken_ns[Holder.CAPTURE - 1] = begun_ns
    header.delivery_ordinal = 0
    header.put_ordinal = stage.page.given + 1
    slot.found.count = 0
    stage.page.count_taken()
    stage.give(slot, work_ns=captured.decode_ns + time.monotonic_ns() - begun_ns)


def _write_header(slot: Slot, captured: _Captured, info: SourceInfo, source_id: int) -> None:
    header, frame = slot.header, captured.frame
    header.sequence = captured.sequence
    header.pts = frame.pts
    header.duration = frame.duration or 0
    header.captured_ns = captured.captured_ns
    header.wall_ns = captured.wall_ns
    header.source_id = source_id
    header.epoch = frame.epoch
    header.width = slot.layout.width
    header.height = slot.layout.height
    header.decoded_width = frame.width
    header.decoded_height = frame.height
    header.pixel_format = PIXEL_FORMAT_I420
    header.color_range = info.color_range
    header.color_matrix = info.color_matrix
    header.rotation = info.rotation
    header.time_base_num = frame.time_base.numerator
    header.time_base_den = frame.time_base.denominator
    header.flags = 0


class _FreeSlots:
    """The credits: slots that nobody holds, first the pool's own, then those that come back."""

    def __init__(self, stage: Stage) -> None:
        credit = stage.setup.credit_in
        if credit is None:
            raise ValueError(f"{stage.setup.label}: no channel for free slots.")
        self._stage = stage
        self._credit = credit
        self._pool = stage.setup.pools[0]
        self._free = list(range(self._pool.slot_count))
        self._ready = Readiness([credit.fileno(), stage.control.fileno()])
        self.why_early = ""
        """Why the source was left before its end."""

    def wait_for_go(self) -> bool:
        """Returns True once the supervisor says go, False if the run ends before it began."""
        waiting = Readiness([self._stage.control.fileno()])
        while True:
            waiting.wait(IDLE_S)
            message = self._stage.control.receive()
            if message is not None and message.word == "go":
                return True
            if message is not None and message.word == "drain":
                self.why_early = "the run ended before it began"
                return False

    def is_drain_asked(self) -> bool:
        """Whether the supervisor wants the source to end here."""
        message = self._stage.control.receive()
        if message is not None and message.word == "drain":
            self.why_early = "the run was told to end"
        return bool(self.why_early)

    def take(self) -> Slot | None:
        """Returns a free slot, waiting for one; None if a drain is asked for meanwhile.

        Raises:
            PeerGone: The stage that returns slots is gone.
        """
        begun_ns = time.monotonic_ns()
        while not self._collect():
            if self.is_drain_asked():
                return None
            self._ready.wait(IDLE_S)
            self._stage.page.sample_usage(time.monotonic_ns())
        self._stage.page.wait.record(time.monotonic_ns() - begun_ns)
        # The slot that came back last is the one whose memory is most likely still in a cache.
        return self._pool.slot(self._free.pop())

    def _collect(self) -> bool:
        """Take back what has come; returns whether a slot is free."""
        while True:
            try:
                self._free.append(self._credit.receive(0).slot)
            except ChannelTimeout:
                return bool(self._free)
            except PeerGone:
                # Slots at hand lead nowhere: who returns them is gone, and with it the line's end.
                raise PeerGone("the stage that returns free slots is gone.") from None


class _Mailbox:
    """The newest frame of a source that is read by a thread of its own."""

    def __init__(self, page: StagePage, reader: Source, max_frames: int | None) -> None:
        self._page = page
        self._frames = _decode(reader, max_frames)
        self._stale_count = 0
        self._changed = threading.Condition()
        self._newest: _Captured | None = None
        self._is_ended = False
        self._is_stopped = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._read, name="reader", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def take(self, slots: _FreeSlots) -> _Captured | None:
        """Returns the newest frame, waiting for one; None at the end or if a drain is asked for.

        Raises:
            Exception: What ended the reading thread.
        """
        with self._changed:
            while self._newest is None:
                if self._error is not None:
                    raise self._error
                if self._is_ended or slots.is_drain_asked():
                    return None
                self._changed.wait(_WAKE_S)
            newest, self._newest = self._newest, None
            self._count_stale()
            return newest

    def stop(self) -> None:
        """Stop reading; a frame that was read and not taken is counted as dropped."""
        self._is_stopped = True
        self._thread.join()
        self._count_stale()
        if self._newest is not None:
            self._page.count_taken()
            self._page.count_dropped("shutdown")

    def _read(self) -> None:
        try:
            for captured in self._frames:
                with self._changed:
                    self._stale_count += self._newest is not None
                    self._newest = captured
                    self._changed.notify()
                if self._is_stopped:
                    break
        except Exception as exc:  # noqa: BLE001 - carried to the thread that takes
            self._error = exc
        with self._changed:
            self._is_ended = True
            self._changed.notify()

    def _count_stale(self) -> None:
        """Count what was passed over. Done by the taking thread: a page has one writer."""
        for _ in range(self._stale_count):
            self._page.count_taken()
            self._page.count_dropped("stale")
        self._stale_count = 0
