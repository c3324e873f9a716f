"""A recording in chunks: cut at keyframes, each chunk a complete file that begins at 0.

One encoder works through all chunks. It is asked for a keyframe where one is to begin, and its
packets go into the next file from there on, so that no frame is lost or waits at a cut.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from av.packet import Packet
from av.video.stream import VideoStream

from maskstream.stream.codecs.encoding import EncoderSettings
from maskstream.stream.codecs.frame_encoder import FrameEncoder
from maskstream.stream.memory.frame import Planes
from maskstream.stream.options import SegmentOptions
from maskstream.stream.recording.file import WRITE_ERRORS, Recording
from maskstream.stream.recording.paths import check_output, container_of
from maskstream.stream.recording.series import Series, check_segments


class SegmentedWriter:
    """Records a series of files. Used by one thread; end it by ``close`` or ``abort``."""

    def __init__(
        self,
        path: Path | str,
        options: SegmentOptions,
        settings: EncoderSettings,
        *,
        audio_from: str | None = None,
    ) -> None:
        """Look after the chunks that are there; the first new one begins with the first frame.

        What a killed writer of the same series left is finished, and old chunks are deleted.

        Args:
            path: ``NAME.mp4`` or ``NAME.mkv``; its chunks are ``NAME-20261120T210000Z.mp4``, ...
            options: How it is cut, and what is kept.
            settings: Of the pictures.
            audio_from: File whose sound is copied, None for a silent recording.

        Raises:
            ConfigError: An option is impossible, or ``path`` is the source.
            OutputError: No file can be written there.
        """
        check_segments(options)
        self._options = options
        self._path = Path(path)
        self._audio_from = audio_from
        self._time_base = settings.time_base
        check_output(self._path, [audio_from] if audio_from else [])
        self._encoder = FrameEncoder(settings, container_of(self._path))
        self._series = Series(self._path)
        self._warnings: tuple[str, ...] = ()
        self._series.finish_partials()
        self._rotate()
        self._recording: Recording | None = None
        self._starts: deque[tuple[int, float]] = deque()
        self._chunk_pts: int | None = None
        self._is_flushed = False

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know, one line each: sound left out, chunks that cannot go."""
        return self._warnings

    def write(self, planes: Planes, pts: int, *, duration: int | None = None) -> None:
        """Encode one frame; as ``VideoWriter.write``."""
        if self._recording is not None:
            self._recording.check_open()
        is_first = self._chunk_pts is None or self._is_full(pts - self._chunk_pts)
        if is_first:
            self._chunk_pts = pts
            self._starts.append((pts, time.time()))
        self._mux(self._encoder.encode(planes, pts, duration=duration, is_key=is_first))

    def close(self, *, complete: bool = True) -> tuple[Path, ...]:
        """Finish the last chunk; may be called twice.

        Args:
            complete: The source came to its end, so the rest of its sound belongs to the last one.

        Returns:
            All chunks that are kept, those of earlier runs too, oldest first.

        Raises:
            OutputError: The disk is full or failed; the text says what remains.
        """
        self._flush()
        self._finish(complete=complete)
        return tuple(self._series.chunks())

    def abort(self) -> Path | None:
        """End in the middle; what the last chunk holds stays under its partial name, playable.

        Returns:
            The partial file, None where nothing was recorded or the series was closed before.
        """
        with contextlib.suppress(*WRITE_ERRORS):
            self._flush()
        return None if self._recording is None else self._recording.abandon()

    def _is_full(self, elapsed: int) -> bool:
        return elapsed * self._time_base >= self._options.length_s

    def _flush(self) -> None:
        if not self._is_flushed:
            self._is_flushed = True
            self._mux(self._encoder.flush())
            self._encoder.close()

    def _mux(self, packets: list[Packet[VideoStream]]) -> None:
        for packet in packets:
            if self._starts and packet.pts == self._starts[0][0]:
                self._begin_chunk(*self._starts.popleft())
            assert self._recording is not None
            self._recording.mux([packet])

    def _begin_chunk(self, pts: int, wall_s: float) -> None:
        self._finish(complete=False)
        path = self._series.next_path(wall_s)
        self._recording = Recording(path, self._encoder.stream, audio_from=self._audio_from)
        self._recording.start_at(pts)

    def _finish(self, *, complete: bool) -> None:
        if self._recording is not None:
            self._recording.finish(complete=complete)
            self._warn(self._recording.warnings)
            self._rotate()

    def _rotate(self) -> None:
        self._warn(self._series.rotate(self._options, time.time()))

    def _warn(self, lines: Iterable[str]) -> None:
        # What is wrong with one chunk is mostly wrong with all.
        self._warnings = tuple(dict.fromkeys((*self._warnings, *lines)))
