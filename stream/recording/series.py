"""The files of a recording that is cut in chunks: their names, and which of them may go.

A chunk is called ``NAME-20261120T210000Z.mp4`` by the moment of its first frame, so that names sort
by time. Only what has exactly such a name, of a moment that exists, is ever taken for a chunk.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from maskstream.engines.files.disk import partial_path
from maskstream.errors import ConfigError
from maskstream.stream.options import SegmentOptions
from maskstream.stream.processes.partial_files import is_held
from maskstream.stream.recording.playable import cut_torn_end, is_playable

LENGTH_MIN_S = 1.0
_STAMP = "%Y%m%dT%H%M%SZ"
_SECOND = timedelta(seconds=1)


def check_segments(options: SegmentOptions) -> None:
    """Check how a recording is to be cut.

    Raises:
        ConfigError: A value is out of range, or would delete each chunk as it ends.
    """
    if options.length_s < LENGTH_MIN_S:
        raise ConfigError(
            f"--segment: {options.length_s:g} s was given; it must be at least {LENGTH_MIN_S:g} s."
        )
    if options.keep_s is not None and options.keep_s < options.length_s:
        raise ConfigError(
            f"--keep: {options.keep_s:g} s is less than a chunk of {options.length_s:g} s; "
            "keep at least one."
        )


class Series:
    """All chunks of one recording, those of earlier runs too."""

    def __init__(self, path: Path) -> None:
        """Look after the recording ``path``, whose name the chunks' names begin with."""
        self._folder = path.parent
        self._stem, self._suffix = path.stem, path.suffix
        name = rf"{re.escape(path.stem)}-(\d{{8}}T\d{{6}}Z){{}}{re.escape(path.suffix)}"
        self._name = re.compile(name.replace("{}", "", 1), re.ASCII)
        self._partial_name = re.compile(name.replace("{}", r"\.partial", 1), re.ASCII)
        self._last_moment: datetime | None = None

    def chunks(self) -> list[Path]:
        """Returns the finished chunks, oldest first."""
        return self._matching(self._name)

    def partials(self) -> list[Path]:
        """Returns the chunks that are being written, or were when their writer was killed."""
        return self._matching(self._partial_name)

    def next_path(self, wall_s: float) -> Path:
        """Returns the name of a chunk that begins now; a later second where it is taken.

        Args:
            wall_s: Wall clock, in seconds since 1970.
        """
        moment = datetime.fromtimestamp(wall_s, UTC).replace(microsecond=0)
        # A clock that was set back must not put this chunk before the last one.
        if self._last_moment is not None:
            moment = max(moment, self._last_moment + _SECOND)
        while self._is_taken(self._path(moment)):
            moment += _SECOND
        self._last_moment = moment
        return self._path(moment)

    def finish_partials(self) -> None:
        """Give what a killed writer left its name if it plays, and remove it if it does not."""
        for partial in self.partials():
            if is_held(partial):
                continue
            cut_torn_end(partial)
            path = partial.with_name(partial.name.replace(".partial", ""))
            if is_playable(partial) and not path.exists():
                partial.replace(path)
            else:
                partial.unlink()

    def rotate(self, options: SegmentOptions, wall_s: float) -> list[str]:
        """Delete the oldest chunks that ``options`` do not keep.

        The last chunk is never too much, and the one that is being written is not counted.

        Returns:
            A line for the user on each chunk that cannot be deleted.
        """
        problems = []
        chunks = self.chunks()
        facts = [chunk.stat() for chunk in chunks]
        total_bytes = sum(status.st_size for status in facts)
        for chunk, status in zip(chunks, facts, strict=True):
            is_old = options.keep_s is not None and status.st_mtime < wall_s - options.keep_s
            is_much = options.keep_bytes is not None and total_bytes > options.keep_bytes
            if is_old or (is_much and chunk is not chunks[-1]):
                try:
                    chunk.unlink(missing_ok=True)
                    total_bytes -= status.st_size
                except OSError as exc:
                    problems.append(f"{chunk}: cannot be deleted ({exc.strerror}); delete it.")
        return problems

    def _path(self, moment: datetime) -> Path:
        return self._folder / f"{self._stem}-{moment.strftime(_STAMP)}{self._suffix}"

    @staticmethod
    def _is_taken(path: Path) -> bool:
        return os.path.lexists(path) or os.path.lexists(partial_path(path))

    def _matching(self, name: re.Pattern[str]) -> list[Path]:
        with os.scandir(self._folder) as entries:
            return sorted(
                Path(entry.path)
                for entry in entries
                if entry.is_file(follow_symlinks=False)
                and (match := name.fullmatch(entry.name)) is not None
                and _is_moment(match[1])
            )


def _is_moment(stamp: str) -> bool:
    try:
        datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return False
    return True
