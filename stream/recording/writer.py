"""Frames into one H.264 file, timed by their pts, with the sound of the source.

The file grows under a partial name and gets its own when it is complete; how it survives being
killed is told in ``stream.codecs.encoding``.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from maskstream.stream.codecs.encoding import EncoderSettings
from maskstream.stream.codecs.frame_encoder import FrameEncoder
from maskstream.stream.memory.frame import Planes
from maskstream.stream.recording.file import WRITE_ERRORS, Recording, WriterSummary
from maskstream.stream.recording.gaps import LongGaps
from maskstream.stream.recording.paths import container_of


class VideoWriter:
    """Records one file. Used by one thread; end it by ``close`` or ``abort``."""

    def __init__(
        self,
        path: Path | str,
        settings: EncoderSettings,
        *,
        audio_from: str | None = None,
        starts_at_zero: bool = False,
    ) -> None:
        """Open the recording under its partial name.

        Args:
            path: Of the finished file, .mp4 or .mkv.
            settings: Of the pictures.
            audio_from: File whose sound is copied, None for a silent recording.
            starts_at_zero: Whether the first frame is the file's 0, whatever its pts, and the
                sound begins with it: for a recording that goes on in another file.

        Raises:
            ConfigError: The suffix is impossible, or ``path`` is the source.
            OutputError: The file cannot be opened, or another process is writing it.
        """
        self._path = Path(path)
        self._encoder = FrameEncoder(settings, container_of(self._path))
        self._recording = Recording(self._path, self._encoder.stream, audio_from=audio_from)
        self._gaps = LongGaps(settings.time_base, container_of(self._path))
        self._is_start_due = starts_at_zero
        self._is_flushed = False

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know, one line each: sound that was left out."""
        return self._recording.warnings

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
        self._recording.check_open()
        if self._is_start_due:
            self._recording.start_at(pts)
            self._is_start_due = False
        moved, closed_s = self._gaps.close(pts)
        if closed_s:
            self._recording.close_gap(pts * self._gaps.time_base, closed_s)
        self._recording.mux(self._encoder.encode(planes, moved, duration=duration))

    def close(self, *, complete: bool = True) -> WriterSummary:
        """Finish the file and give it its own name. May be called twice.

        Args:
            complete: The source came to its end, so the rest of its sound belongs to it. Else the
                sound ends with the pictures.

        Raises:
            OutputError: The disk is full or failed; the text says what remains.
        """
        self._flush()
        return self._recording.finish(complete=complete)

    def abort(self) -> Path | None:
        """End in the middle: what was recorded stays under the partial name, playable.

        Returns:
            The partial file, None where nothing was recorded or the file was closed before.
        """
        with contextlib.suppress(*WRITE_ERRORS):
            self._flush()
        return self._recording.abandon()

    def _flush(self) -> None:
        if not self._is_flushed:
            self._is_flushed = True
            self._recording.mux(self._encoder.flush())
            self._encoder.close()
