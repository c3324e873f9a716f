"""A folder that any web server can serve to any number of viewers: HTTP Live Streaming.

The newest seconds lie in it as small files, listed in a playlist that is replaced as a whole; old
ones are deleted. Pictures only: the sources that it is for have no sound.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path

import av
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from maskstream.errors import ConfigError, OutputError
from maskstream.stream.codecs.encoding import EncoderSettings
from maskstream.stream.codecs.frame_encoder import KEYFRAME_S, FrameEncoder
from maskstream.stream.delivery import HLS_SUFFIX
from maskstream.stream.errors import StageError
from maskstream.stream.memory.frame import Planes
from maskstream.stream.recording.file import WRITE_ERRORS
from maskstream.stream.recording.paths import check_space
from maskstream.stream.sources.media import cause_of

_LISTED_COUNT = 6
"""Segments in the playlist; viewers begin about three before its end."""
_UNLISTED_COUNT = 3
"""Segments that are kept a while longer, for viewers who have just read an older playlist."""
_GAP_MAX_S = 2 * KEYFRAME_S
"""A longer gap in the source would become one endless segment; viewers are shown none."""
_END = "#EXT-X-ENDLIST\n"


def check_hls(path: Path) -> None:
    """Find out before a run whether a playlist can be written at ``path``.

    Raises:
        ConfigError: The name is impossible.
        OutputError: Its folder cannot be made or written.
    """
    if path.suffix.lower() != HLS_SUFFIX:
        raise ConfigError(f"{path}: no playlist; give a name such as live/index{HLS_SUFFIX}.")
    if "%" in str(path.absolute()):
        raise ConfigError(f"{path}: FFmpeg takes a % for its own; give a path without one.")
    parent = path.absolute().parent
    existing = parent if parent.exists() else parent.parent
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise OutputError(f"{path}: {existing} cannot be written; choose another folder.")
    if path.is_dir():
        raise OutputError(f"{path}: a folder; give the playlist's name in it.")


class HlsWriter:
    """Keeps a live folder. Used by one thread; end it by ``close`` or ``abort``."""

    def __init__(
        self,
        path: Path | str,
        settings: EncoderSettings,
        *,
        is_continued: bool = False,
    ) -> None:
        """Begin the folder anew, or go on where a killed writer left it.

        Args:
            path: Of the playlist, ``FOLDER/NAME.m3u8``; the folder is made where it is missing.
            settings: Of the pictures.
            is_continued: Whether viewers are to stay on: the playlist that is there goes on, after
                a mark that says that the pictures do not.

        Raises:
            ConfigError: The name is impossible.
            OutputError: The folder cannot be made or written.
        """
        self.path = Path(path).absolute()
        check_hls(self.path)
        self._settings = settings
        self.warnings: tuple[str, ...] = ()
        self._last_pts: int | None = None
        self._skipped = 0
        self._frame_count = 0
        self._is_closed = False
        self._failure: OutputError | None = None
        self._container: OutputContainer | None = None
        self._encoder = FrameEncoder(self._settings, "mpegts")
        try:
            self.path.parent.mkdir(exist_ok=True)
            self._is_continued = is_continued and self.path.is_file()
            _tidy(self.path, is_continued=self._is_continued)
        except OSError as exc:
            raise self._failed(exc) from exc

    def write(self, planes: Planes, pts: int, *, duration: int | None = None) -> None:
        """Encode one frame; as ``VideoWriter.write``."""
        self._check_open()
        if self._last_pts is not None:
            elapsed = pts - self._last_pts
            if elapsed * self._settings.time_base > _GAP_MAX_S:
                self._skipped += elapsed - self._settings.nominal_duration
        self._last_pts = pts
        self._mux(self._encoder.encode(planes, pts - self._skipped, duration=duration))
        self._frame_count += 1

    def close(self, *, complete: bool = True) -> Path:
        """End the playlist, so that players stop; may be called twice.

        Args:
            complete: Whether the source came to its end; the folder is ended either way.

        Raises:
            OutputError: The disk is full or failed.
        """
        if not self._is_closed:
            self._check_open()
            self._is_closed = True
            self._mux(self._encoder.flush())
            self._encoder.close()
            try:
                if self._container is not None:
                    self._container.close()
                _end_playlist(self.path)
            except WRITE_ERRORS as exc:
                raise self._failed(exc) from exc
        return self.path

    def abort(self) -> Path:
        """Stop in the middle; the playlist stays open for a writer that goes on."""
        if not self._is_closed:
            self._is_closed = True
            self._encoder.close()
            if self._container is not None:
                with contextlib.suppress(*WRITE_ERRORS):
                    self._container.close()
        return self.path

    def _check_open(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._is_closed:
            raise StageError(f"{self.path}: already closed; frames must come before.")

    def _mux(self, packets: list[Packet[VideoStream]]) -> None:
        try:
            for packet in packets:
                # Only now: without a packet FFmpeg would write a segment of nothing.
                if self._container is None:
                    self._container = _open(self.path, is_continued=self._is_continued)
                    self._stream = self._container.add_stream_from_template(self._encoder.stream)
                if packet.is_keyframe:
                    check_space(self.path)  # FFmpeg does not tell of segments that it cannot write
                packet.stream = self._stream
                self._container.mux_one(packet)
        except OutputError:
            raise
        except WRITE_ERRORS as exc:
            raise self._failed(exc) from exc

    def _failed(self, error: Exception) -> OutputError:
        after = f" after {self._frame_count} frames" if self._frame_count else ""
        self._failure = OutputError(
            f"{self.path}: cannot be written{after} ({cause_of(error)}); "
            "free some space or choose another folder."
        )
        return self._failure


def _open(path: Path, *, is_continued: bool) -> OutputContainer:
    flags = ["delete_segments", "independent_segments", "temp_file", "program_date_time"]
    # The end is written by us, as a writer that is given up must not write it.
    flags.append("omit_endlist")
    if is_continued:
        flags.append("append_list")
    return av.open(
        # Absolute, so that no part is taken for a protocol; with "file:" before it, FFmpeg does
        # not find the segments that it is to delete.
        str(path),
        mode="w",
        format="hls",
        container_options={
            "hls_time": str(KEYFRAME_S),
            "hls_list_size": str(_LISTED_COUNT),
            "hls_delete_threshold": str(_UNLISTED_COUNT),
            "hls_flags": "+".join(flags),
            "hls_segment_filename": str(path.with_name(f"{path.stem}-%d.ts")),
            # A name that a browser or proxy has kept from an earlier run never comes again. A
            # playlist that goes on has its own numbers, if they are not below this one.
            "start_number": "0" if is_continued else str(int(time.time())),
        },
    )


def _tidy(path: Path, *, is_continued: bool) -> None:
    """Remove this playlist's files of an earlier writer, but what is listed where that goes on."""
    if not is_continued:
        path.unlink(missing_ok=True)
    listed = path.read_text(encoding="utf-8").splitlines() if is_continued else []
    name = re.compile(
        rf"{re.escape(path.stem)}(-\d+\.ts(\.tmp)?|{re.escape(path.suffix)}\.tmp)", re.ASCII
    )
    for entry in path.parent.iterdir():
        if name.fullmatch(entry.name) and entry.name not in listed:
            entry.unlink()


def _end_playlist(path: Path) -> None:
    """Write the playlist's end; without a single frame there is no playlist."""
    if not path.exists():
        return
    whole = path.with_name(f"{path.name}.tmp")
    whole.write_text(path.read_text(encoding="utf-8") + _END, encoding="utf-8")
    whole.replace(path)
