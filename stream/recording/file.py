"""One file of a recording: encoded packets in, under a partial name until it is complete.

How the file survives being killed is told in ``stream.codecs.encoding``.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av.error
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from maskstream.engines.files.disk import partial_path
from maskstream.errors import OutputError
from maskstream.stream.codecs.encoding import open_recording
from maskstream.stream.errors import StageError
from maskstream.stream.processes.partial_files import hold
from maskstream.stream.recording.audio_copy import AudioCopy
from maskstream.stream.recording.paths import check_output, container_of
from maskstream.stream.recording.playable import is_playable
from maskstream.stream.sources.media import cause_of

WRITE_ERRORS = (av.error.FFmpegError, OSError)


@dataclass(frozen=True, slots=True)
class WriterSummary:
    """What a recording came to."""

    path: Path | None
    """Of the finished file; None where no frame was written, and so no file."""
    frames: int
    duration_s: float
    bytes: int
    audio_packets: int
    warnings: tuple[str, ...]
    """What the user should know, one line each: sound that was left out."""


class Recording:
    """Writes one file; end it by ``finish`` or ``abandon``."""

    def __init__(self, path: Path, template: VideoStream, *, audio_from: str | None) -> None:
        """Open the file under its partial name, which is held until the end.

        Args:
            path: Of the finished file, .mp4 or .mkv.
            template: The encoder's stream, open.
            audio_from: File whose sound is copied, None for a silent recording.

        Raises:
            ConfigError: The suffix is impossible, or ``path`` is the source.
            OutputError: The file cannot be opened, or another process is writing it.
        """
        self.path = path
        self.partial = partial_path(path)
        check_output(path, [audio_from] if audio_from else [])
        self._time_base = Fraction(template.codec_context.time_base or 1)
        self._origin_pts = 0
        self._first_pts: int | None = None
        self._end_pts = 0
        self._frame_count = 0
        self._notes: list[str] = []
        self._failure: OutputError | None = None
        self._summary: WriterSummary | None = None
        self._container: OutputContainer | None = None
        self._audio: AudioCopy | None = None
        self._hold = hold(self.partial)
        try:
            self._stream = self._open(template, audio_from)
        except WRITE_ERRORS as exc:
            raise self._failed(exc) from exc

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know, one line each: sound that was left out."""
        return (*self._notes, *(self._audio.warnings if self._audio else ()))

    def close_gap(self, at_s: Fraction, by_s: Fraction) -> None:
        """Move the sound along with pictures that were moved, and note it.

        Args:
            at_s: Where the pictures go on, in the source's time.
            by_s: How much earlier they are in the recording.
        """
        if self._audio is not None:
            self._audio.close_gap(at_s, by_s)
        hours = float(by_s / 3600)
        self._notes.append(
            f"{self.path}: a gap of {hours:.2f} h without pictures is closed up, as it is longer "
            "than this container can hold; record to .mkv to keep it."
        )

    def start_at(self, pts: int) -> None:
        """Make ``pts`` the file's 0, before the first packet; sound before it is left out."""
        self._origin_pts = pts
        if self._audio is not None:
            self._audio.skip_to(pts * self._time_base)

    def mux(self, packets: Iterable[Packet[VideoStream]]) -> None:
        """Write packets, in decoding order, and the sound that belongs beside them.

        Raises:
            OutputError: The disk is full or failed; the text says what remains.
        """
        self.check_open()
        try:
            for packet in packets:
                self._mux(packet)
        except WRITE_ERRORS as exc:
            raise self._failed(exc) from exc

    def finish(self, *, complete: bool) -> WriterSummary:
        """Finish the file and give it its own name. May be called twice.

        Args:
            complete: The source came to its end, so the rest of its sound belongs to it. Else the
                sound ends with the pictures.

        Raises:
            OutputError: The disk is full or failed; the text says what remains.
        """
        if self._summary is None:
            self.check_open()
            try:
                self._summary = self._finish(complete)
            except WRITE_ERRORS as exc:
                raise self._failed(exc) from exc
        return self._summary

    def abandon(self) -> Path | None:
        """End in the middle: what was recorded stays under the partial name, playable.

        Returns:
            The partial file, None where nothing was recorded or the file was finished before.
        """
        if self._failure is None and self._summary is None:
            self._failure = OutputError(f"{self.path}: the recording was given up; nothing more.")
            if self._audio is not None:
                with contextlib.suppress(*WRITE_ERRORS):
                    self._audio.copy_until(self._end_s())
            self._release()
            self._keep_if_playable()
        return self.partial if self._summary is None and self.partial.exists() else None

    def check_open(self) -> None:
        """Check that packets may still come.

        Raises:
            OutputError: The disk was full or failed.
            StageError: The file is finished.
        """
        if self._failure is not None:
            raise self._failure
        if self._summary is not None:
            raise StageError(f"{self.path}: already closed; frames must come before.")

    def _open(self, template: VideoStream, audio_from: str | None) -> VideoStream:
        name = container_of(self.path)
        self._container = open_recording(self.partial, name, self._time_base)
        stream = self._container.add_stream_from_template(template)
        if audio_from is not None:
            self._audio = AudioCopy(audio_from, self._container)
        self._container.start_encoding()
        return stream

    def _mux(self, packet: Packet[VideoStream]) -> None:
        assert self._container is not None
        assert packet.pts is not None
        assert packet.dts is not None
        packet.pts -= self._origin_pts
        packet.dts -= self._origin_pts
        if self._first_pts is None:
            self._first_pts = packet.pts
        self._end_pts = max(self._end_pts, packet.pts + (packet.duration or 0))
        self._frame_count += 1
        if self._audio is not None:
            self._audio.copy_until(packet.dts * self._time_base)
        packet.stream = self._stream
        self._container.mux_one(packet)

    def _end_s(self) -> Fraction:
        return self._end_pts * self._time_base

    def _finish(self, complete: bool) -> WriterSummary:
        assert self._container is not None
        if self._first_pts is None:
            self._release()
            self.partial.unlink(missing_ok=True)
            return WriterSummary(None, 0, 0.0, 0, 0, self.warnings)
        if self._audio is not None:
            self._audio.copy_until(None if complete else self._end_s())
        self._container.close()
        _sync(self.partial)
        self.partial.replace(self.path)
        _sync(self.path.parent)
        self._release()
        return WriterSummary(
            path=self.path,
            frames=self._frame_count,
            duration_s=float((self._end_pts - self._first_pts) * self._time_base),
            bytes=self.path.stat().st_size,
            audio_packets=self._audio.packet_count if self._audio else 0,
            warnings=self.warnings,
        )

    def _failed(self, error: Exception) -> OutputError:
        """Returns the error to raise now and ever after; the file is let go."""
        self._release()
        kept = self._keep_if_playable()
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            found, needed = "the disk is full", "free some space or choose another folder"
        elif isinstance(error, av.error.ArgumentError) and self._frame_count:
            found, needed = "the container refuses the time of a frame", "record to .mkv"
        else:
            found, needed = f"cannot be written ({cause_of(error)})", "choose another folder"
        after = f" after {self._frame_count} frames" if self._frame_count else ""
        rest = f" {self.partial} holds what was recorded before." if kept else ""
        self._failure = OutputError(f"{self.path}: {found}{after}; {needed}.{rest}")
        return self._failure

    def _release(self) -> None:
        if self._audio is not None:
            self._audio.close()
        if self._container is not None:
            with contextlib.suppress(*WRITE_ERRORS):
                self._container.close()
        self._hold.close()

    def _keep_if_playable(self) -> bool:
        if is_playable(self.partial):
            return True
        with contextlib.suppress(OSError):
            self.partial.unlink(missing_ok=True)
        return False


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
