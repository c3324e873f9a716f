"""Locks on files that are being written; the kernel releases them however a process ends."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path
from typing import BinaryIO

from maskstream.errors import OutputError


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
