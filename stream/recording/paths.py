"""Where a recording goes: checks before anything starts, and the name while it is not finished.

A recording grows under ``NAME.partial.mp4`` and takes its own name only when it is complete. After
a crash the partial file is the user's data: it plays, and the next run writes over it. Whoever is
writing it holds a lock on it, which the kernel takes back however the process ends.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from maskstream.engines.files.disk import partial_path
from maskstream.errors import ConfigError, OutputError
from maskstream.stream.delivery import CONTAINERS
from maskstream.stream.processes.partial_files import hold

_FREE_BYTES_MIN = 1 << 20


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
