"""The last stage: frames into a file and what was seen into another; slots back to capture."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from maskstream.stream.codecs.encoding import EncoderSettings
from maskstream.stream.delivery import HLS_SUFFIX
from maskstream.stream.memory.frame import Holder, Planes
from maskstream.stream.memory.slot import Slot
from maskstream.stream.options import SegmentOptions
from maskstream.stream.processes.substitute import substitute
from maskstream.stream.recording.results import frame_record
from maskstream.stream.recording.results_file import ResultsFile
from maskstream.stream.recording.salvage import continue_recording
from maskstream.stream.recording.writer import VideoWriter
from maskstream.stream.stages.stage import IDLE_S, Stage
from maskstream.stream.stages.views import ViewSender


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSettings:
    """How the video is written."""

    path: str
    """Of a recording, or of a live playlist."""
    segment: SegmentOptions | None
    """None records in one piece."""
    encoder: EncoderSettings
    audio_from: str | None
    """A file whose audio packets are copied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkSettings:
    """What sink is started with."""

    source_id: int
    videos: tuple[VideoSettings, ...]
    results_paths: tuple[str, ...]
    endpoints: tuple[str, ...]
    """Addresses of hubs that hand on results."""
    encoding: Literal["json", "msgpack"]
    """Of what the hubs get."""
    class_names: tuple[str, ...]
    opener: str | None = None
    """For tests: ``package.module:function`` instead of ``stream.recording.writer.VideoWriter``."""


class FrameWriter(Protocol):
    """Where frames end."""

    @property
    def warnings(self) -> Sequence[str]:
        """What the user should know, one line each."""
        ...

    def write(self, planes: Planes, pts: int, *, duration: int | None) -> None:
        """Write one frame; the planes are free again on return."""
        ...

    def close(self, *, complete: bool) -> object:
        """Finish what was begun; ``complete`` says whether the source came to its end."""
        ...

    def abort(self) -> object:
        """Give up after a failure; what can be kept is."""
        ...


def run(stage: Stage, settings: SinkSettings) -> None:
    """Write every frame until the feed ends, then finish the files.

    A feed that ends with an error still ends well here: what was delivered is finished and kept.
    """
    with ExitStack() as aborting:
        is_continued = stage.setup.start_count > 1
        writers = _open_writers(settings, aborting, is_continued=is_continued)
        stage.ready()
        for slot in stage.slots():
            # Whoever looks on is to see it at once; encoding takes its time.
            for viewer in stage.setup.shown:
                _show(stage, viewer, slot)
            for writer in writers:
                writer.write_slot(slot)
            _deliver(stage, slot)
        for viewer in stage.setup.shown:
            viewer.end()
        end = stage.ends[0]
        stage.page.begin(stage.page.given, time.monotonic_ns())
        for writer in writers:
            writer.close(complete=not end.cause)
            for text in writer.warnings:
                stage.note(text)
        aborting.pop_all()
    if not end.is_error:
        stage.note_captured(end.sequence)


def _show(stage: Stage, viewer: ViewSender, slot: Slot) -> None:
    """Show a frame; who is to get every one is waited for, and that is neither work nor a stall."""
    if viewer.is_lossless and not viewer.wait_ready(0):
        stage.page.rest(time.monotonic_ns())
        while not viewer.wait_ready(IDLE_S):
            stage.page.beat()
        stage.page.begin(slot.header.sequence, time.monotonic_ns())
    viewer.show(slot)


def _deliver(stage: Stage, slot: Slot) -> None:
    """Count ``slot`` as delivered and return it to capture."""
    header = slot.header
    stage.stamp(slot)
    # One store decides whether the frame is delivered: the count. A supervisor that looks after
    # this process was killed finds the frame on exactly one side of it.
    header.delivery_ordinal = stage.page.given + 1
    stage.page.count_given()
    stage.ports.mark(slot, 0, Holder.FREE)
    stage.ports.release(0, slot)


class _SlotWriter(Protocol):
    @property
    def warnings(self) -> Sequence[str]: ...

    def write_slot(self, slot: Slot) -> None: ...

    def close(self, *, complete: bool) -> None: ...

    def abort(self) -> None: ...


class _RecordWriter(Protocol):
    def write(self, record: dict[str, Any]) -> None: ...

    def close(self, *, complete: bool) -> None: ...

    def abort(self) -> None: ...


def _open_writers(
    settings: SinkSettings, aborting: ExitStack, *, is_continued: bool
) -> list[_SlotWriter]:
    """Returns what writes; ``aborting`` gives all of it up unless it is emptied in time."""
    writers: list[_SlotWriter] = []

    def add(writer: _SlotWriter) -> None:
        writers.append(writer)
        aborting.callback(writer.abort)

    for video in settings.videos:
        add(_Video(_open_video(video, settings.opener, is_continued=is_continued)))
    if settings.results_paths or settings.endpoints:
        add(_Results(_open_results(settings, is_continued=is_continued), settings))
    return writers


def _open_results(settings: SinkSettings, *, is_continued: bool) -> list[_RecordWriter]:
    with ExitStack() as aborting:
        outs: list[_RecordWriter] = []
        for path in settings.results_paths:
            outs.append(ResultsFile(Path(path), is_continued=is_continued))
            aborting.callback(outs[-1].abort)
        for address in settings.endpoints:
            # Imported when needed, as it takes a fifth of a second.
            from maskstream.stream.telemetry.results_publisher import ResultsPublisher

            outs.append(
                ResultsPublisher(address, encoding=settings.encoding, source_id=settings.source_id)
            )
            aborting.callback(outs[-1].abort)
        aborting.pop_all()
    return outs


def _open_video(video: VideoSettings, opener: str | None, *, is_continued: bool) -> FrameWriter:
    if opener is not None:
        replaced: FrameWriter = substitute(opener)(video)
        return replaced
    path = Path(video.path)
    # Imported when needed: a process that is started anew should deliver soon.
    if path.suffix.lower() == HLS_SUFFIX:
        from maskstream.stream.recording.hls import HlsWriter

        return HlsWriter(path, video.encoder, is_continued=is_continued)
    if video.segment is not None:
        from maskstream.stream.recording.segments import SegmentedWriter

        return SegmentedWriter(path, video.segment, video.encoder, audio_from=video.audio_from)
    # What a killed sink had written is kept, and the recording goes on in a file of its own.
    path = continue_recording(path) if is_continued else path
    return VideoWriter(
        path, video.encoder, audio_from=video.audio_from, starts_at_zero=is_continued
    )


class _Video:
    """Slots into a video file."""

    def __init__(self, writer: FrameWriter) -> None:
        self._writer = writer

    @property
    def warnings(self) -> Sequence[str]:
        return self._writer.warnings

    def write_slot(self, slot: Slot) -> None:
        self._writer.write(slot.planes, slot.header.pts, duration=slot.header.duration or None)

    def close(self, *, complete: bool) -> None:
        self._writer.close(complete=complete)

    def abort(self) -> None:
        self._writer.abort()


class _Results:
    """What was seen in each slot, worked out once for all who are to get it."""

    warnings: Sequence[str] = ()

    def __init__(self, outs: Sequence[_RecordWriter], settings: SinkSettings) -> None:
        self._outs = outs
        self._settings = settings

    def write_slot(self, slot: Slot) -> None:
        header = slot.header
        record = frame_record(
            slot.instances(),
            source=self._settings.source_id,
            seq=header.sequence,
            pts_s=header.pts_s,
            class_names=self._settings.class_names,
            width=slot.layout.width,
            height=slot.layout.height,
        )
        for out in self._outs:
            out.write(record)

    def close(self, *, complete: bool) -> None:
        for out in self._outs:
            out.close(complete=complete)

    def abort(self) -> None:
        for out in self._outs:
            out.abort()
