"""The errors of this package. Each carries the exit code that the command ends with.

::

    StreamError                    4
    ├── ConfigError  (ValueError)  2   a request that cannot be met: flags, sizes, names, memory
    ├── OutputError  (OSError)     2   the output cannot be opened or written
    ├── SourceError  (OSError)     3   the source cannot be opened or read
    └── StageError   (RuntimeError) 4  a stage failed for a reason that is ours
        ├── PeerGone        (ConnectionError)  the process at the other end of a channel is gone
        └── ChannelTimeout  (TimeoutError)     nothing came, or nothing could be sent, in time

The text of each is one line, ``<subject>: <what was found>; <what is needed>.``, to be shown as is.
"""

from __future__ import annotations

from typing import ClassVar


class StreamError(Exception):
    """Base of every error that this package raises on purpose."""

    exit_code: ClassVar[int] = 4
    """What the command returns to the shell when this error ends it."""


class ConfigError(StreamError, ValueError):
    """A request that cannot be met as it was put."""

    exit_code: ClassVar[int] = 2


class OutputError(StreamError, OSError):
    """The output cannot be opened or written."""

    exit_code: ClassVar[int] = 2


class SourceError(StreamError, OSError):
    """The source cannot be opened or read."""

    exit_code: ClassVar[int] = 3


class StageError(StreamError, RuntimeError):
    """A stage failed, or the stages together broke a rule of their own."""

    exit_code: ClassVar[int] = 4


class PeerGone(StageError, ConnectionError):  # noqa: N818 - a state of the peer, not a fault of ours
    """The process at the other end of a channel is gone."""


class ChannelTimeout(StageError, TimeoutError):  # noqa: N818 - named like TimeoutError
    """Nothing arrived, or nothing could be sent, within the time given."""
