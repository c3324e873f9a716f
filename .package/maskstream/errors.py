"""The errors that maskstream raises on purpose. Each carries the exit code of the command.

::

    MaskstreamError                2   base of all
    ├── ConfigError  (ValueError)  2   a request that cannot be met: flags, sizes, names, memory
    ├── OutputError  (OSError)     2   an output cannot be opened or written
    ├── SourceError  (OSError)     3   a source cannot be opened or read
    ├── engines.errors.EngineError 2   an engine cannot be read, opened or made
    ├── stream.errors.StageError   4   a stage failed for a reason that is ours
    └── train.errors.TrainError    2   training or evaluation cannot start or go on

The text of each is one line, ``<subject>: <what was found>; <what is needed>.``, to be shown as is.
"""

from __future__ import annotations

from typing import ClassVar


class MaskstreamError(Exception):
    """Base of every error that this project raises on purpose."""

    exit_code: ClassVar[int] = 2
    """What the command returns to the shell when this error ends it."""


class ConfigError(MaskstreamError, ValueError):
    """A request that cannot be met as it was put."""


class OutputError(MaskstreamError, OSError):
    """The output cannot be opened or written."""


class SourceError(MaskstreamError, OSError):
    """The source cannot be opened or read."""

    exit_code: ClassVar[int] = 3
