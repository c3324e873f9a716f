"""A frame's number and clock, drawn into its luma so that a machine reads them back.

The stamp covers the top eighth of the picture over its full width: 32 x 4 cells, row by row, the
highest bit first: frame number (32 bits), clock in nanoseconds (64), CRC-32 of both (32). A
bright cell is a 1. Cells are fractions of the picture, so the reader needs no size: a stamp
survives scaling, and lossy encoding as long as a cell is some pixels large.
"""

from __future__ import annotations

import zlib
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_ROWS, _COLUMNS = 4, 32
_SHARE = Fraction(1, 8)
_DARK, _BRIGHT = 40, 210
_CONTRAST_MIN = 40


class Stamp(NamedTuple):
    """What a frame of this source says about itself."""

    frame_number: int
    """From 0."""
    clock_ns: int
    """The monotonic clock when the frame was drawn."""


def stamp_height(height: int) -> int:
    """Returns how many rows of a picture of ``height`` pixels its stamp takes; even."""
    return int(height * _SHARE / 2) * 2


def write_stamp(y_plane: NDArray[np.uint8], stamp: Stamp) -> None:
    """Draw ``stamp`` over the top of ``y_plane`` (H, W)."""
    body = stamp.frame_number.to_bytes(4, "big") + stamp.clock_ns.to_bytes(8, "big")
    code = body + zlib.crc32(body).to_bytes(4, "big")
    bits = np.unpackbits(np.frombuffer(code, np.uint8)).reshape(_ROWS, _COLUMNS)
    levels = np.where(bits, np.uint8(_BRIGHT), np.uint8(_DARK))
    height, width = y_plane.shape
    columns = _cell_edges(width, _COLUMNS)
    rows = _cell_edges(stamp_height(height), _ROWS)
    lines = np.repeat(levels, np.diff(columns), axis=1)  # (4, W)
    for line, top, bottom in zip(lines, rows[:-1], rows[1:], strict=True):
        y_plane[top:bottom] = line


def read_stamp(y_plane: NDArray[np.uint8]) -> Stamp:
    """Returns the stamp that a picture carries.

    Args:
        y_plane: (H, W) luma or grey, of any size that the whole picture was scaled to.

    Raises:
        ValueError: There is no stamp, or it is damaged.
    """
    height, width = y_plane.shape
    columns = _cell_centres(width, _COLUMNS)
    rows = _cell_centres(height * _SHARE, _ROWS)
    levels = np.array(
        [[y_plane[row, column].mean() for column in columns] for row in rows], np.float64
    )  # (4, 32)
    low, high = levels.min(), levels.max()
    if high - low < _CONTRAST_MIN:
        raise ValueError(f"stamp: a contrast of {high - low:.0f} in its place; there is none.")
    code = np.packbits((levels > (low + high) / 2).ravel()).tobytes()
    body, check = code[:-4], int.from_bytes(code[-4:], "big")
    if zlib.crc32(body) != check:
        raise ValueError("stamp: its checksum does not match; the picture is damaged or another.")
    return Stamp(int.from_bytes(body[:4], "big"), int.from_bytes(body[4:], "big"))


def _cell_edges(length_px: int, count: int) -> NDArray[np.intp]:
    return np.array([index * length_px // count for index in range(count + 1)], np.intp)


def _cell_centres(length_px: Fraction | int, count: int) -> list[slice]:
    """Returns the middle half of each cell: its edges blur when it is scaled or encoded."""
    cell_px = float(length_px / count)
    starts = [int((index + 0.25) * cell_px) for index in range(count)]
    return [slice(start, start + max(1, round(cell_px / 2))) for start in starts]
