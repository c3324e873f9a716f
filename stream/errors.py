"""The errors of a stage; `maskstream.errors` has the tree.

::

    StageError          (RuntimeError)     a stage failed for a reason that is ours
    ├── PeerGone        (ConnectionError)  the process at the other end of a channel is gone
    └── ChannelTimeout  (TimeoutError)     nothing came, or nothing could be sent, in time
"""

from __future__ import annotations

from typing import ClassVar

from maskstream.errors import MaskstreamError


class StageError(MaskstreamError, RuntimeError):
    """A stage failed, or the stages together broke a rule of their own."""

    exit_code: ClassVar[int] = 4


class PeerGone(StageError, ConnectionError):  # noqa: N818 - a state of the peer, not a fault of ours
    """The process at the other end of a channel is gone."""


class ChannelTimeout(StageError, TimeoutError):  # noqa: N818 - named like TimeoutError
    """Nothing arrived, or nothing could be sent, within the time given."""
