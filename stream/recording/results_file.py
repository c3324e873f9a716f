"""A file of what was seen: one line a frame, under a partial name until the end."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from maskstream.engines.files.disk import partial_path
from maskstream.errors import OutputError
from maskstream.stream.recording.playable import cut_torn_line
from maskstream.stream.recording.results import as_json


class ResultsFile:
    """Writes newline-delimited JSON. Used by one thread; end it by ``close`` or ``abort``."""

    def __init__(self, path: Path, *, is_continued: bool) -> None:
        """Open the file under its partial name.

        Args:
            path: Of the finished file.
            is_continued: Whether what a killed writer left goes on.

        Raises:
            OutputError: It cannot be written.
        """
        self._path = path
        self._partial = partial_path(path)
        try:
            if is_continued and self._partial.exists():
                cut_torn_line(self._partial)
            # Line by line, so that others can read along.
            mode = "a" if is_continued else "w"
            self._file = self._partial.open(mode, encoding="utf-8", buffering=1)
        except OSError as exc:
            raise self._unwritable(exc) from exc

    def write(self, record: dict[str, Any]) -> None:
        """Write one frame's line, of ``results.frame_record``."""
        try:
            self._file.write(as_json(record) + "\n")
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
