"""Files that appear whole, and the folder that what can be made again is kept in."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from maskstream.errors import OutputError

_NAME_BYTES_MAX = 255
"""Of a file's name, on all usual file systems."""


def write_text_atomically(path: Path, text: str) -> None:
    """Write a small file beside its place and move it there once it is whole.

    Raises:
        OutputError: The folder cannot be written to, or the disk is full.
    """
    path = path.resolve() if path.is_symlink() else path  # a link leads to where it is written
    partial = partial_path(path)
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as exc:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise OutputError(
            f"{path}: cannot be written ({exc.strerror}); free some space or choose another folder."
        ) from exc


def user_cache_dir() -> Path:
    """Return the folder for what can be fetched again, by the XDG base directory specification."""
    configured = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if configured.is_absolute():
        return configured / "maskstream"
    try:
        return Path.home() / ".cache" / "maskstream"
    except RuntimeError:  # no HOME, and no entry for the user: below it no folder can be made
        return Path(os.devnull) / "maskstream"


def partial_path(path: Path) -> Path:
    """Return the name that ``path`` is recorded under until it is complete.

    It is shortened where a file system could not hold it.
    """
    name = f"{path.stem}.partial{path.suffix}"
    if len(os.fsencode(name)) > _NAME_BYTES_MAX:
        digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:12]
        name = f"{digest}.partial{path.suffix}"
    return path.with_name(name)
