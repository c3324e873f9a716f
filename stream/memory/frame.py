"""What travels with a frame: its planes, and what is said about it from capture to sink."""

from __future__ import annotations

import ctypes
from enum import IntEnum
from fractions import Fraction
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

PIXEL_FORMAT_I420 = 1
STAGE_COUNT = 4


class Holder(IntEnum):
    """Who owns a slot. Written by the giver just before the slot's index is sent."""

    FREE = 0
    CAPTURE = 1
    INFER = 2
    OVERLAY = 3
    SINK = 4

    @property
    def place(self) -> int:
        """Index of the stage's stamps in a header; FREE has none."""
        return self - 1

    @property
    def following(self) -> Holder:
        """Who gets the slot next: the following stage, and capture after the sink."""
        return Holder.CAPTURE if self is Holder.SINK else Holder(self + 1)


LINE_KINDS = tuple(holder.name.lower() for holder in Holder if holder)
"""What the stages of a line are called, in the frames' way."""


class Planes(NamedTuple):
    """The three planes of an I420 frame, as views into its slot."""

    y: NDArray[np.uint8]
    """(height, width) luma."""
    u: NDArray[np.uint8]
    """(height / 2, width / 2) blue difference."""
    v: NDArray[np.uint8]
    """(height / 2, width / 2) red difference."""


class FrameHeader(ctypes.Structure):
    """What capture says about a frame, and the stamps that every stage leaves on it."""

    _fields_: ClassVar[Any] = [
        ("sequence", ctypes.c_uint64),
        ("put_ordinal", ctypes.c_uint64),
        ("delivery_ordinal", ctypes.c_uint64),
        ("pts", ctypes.c_int64),
        ("duration", ctypes.c_int64),
        ("captured_ns", ctypes.c_uint64),
        ("wall_ns", ctypes.c_uint64),
        ("taken_ns", ctypes.c_uint64 * STAGE_COUNT),
        ("put_ns", ctypes.c_uint64 * STAGE_COUNT),
        ("source_id", ctypes.c_uint32),
        ("epoch", ctypes.c_uint32),
        ("width", ctypes.c_uint32),
        ("height", ctypes.c_uint32),
        ("decoded_width", ctypes.c_uint32),
        ("decoded_height", ctypes.c_uint32),
        ("pixel_format", ctypes.c_uint32),
        ("color_range", ctypes.c_uint32),
        ("color_matrix", ctypes.c_uint32),
        ("rotation", ctypes.c_uint32),
        ("time_base_num", ctypes.c_uint32),
        ("time_base_den", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("holding", ctypes.c_uint32),
    ]
    sequence: int
    """Number of the frame in its source, from 0; frames left out have numbers too."""
    put_ordinal: int
    """How many frames of this source are in slots, or were, once this one is."""
    delivery_ordinal: int
    """How many frames of this source are delivered once this one is; 0 before that."""
    pts: int
    """Presentation time in units of the time base."""
    duration: int
    """How long the frame is to be shown, in units of the time base; 0 where unknown."""
    captured_ns: int
    """When the frame left the decoder, on the monotonic clock."""
    wall_ns: int
    """The same moment by the wall clock; never used for a duration."""
    taken_ns: ctypes.Array[ctypes.c_uint64]
    """(4,) when each stage took the slot, monotonic; index is `Holder.place`."""
    put_ns: ctypes.Array[ctypes.c_uint64]
    """(4,) when each stage gave the slot on, monotonic; index is `Holder.place`."""
    source_id: int
    epoch: int
    """Changes when the source starts anew or its picture changes size."""
    width: int
    """Of the planes in this slot (the canvas), in pixels."""
    height: int
    """Of the planes in this slot (the canvas), in pixels."""
    decoded_width: int
    """Of the picture as it was decoded, before rotation and fitting, in pixels."""
    decoded_height: int
    """Of the picture as it was decoded, before rotation and fitting, in pixels."""
    pixel_format: int
    color_range: int
    """0 limited (16..235), 1 full (0..255)."""
    color_matrix: int
    """1 = BT.709, 5 or 6 = BT.601 (FFmpeg's AVColorSpace numbers)."""
    rotation: int
    """Degrees clockwise that capture has already applied."""
    time_base_num: int
    time_base_den: int
    flags: int
    holding: int
    """Holder and generation in one word, so that one store changes both."""

    @property
    def holder(self) -> Holder:
        """Who owns the slot."""
        return Holder(self.holding & 0xFF)

    @property
    def generation(self) -> int:
        """Of the channel that the slot was given through last; 0 for none."""
        return int(self.holding >> 8)

    def hold(self, holder: Holder, generation: int = 0) -> None:
        """Say that the slot belongs to ``holder``, who gets it through that channel."""
        self.holding = holder | generation << 8

    @property
    def time_base(self) -> Fraction:
        """Seconds in one unit of ``pts``."""
        return Fraction(self.time_base_num, self.time_base_den)

    @property
    def pts_s(self) -> float:
        """Presentation time in seconds."""
        return float(self.pts * self.time_base_num / self.time_base_den)


def planes_of(pixels: NDArray[np.uint8], width: int, height: int) -> Planes:
    """Returns views of the three planes in ``pixels``.

    Args:
        pixels: (width * height * 3 / 2,) contiguous I420 bytes.
        width: Even, in pixels.
        height: Even, in pixels.
    """
    luma = width * height
    chroma = luma // 4
    half = (height // 2, width // 2)
    return Planes(
        y=pixels[:luma].reshape(height, width),
        u=pixels[luma : luma + chroma].reshape(half),
        v=pixels[luma + chroma : luma + 2 * chroma].reshape(half),
    )
