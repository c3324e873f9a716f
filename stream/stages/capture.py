"""The first stage: frames of one source into free slots.

With policy ``block`` a decoded frame waits for a free slot, so nothing is lost and the source is
read no faster than the line works. With ``latest`` a second thread goes on reading and keeps only
its newest frame while no slot is free; the others are counted as ``stale``. A live source is read
by a second thread either way: it may stay away, and the stage has to hear that the run ends.

A live source's frame is given on once infer has done the one before. What lay ready before a slow
engine would be an inference older when its turn came, for each frame ahead of it.

A capture that was started in place of one that died goes on after the frames that its page counts:
a file is decoded up to there again, and a live source keeps its time and its numbers.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from maskstream.stream.arguments import Policy
from maskstream.stream.codecs.hardware import CPU_DECODER
from maskstream.stream.memory.frame import PIXEL_FORMAT_I420, Holder
from maskstream.stream.memory.slot import Slot
from maskstream.stream.memory.source_info import Source, SourceInfo
from maskstream.stream.options import LiveOptions
from maskstream.stream.processes.substitute import substitute
from maskstream.stream.sources import open as source
from maskstream.stream.sources.live import LiveSource
from maskstream.stream.stages.credits import FreeSlots
from maskstream.stream.stages.mailbox import Captured, Mailbox, decode
from maskstream.stream.stages.stage import Stage

_STOP_S = 1.5
"""A live source whose connection is stuck for longer is left to end with the process."""
_LOOK_S = 0.002
"""Whether infer has done a frame is seen in its slot's header, this often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureSettings:
    """What capture is started with."""

    uri: str
    source_id: int
    policy: Policy
    max_frames: int | None
    threads: int
    """Of the decoder."""
    decoder: str | None = None
    """Device that decodes a file, or "cpu"; None for the processor too."""
    ahead_max: int | None = None
    """Frames that may be with infer at once; None for as many as there are slots."""
    info: SourceInfo | None = None
    """What a live source was found to be; None for what is to be opened to find out."""
    live: LiveOptions = field(default_factory=LiveOptions)
    damage_share: float = 0.0
    """Share of the frames that are lost on purpose, as if they could not be decoded."""
    opener: str | None = None
    """For tests: ``package.module:function`` instead of ``stream.sources.open.open_source``."""


def run(stage: Stage, settings: CaptureSettings) -> None:
    """Read the source into slots until its end, ``max_frames`` or a request to drain."""
    reader = _open(settings, stage)
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
        stage.end(0, captured=stage.page.captured, cause=cause)
    finally:
        reader.close()


def _open(settings: CaptureSettings, stage: Stage) -> Source:
    """Returns the source; a live one may be away by now, and connects when its frames are read."""
    if settings.info is None:
        device = None if settings.decoder == CPU_DECODER else settings.decoder
        return open_reader(
            settings.uri, threads=settings.threads, opener=settings.opener, decoder=device
        )
    return LiveSource(
        settings.uri,
        settings.info,
        options=settings.live,
        threads=settings.threads,
        after=stage.page.last_frame,
    )


def _tell_troubles(stage: Stage, reader: Source) -> None:
    """Note what came up while the source was read."""
    texts = [text for text in reader.warnings if text not in reader.info.warnings]
    for text in (*texts, *([] if reader.error is None else [str(reader.error)])):
        stage.note(text)


def open_reader(
    uri: str, *, threads: int, opener: str | None, decoder: str | None = None
) -> Source:
    """Returns the opened source, or what a test puts in its place.

    Raises:
        SourceError: It cannot be opened.
    """
    if opener is not None:
        replaced: Source = substitute(opener)(uri, threads=threads)
        return replaced
    return source.open_source(uri, threads=threads, decoder=decoder)


def _read_all(stage: Stage, slots: FreeSlots, reader: Source, settings: CaptureSettings) -> None:
    damage = _Damage(stage, settings.damage_share)
    stage.page.begin(0, time.monotonic_ns())
    frame_count = 0
    for captured in decode(reader, settings.max_frames, first=stage.page.taken):
        stage.page.rest(time.monotonic_ns())
        _count_undecodable(stage, captured.sequence)
        frame_count = captured.sequence + 1 - reader.decode_error_count
        if damage.hits(captured):
            continue
        slot = slots.take()
        if slot is None:
            return
        _fill(stage, slot, captured, reader.info, settings.source_id)
        if slots.is_drain_asked():
            return
        # From here on the stage works again: on decoding the next frame.
        stage.page.begin(captured.sequence + 1, time.monotonic_ns())
    if settings.max_frames is None or stage.page.taken < settings.max_frames:
        _count_undecodable(stage, frame_count + reader.decode_error_count)


def _count_undecodable(stage: Stage, sequence: int) -> None:
    """Count the frames before number ``sequence`` that the file has and that are not decodable."""
    while stage.page.taken < sequence:
        stage.page.count_taken()
        stage.page.count_dropped("decode_error")


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
        first=stage.page.taken,
        keeps_all=settings.policy == "block",
        stop_s=None if watch is None else _STOP_S,
    )
    damage = _Damage(stage, settings.damage_share)
    slot = None
    mailbox.start()
    try:
        while not is_over():
            slot = slot or slots.take()
            _wait_for_infer(stage, settings.ahead_max, is_over)
            captured = None if slot is None else mailbox.take(is_over)
            if slot is None or captured is None:
                break
            if watch is None:
                _count_undecodable(stage, captured.sequence)
            if damage.hits(captured):
                continue
            _fill(stage, slot, captured, reader.info, settings.source_id)
            slot = None
    finally:
        if watch is not None:
            watch.stop()
        mailbox.stop()
    if watch is not None:
        watch.look()


def _wait_for_infer(stage: Stage, ahead_max: int | None, is_over: Callable[[], bool]) -> None:
    """Wait until fewer frames than ``ahead_max`` are with infer, or on their way to it."""
    if ahead_max is None:
        return
    pool = stage.setup.pools[0]
    while stage.ports.has_unsent or (
        sum(slot.header.holder == Holder.INFER for slot in pool.held()) >= ahead_max
    ):
        if is_over():
            return
        time.sleep(_LOOK_S)


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
        self._stage.page.mark_lost(self._reader.lost_since_ns)
        self._stage.page.beat()

    def stop(self) -> None:
        """Let the reading end."""
        self._reader.stop()


class _Damage:
    """Loses frames on purpose. The draw is the frame's number's, so that it can be repeated."""

    def __init__(self, stage: Stage, share: float) -> None:
        self._stage = stage
        self._share = share

    def hits(self, captured: Captured) -> bool:
        """Whether ``captured`` is lost; counts it if so."""
        if not self._share or random.Random(captured.sequence).random() >= self._share:
            return False
        self._stage.page.count_taken()
        self._stage.page.count_dropped("decode_error")
        return True


def _fill(stage: Stage, slot: Slot, captured: Captured, info: SourceInfo, source_id: int) -> None:
    """Write frame and header into ``slot`` and give it on."""
    begun_ns = time.monotonic_ns()
    stage.page.begin(captured.sequence, begun_ns)
    captured.frame.write_into(slot.planes)
    _write_header(slot, captured, info, source_id)
    header = slot.header
    header.taken_ns[Holder.CAPTURE.place] = begun_ns
    header.delivery_ordinal = 0
    header.put_ordinal = stage.page.given + 1
    slot.found.count = 0
    stage.page.count_taken()
    frame = captured.frame
    stage.page.mark_frame(captured.captured_ns, pts=frame.pts, epoch=frame.epoch)
    stage.give(slot, work_ns=captured.decode_ns + time.monotonic_ns() - begun_ns)
    stage.page.rest(time.monotonic_ns())


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
