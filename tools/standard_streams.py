"""Standard streams that may be closed, full or gone: a run does not end for want of them.

A service has often none, and a log may lie on a disk that fills up.
"""

import contextlib
import errno
import io
import os
import sys
from typing import TextIO


class _TolerantFile(io.FileIO):
    """A file whose writes that fail are dropped; the first failure is kept."""

    failure: OSError | None = None

    def write(self, data) -> int:  # type: ignore[no-untyped-def]
        """Write bytes, or drop them; returns how many were taken."""
        try:
            return super().write(data)
        except OSError as exc:
            self.failure = self.failure or exc
            return len(memoryview(data).cast("B"))


def prepare_streams() -> None:
    """Make the three streams ready for everything that follows, child processes included."""
    _occupy_descriptors()
    # Names of files come out as the bytes that they are, whatever the encoding.
    sys.stdout = _tolerant(sys.stdout, 1, "surrogateescape")
    sys.stderr = _tolerant(sys.stderr, 2, "backslashreplace")


def lost_output() -> str | None:
    """Return why standard output could not take all; None where it could, or its reader left."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    failure = getattr(getattr(sys.stdout.buffer, "raw", None), "failure", None)
    if failure is None or failure.errno in (errno.EPIPE, errno.EBADF):
        return None
    return str(failure.strerror)


def _occupy_descriptors() -> None:
    """Open what was closed as /dev/null: else the next file gets its number, and our messages."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
            os.set_inheritable(descriptor, True)


def _tolerant(stream: TextIO | None, descriptor: int, errors: str) -> TextIO:
    encoding = "utf-8" if stream is None else stream.encoding
    raw = _TolerantFile(descriptor, "w", closefd=False)
    is_seen_at_once = descriptor == 2 or raw.isatty()
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding, errors, line_buffering=is_seen_at_once
    )
