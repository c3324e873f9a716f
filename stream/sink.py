"""The last stage: frames into a file and what was seen into another; slots back to capture."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from stream.channel import Kind, Message
from stream.errors import OutputError, PeerGone
from stream.frame import Holder, Planes
from stream.output import partial_path
from stream.results import frame_line
from stream.slot import Slot
from stream.stages import SEND_S, Stage
from stream.substitute import substitute
from stream.writer import VideoWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSettings:
    """How the video is written."""

    path: str
    width: int
    """Of the frames, in pixels."""
    height: int
    """Of the frames, in pixels."""
    time_base: Fraction
    frame_rate: float | None
    color_range: int
    color_matrix: int
    audio_from: str | None
    """A file whose audio packets are copied."""
    preset: str
    crf: int
    threads: int
    """Of the encoder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkSettings:
    """What sink is started with."""

    source_id: int
    video: VideoSettings | None
    """None writes no video."""
    results_path: str | None
    class_names: tuple[str, ...]
    opener: str | None = None
    """For tests: ``package.module:function`` instead of ``stream.writer.VideoWriter``."""


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
        writers = _open_writers(settings, aborting)
        stage.ready()
        for slot in stage.slots():
            for writer in writers:
                writer.write_slot(slot)
            _deliver(stage, slot)
        end = stage.ends[0]
        stage.page.begin(stage.page.given, time.monotonic_ns())
        for writer in writers:
            writer.close(complete=not end.cause)
            for text in writer.warnings:
                stage.note(text)
        aborting.pop_all()
    if not end.is_error:
        stage.add_facts(captured=end.sequence)


def _deliver(stage: Stage, slot: Slot) -> None:
    """Count ``slot`` as delivered and return it to capture."""
    header = slot.header
    now_ns = stage.stamp(slot)
    # One store decides whether the frame is delivered: the count. A supervisor that looks after
    # this process was killed finds the frame on exactly one side of it.
    header.delivery_ordinal = stage.page.given + 1
    stage.page.count_given()
    header.holder = Holder.FREE
    stage.page.rest(now_ns)
    credit = stage.setup.credit_out
    if credit is not None:
        # Capture may have ended long ago; the slot is then needed no more.
        with suppress(PeerGone):
            credit.send(Message(Kind.FRAME, slot.index), SEND_S)


class _SlotWriter(Protocol):
    @property
    def warnings(self) -> Sequence[str]: ...

    def write_slot(self, slot: Slot) -> None: ...

    def close(self, *, complete: bool) -> None: ...

    def abort(self) -> None: ...


def _open_writers(settings: SinkSettings, aborting: ExitStack) -> list[_SlotWriter]:
    """Returns what writes; ``aborting`` gives all of it up unless it is emptied in time."""
    writers: list[_SlotWriter] = []
    if settings.video is not None:
        writers.append(_Video(_open_video(settings.video, settings.opener)))
        aborting.callback(writers[-1].abort)
    if settings.results_path is not None:
        writers.append(_Results(Path(settings.results_path), settings))
        aborting.callback(writers[-1].abort)
    return writers


def _open_video(video: VideoSettings, opener: str | None) -> FrameWriter:
    if opener is not None:
        replaced: FrameWriter = substitute(opener)(video)
        return replaced
    return VideoWriter(
        video.path,
        width=video.width,
        height=video.height,
        time_base=video.time_base,
        frame_rate=video.frame_rate,
        color_range=video.color_range,
        color_matrix=video.color_matrix,
        audio_from=video.audio_from,
        preset=video.preset,
        crf=video.crf,
        threads=video.threads,
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
    """What was seen in each slot, one line each, under a partial name until the end."""

    warnings: Sequence[str] = ()

    def __init__(self, path: Path, settings: SinkSettings) -> None:
        self._path = path
        self._partial = partial_path(path)
        self._settings = settings
        try:
            # Line by line, so that others can read along.
            self._file = self._partial.open("w", encoding="utf-8", buffering=1)
        except OSError as exc:
            raise self._unwritable(exc) from exc

    def write_slot(self, slot: Slot) -> None:
        header = slot.header
        line = frame_line(
            slot.instances(),
            source=self._settings.source_id,
            seq=header.sequence,
            pts_s=header.pts_s,
            class_names=self._settings.class_names,
            width=slot.layout.width,
            height=slot.layout.height,
        )
        try:
            self._file.write(line + "\n")
        except OSError as exc:
            raise self._unwritable(exc) from exc

    def close(self, *, complete: bool) -> None:
        """Keep what was written; lines that are there are whole, ``complete`` or not."""
        try:
            with self._file:
                self._file.flush()
                os.fsync(self._file.fileno())
                is_empty = self._file.tell() == 0
            if is_empty and not complete:
                self._partial.unlink()
            else:
                self._partial.replace(self._path)
        except OSError as exc:
            raise self._unwritable(exc) from exc

    def abort(self) -> None:
        """Keep the lines under the partial name; without any, leave nothing."""
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            if self._partial.stat().st_size == 0:
                self._partial.unlink()

    def _unwritable(self, error: OSError) -> OutputError:
        return OutputError(
            f"{self._path}: cannot be written ({error.strerror}); "
            "give a path in a folder that exists, may be written to and has room."
        )
