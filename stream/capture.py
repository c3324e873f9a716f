"""The first stage: frames of one source into free slots.

With policy ``block`` a decoded frame waits for a free slot, so nothing is lost and the source is
read no faster than the line works. With ``latest`` a second thread goes on reading and keeps only
its newest frame while no slot is free; the others are counted as ``stale``. A live source is read
by a second thread either way: it may stay away, and the stage has to hear that the run ends.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from stream import source
from stream.credits import FreeSlots
from stream.frame import PIXEL_FORMAT_I420, Holder
from stream.live import LiveSource
from stream.live_open import LiveOptions
from stream.mailbox import Captured, Mailbox, decode
from stream.options import Policy
from stream.slot import Slot
from stream.source_types import Source, SourceInfo
from stream.stages import Stage
from stream.substitute import substitute

_STOP_S = 1.5
"""A live source whose connection is stuck for longer is left to end with the process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureSettings:
    """What capture is started with."""

    uri: str
    source_id: int
    policy: Policy
    max_frames: int | None
    threads: int
    """Of the decoder."""
    info: SourceInfo | None = None
    """What a live source was found to be; None for what is to be opened to find out."""
    live: LiveOptions = field(default_factory=LiveOptions)
    opener: str | None = None
    """For tests: ``package.module:function`` instead of ``stream.source.open_source``."""


def run(stage: Stage, settings: CaptureSettings) -> None:
    """Read the source into slots until its end, ``max_frames`` or a request to drain."""
    reader = _open(settings)
    try:
        stage.ready()
        slots = FreeSlots(stage)
        if slots.wait_for_go():
            is_apart = settings.policy == "latest" or isinstance(reader, LiveSource)
            read = _read_apart if is_apart else _read_all
            read(stage, slots, reader, settings)
        _tell_troubles(stage, reader)
        # Sound beyond the last frame belongs to the output only if the source came to its end.
        cause = slots.why_early or ("" if reader.error is None else str(reader.error))
        if settings.max_frames is not None and stage.page.taken >= settings.max_frames:
            cause = "all frames that were asked for were captured"
        stage.end(0, captured=stage.page.taken, cause=cause)
    finally:
        reader.close()


def _open(settings: CaptureSettings) -> Source:
    """Returns the source; a live one may be away by now, and connects when its frames are read."""
    if settings.info is None:
        return open_reader(settings.uri, threads=settings.threads, opener=settings.opener)
    return LiveSource(settings.uri, settings.info, options=settings.live, threads=settings.threads)


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


def _read_all(stage: Stage, slots: FreeSlots, reader: Source, settings: CaptureSettings) -> None:
    stage.page.begin(0, time.monotonic_ns())
    for captured in decode(reader, settings.max_frames):
        stage.page.rest(time.monotonic_ns())
        slot = slots.take()
        if slot is None:
            return
        _fill(stage, slot, captured, reader.info, settings.source_id)
        if slots.is_drain_asked():
            return
        # From here on the stage works again: on decoding the next frame.
        stage.page.begin(captured.sequence + 1, time.monotonic_ns())


def _read_apart(stage: Stage, slots: FreeSlots, reader: Source, settings: CaptureSettings) -> None:
    watch = _LiveWatch(stage, reader) if isinstance(reader, LiveSource) else None

    def is_over() -> bool:
        if watch is not None:
            watch.look()
        return slots.is_drain_asked()

    mailbox = Mailbox(
        stage.page,
        reader,
        settings.max_frames,
        keeps_all=settings.policy == "block",
        stop_s=None if watch is None else _STOP_S,
    )
    mailbox.start()
    try:
        while not is_over():
            slot = slots.take()
            captured = None if slot is None else mailbox.take(is_over)
            if slot is None or captured is None:
                break
            _fill(stage, slot, captured, reader.info, settings.source_id)
    finally:
        if watch is not None:
            watch.stop()
        mailbox.stop()
    if watch is not None:
        watch.look()


class _LiveWatch:
    """Tells what happens to a live source. Not for its reading thread: a page has one writer."""

    def __init__(self, stage: Stage, reader: LiveSource) -> None:
        self._stage = stage
        self._reader = reader
        self._error_count = 0

    def look(self) -> None:
        """Tell what is new, and that the stage lives though nothing comes."""
        for text in self._reader.events():
            self._stage.tell(text)
        for _ in range(self._reader.decode_error_count - self._error_count):
            self._error_count += 1
            self._stage.page.count_taken()
            self._stage.page.count_dropped("decode_error")
        self._stage.page.beat()

    def stop(self) -> None:
        """Let the reading end."""
        self._reader.stop()


def _fill(stage: Stage, slot: Slot, captured: Captured, info: SourceInfo, source_id: int) -> None:
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


def _write_header(slot: Slot, captured: Captured, info: SourceInfo, source_id: int) -> None:
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
