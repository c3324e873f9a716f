"""What every source is to the rest of the line: its description, its frames, its end.

A source is opened once to learn its ``SourceInfo`` (the pool is made to its measure) and once
more by the capture stage, which reads its frames one after the other. ``stream.sources.open`` opens
one from what the user typed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, Protocol

from maskstream.stream.memory.frame import Planes

RANGE_LIMITED = 0
"""Luma 16..235: what television and nearly all files use."""
RANGE_FULL = 1
"""Luma 0..255: what JPEG and most phones' cameras use."""
MATRIX_BT709 = 1
MATRIX_BT470BG = 5
MATRIX_BT601 = 6
MATRIX_UNKNOWN = 2
_HD_HEIGHT_PX = 720


def resolve_matrix(color_matrix: int, height: int) -> int:
    """Returns the matrix to treat a picture with: its own, or by height where that is unknown.

    Args:
        color_matrix: FFmpeg's AVColorSpace number; any but 1, 5 and 6 counts as unknown.
        height: Of the picture as decoded, in pixels.

    Source:
        BT.709 is the matrix of high definition and BT.601 that of standard definition; players
        guess alike.
    """
    if color_matrix in (MATRIX_BT709, MATRIX_BT470BG, MATRIX_BT601):
        return color_matrix
    return MATRIX_BT709 if height >= _HD_HEIGHT_PX else MATRIX_BT601


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInfo:
    """What is known of a source before its frames are read."""

    uri: str
    """As the user gave it."""
    kind: Literal["file", "synthetic", "live"]
    width: int
    """Of the canvas: after rotation and sample aspect, even, in pixels."""
    height: int
    """Of the canvas: after rotation and sample aspect, even, in pixels."""
    frame_rate: float | None
    """Average frames a second; None where nobody knows."""
    frame_count: int | None
    """An estimate; broken files have fewer."""
    duration_s: float | None
    rotation: int
    """Degrees clockwise that ``write_into`` applies: 0, 90, 180 or 270."""
    sample_aspect: Fraction
    """Width of a decoded pixel over its height; ``write_into`` makes pixels square."""
    color_range: int
    """0 limited (16..235), 1 full (0..255)."""
    color_matrix: int
    """1 = BT.709, 5 or 6 = BT.601 (FFmpeg's AVColorSpace numbers)."""
    codec: str
    time_base: Fraction
    """Seconds in one unit of a frame's pts."""
    has_audio: bool
    start_s: Fraction = Fraction(0)
    """The file's own first timestamp, already subtracted from every frame's pts."""
    warnings: tuple[str, ...] = ()
    """What the user should know though the source can be read; one line each."""


@dataclass(frozen=True, slots=True)
class SourceProblem:
    """Why a source ended early. The frames before it were delivered."""

    text: str
    """One line, to be shown as is."""
    frame_count: int
    """Frames delivered before it."""
    at_s: float
    """Where in the source, in seconds from its start."""

    def __str__(self) -> str:
        """Returns the line to show."""
        return self.text


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """One frame out of a source, not yet in a slot."""

    pts: int
    """Presentation time in ``time_base`` from the source's start; strictly increasing."""
    time_base: Fraction
    epoch: int
    """Counts up when the picture changes its size or orientation in mid-stream."""
    width: int
    """As decoded, before rotation and fitting, in pixels."""
    height: int
    """As decoded, before rotation and fitting, in pixels."""
    writer: Callable[[Planes], None]
    duration: int | None = None
    """How long the frame is meant to be shown, in ``time_base``; None where the file is silent."""

    def write_into(self, planes: Planes) -> None:
        """Write the picture, upright and with square pixels, into a canvas of the info's size."""
        self.writer(planes)


class Source(Protocol):
    """A source that is open. Used by one thread; close it in the end."""

    info: SourceInfo

    @property
    def decode_error_count(self) -> int:
        """Frames so far that could not be decoded."""
        ...

    @property
    def error(self) -> SourceProblem | None:
        """Why the frames ended early; None after a regular end and before any end."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """``info.warnings`` and what came up while frames were read."""
        ...

    def frames(self) -> Iterator[DecodedFrame]:
        """Yields the frames in the order in which they are shown, once; ends at end of file."""
        ...

    def close(self) -> None:
        """Release files and decoders. May be called twice."""
        ...
