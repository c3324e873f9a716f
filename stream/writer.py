"""Frames into an H.264 file, timed by their pts, with the sound of the source.

The file grows under a partial name and gets its own when it is complete; how it survives being
killed is told in ``stream.encoding``.
"""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.error
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from stream.audio_copy import AudioCopy
from stream.encoding import EncoderSettings, FrameWrapper, add_video, open_recording
from stream.errors import OutputError, StageError
from stream.frame import Planes
from stream.media import cause_of
from stream.output import check_output, container_of, partial_path

_WRITE_ERRORS = (av.error.FFmpegError, OSError)


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


class VideoWriter:
    """Records one file. Used by one thread; end it by ``close`` or ``abort``."""

    def __init__(
        self,
        path: Path | str,
        *,
        width: int,
        height: int,
        time_base: Fraction,
        frame_rate: float | None,
        color_range: int,
        color_matrix: int,
        audio_from: str | None = None,
        preset: str = "veryfast",
        crf: int = 20,
        threads: int = 1,
    ) -> None:
        """Open the recording under its partial name.

        Args:
            path: Of the finished file, .mp4 or .mkv.
            width: Of every frame, even, in pixels.
            height: Of every frame, even, in pixels.
            time_base: Seconds in one unit of the pts.
            frame_rate: Frames a second, a hint for the encoder; None where it is unknown.
            color_range: 0 limited, 1 full; written into the file.
            color_matrix: 1 = BT.709, 5 or 6 = BT.601; written into the file.
            audio_from: File whose sound is copied, None for a silent recording.
            preset: Of x264, one of ``encoding.PRESETS``: faster ones make larger files.
            crf: Quality of x264, 0 (lossless) to 51; 20 looks like the source.
            threads: For encoding, at least 1.

        Raises:
            ConfigError: The suffix, the preset or the crf is impossible, or ``path`` is the source.
            OutputError: The file cannot be opened.
        """
        self._path = Path(path)
        self._partial = partial_path(self._path)
        self._settings = EncoderSettings(
            width=width, height=height, time_base=Fraction(time_base), frame_rate=frame_rate,
            color_range=color_range, color_matrix=color_matrix,
            preset=preset, crf=crf, threads=threads,
        )  # fmt: skip
        check_output(self._path, [audio_from] if audio_from else [])
        self._wrapper = FrameWrapper()
        self._first_pts = self._last_pts = 0
        self._last_duration = self._settings.nominal_duration
        self._durations: dict[int, int] = {}
        self._frame_count = 0
        self._failure: OutputError | None = None
        self._summary: WriterSummary | None = None
        self._container: OutputContainer | None = None
        self._audio: AudioCopy | None = None
        try:
            self._stream = self._open(audio_from)
        except _WRITE_ERRORS as exc:
            raise self._failed(exc) from exc

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know, one line each: sound that was left out."""
        return self._audio.warnings if self._audio else ()

    def write(self, planes: Planes, pts: int, *, duration: int | None = None) -> None:
        """Encode one frame; ``planes`` may be written again as soon as this returns.

        Args:
            planes: I420 of the writer's size. Not copied where they lie in memory as in a slot.
            pts: Presentation time in the time base, greater than that of the frame before.
            duration: How long to show it, in the time base; as usual where it is None. Matters
                for the last frame only: every other one is shown until the next.

        Raises:
            OutputError: The disk is full or failed; the text says what remains.
            StageError: The pts does not increase.
        """
        self._check_open()
        if self._frame_count == 0:
            self._first_pts = pts
        elif pts <= self._last_pts:
            raise StageError(
                f"{self._path}: a frame with pts {pts} after one with {self._last_pts}; "
                "they must increase."
            )
        else:
            self._durations[self._last_pts] = pts - self._last_pts
        self._last_pts = pts
        self._last_duration = duration or self._settings.nominal_duration
        frame = self._wrapper.wrap(planes)
        frame.pts, frame.time_base = pts, self._settings.time_base
        try:
            self._mux(self._stream.encode(frame))
        except _WRITE_ERRORS as exc:
            raise self._failed(exc) from exc
        self._frame_count += 1

    def close(self, *, complete: bool = True) -> WriterSummary:
        """Finish the file and give it its own name. May be called twice.

        Args:
            complete: The source came to its end, so the rest of its sound belongs to it. Else the
                sound ends with the pictures.

        Raises:
            OutputError: The disk is full or failed; the text says what remains.
        """
        if self._summary is None:
            self._check_open()
            try:
                self._summary = self._finish(complete)
            except _WRITE_ERRORS as exc:
                raise self._failed(exc) from exc
        return self._summary

    def abort(self) -> Path | None:
        """End in the middle: what was recorded stays under the partial name, playable.

        Returns:
            The partial file, None where nothing was recorded or the file was closed before.
        """
        if self._failure is None and self._summary is None:
            self._failure = OutputError(f"{self._path}: the recording was given up; nothing more.")
            with contextlib.suppress(*_WRITE_ERRORS):
                self._drain(end_s=self._end_s())
            self._release()
            self._keep_if_playable()
        return self._partial if self._summary is None and self._partial.exists() else None

    def _open(self, audio_from: str | None) -> VideoStream:
        name = container_of(self._path)
        self._container = open_recording(self._partial, name, self._settings.time_base)
        stream = add_video(self._container, self._settings)
        if audio_from is not None:
            self._audio = AudioCopy(audio_from, self._container)
        self._container.start_encoding()
        return stream

    def _check_open(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._summary is not None:
            raise StageError(f"{self._path}: already closed; frames must come before.")

    def _mux(self, packets: list[Packet[VideoStream]]) -> None:
        assert self._container is not None
        for packet in packets:
            if packet.pts is not None:
                # Still unknown only for a frame that the encoder gives back at once.
                packet.duration = self._durations.pop(packet.pts, self._last_duration)
            if self._audio is not None and packet.dts is not None:
                self._audio.copy_until(packet.dts * self._settings.time_base)
            self._container.mux_one(packet)

    def _drain(self, end_s: Fraction | None) -> None:
        self._mux(self._stream.encode(None))
        if self._audio is not None:
            self._audio.copy_until(end_s)

    def _end_s(self) -> Fraction:
        return (self._last_pts + self._last_duration) * self._settings.time_base

    def _finish(self, complete: bool) -> WriterSummary:
        assert self._container is not None
        if not self._frame_count:
            self._release()
            self._partial.unlink(missing_ok=True)
            return WriterSummary(None, 0, 0.0, 0, 0, self.warnings)
        self._drain(end_s=None if complete else self._end_s())
        self._container.close()
        _sync(self._partial)
        self._partial.replace(self._path)
        _sync(self._path.parent)
        if self._audio is not None:
            self._audio.close()
        return WriterSummary(
            path=self._path,
            frames=self._frame_count,
            duration_s=float(self._end_s() - self._first_pts * self._settings.time_base),
            bytes=self._path.stat().st_size,
            audio_packets=self._audio.packet_count if self._audio else 0,
            warnings=self.warnings,
        )

    def _failed(self, error: Exception) -> OutputError:
        """Returns the error to raise now and ever after; the file is let go."""
        self._release()
        kept = self._keep_if_playable()
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            found, needed = "the disk is full", "free some space or choose another folder"
        else:
            found, needed = f"cannot be written ({cause_of(error)})", "choose another folder"
        after = f" after {self._frame_count} frames" if self._frame_count else ""
        rest = f" {self._partial} holds what was recorded before." if kept else ""
        self._failure = OutputError(f"{self._path}: {found}{after}; {needed}.{rest}")
        return self._failure

    def _release(self) -> None:
        if self._audio is not None:
            self._audio.close()
        if self._container is not None:
            with contextlib.suppress(*_WRITE_ERRORS):
                self._container.close()

    def _keep_if_playable(self) -> bool:
        if _is_playable(self._partial):
            return True
        with contextlib.suppress(OSError):
            self._partial.unlink(missing_ok=True)
        return False


def _is_playable(path: Path) -> bool:
    try:
        with av.open(f"file:{path}", mode="r") as container:
            return next(container.decode(video=0), None) is not None
    except (*_WRITE_ERRORS, ValueError, IndexError):
        return False


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
