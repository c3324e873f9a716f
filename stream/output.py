"""Where a recording goes: checks before anything starts, and the name while it is not finished.

A recording grows under ``NAME.partial.mp4`` and takes its own name only when it is complete. After
a crash the partial file is the user's data: it plays, and the next run writes over it. Whoever is
writing it holds a lock on it, which the kernel takes back however the process ends.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from stream.errors import ConfigError, OutputError

CONTAINERS = {".mp4": "mp4", ".mkv": "matroska"}
"""Suffix of a recording to FFmpeg's name of its container."""
_FREE_BYTES_MIN = 1 << 20


def partial_path(path: Path) -> Path:
    """Returns the name that ``path`` is recorded under until it is complete."""
    return path.with_name(f"{path.stem}.partial{path.suffix}")


def hold(partial: Path) -> BinaryIO:
    """Returns the partial file, made where it is missing, and held until it is closed.

    Raises:
        OutputError: Another process holds it.
        OSError: It cannot be opened for writing.
    """
    file = partial.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        # Some network file systems have no locks; there the user has to know what runs.
        if exc.errno in (errno.EWOULDBLOCK, errno.EACCES):
            file.close()
            raise OutputError(
                f"{partial}: another run is writing it; end that one or choose another name."
            ) from exc
    return file


def is_held(partial: Path) -> bool:
    """Returns whether a partial file that is there is another's: being written, or out of reach."""
    try:
        hold(partial).close()
    except OSError:
        return True
    return False


def container_of(path: Path) -> str:
    """Returns FFmpeg's name of the container for ``path``.

    Raises:
        ConfigError: Its suffix is none of ``CONTAINERS``.
    """
    container = CONTAINERS.get(path.suffix.lower())
    if container is None:
        raise ConfigError(
            f"{path}: no recording is written to {path.suffix or 'a name without suffix'}; "
            f"use {' or '.join(sorted(CONTAINERS))}."
        )
    return container


def check_output(path: Path, sources: Iterable[str] = ()) -> None:
    """Find out before a run whether ``path`` can be recorded; leaves nothing behind.

    Args:
        path: Of the finished recording.
        sources: Of the run; none of them may be written over.

    Raises:
        ConfigError: The suffix is unknown, or ``path`` is one of the sources.
        OutputError: The folder is missing, full or cannot be written, or another run is writing.
    """
    container_of(path)
    partial = partial_path(path)
    for source in sources:
        if _is_same_file(path, source) or _is_same_file(partial, source):
            raise ConfigError(f"{path}: would be written over its own source; give another name.")
    if path.is_dir():
        raise OutputError(f"{path}: a folder; give a file name in it.")
    folder = path.parent
    if not folder.is_dir():
        found = "not a folder" if folder.exists() else "no such folder"
        raise OutputError(f"{folder}: {found}; create it with mkdir -p, or choose another.")
    _try_writing(path, partial)
    check_space(path)


def check_space(path: Path) -> None:
    """Check that there is room beside ``path``.

    Raises:
        OutputError: There is none.
    """
    space = os.statvfs(path.parent)
    if space.f_bavail * space.f_frsize < _FREE_BYTES_MIN:
        raise OutputError(f"{path}: the disk is full; free some space or choose another folder.")


def _is_same_file(path: Path, source: str) -> bool:
    try:
        return path.samefile(source)
    except OSError:  # one of the two is no file
        return False


def _try_writing(path: Path, partial: Path) -> None:
    existed = partial.exists()
    try:
        hold(partial).close()
        if not existed:
            partial.unlink()
    except OutputError:
        raise
    except OSError as exc:
        raise OutputError(
            f"{path}: cannot be written ({exc.strerror}); choose a folder that you may write to."
        ) from exc
