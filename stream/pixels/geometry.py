"""From a decoded picture to the canvas: rotation, mirroring, square pixels, fitting.

The canvas is the frame size of a whole run. It is fixed by the first picture (``canvas_size``);
a picture of another size later on is fitted into it with black bars (``place``).
Scaling itself is the decoder library's work; here is decided how large, and the scaled planes
are turned and put in their place (``write_planes``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from maskstream.stream.memory.frame import Planes
from maskstream.stream.memory.source_info import RANGE_FULL

_BLACK_LIMITED = 16
_BLACK_FULL = 0
_CHROMA_NEUTRAL = 128
_TRACE = 100
"""A matrix entry this many times smaller than the largest counts as 0."""


@dataclass(frozen=True, slots=True)
class Orientation:
    """How to turn a decoded picture upright: transpose first, then flip."""

    transpose: bool = False
    flip_x: bool = False
    """Mirror left and right."""
    flip_y: bool = False
    """Mirror top and bottom."""

    @property
    def degrees(self) -> int:
        """Clockwise: 0, 90, 180 or 270. A mirrored picture is flipped left to right after it."""
        mirrored = self.transpose ^ self.flip_x ^ self.flip_y
        flip_x = self.flip_x ^ mirrored
        if self.transpose:
            return 90 if flip_x else 270
        return 180 if flip_x else 0


UPRIGHT = Orientation()


@dataclass(frozen=True, slots=True)
class Placement:
    """Where in the canvas a picture goes, in pixels."""

    scaled_width: int
    """To scale the decoded picture to, before it is turned."""
    scaled_height: int
    """To scale the decoded picture to, before it is turned."""
    left: int
    """Even."""
    top: int
    """Even."""
    width: int
    """Of the upright picture in the canvas, even."""
    height: int
    """Of the upright picture in the canvas, even."""


def orientation_of(display_matrix: Sequence[int]) -> Orientation | None:
    """Returns how a display matrix turns the picture; None if by no multiple of 90 degrees.

    Args:
        display_matrix: The 9 numbers (a b u; c d v; x y w) of a container's matrix, 16.16 fixed.

    Source:
        ISO/IEC 14496-12, 6.2.2: a point (p, q) goes to (a p + c q + x, b p + d q + y).
    """
    largest = max(abs(display_matrix[index]) for index in (0, 1, 3, 4))
    # Some writers compute the cosine of 90 degrees and leave a trace of it.
    a, b, c, d = (
        value if abs(value) * _TRACE > largest else 0
        for value in (display_matrix[index] for index in (0, 1, 3, 4))
    )
    if a and d and not (b or c):
        return Orientation(flip_x=a < 0, flip_y=d < 0)
    if b and c and not (a or d):
        # Shown x comes from q, shown y from p: a transposition.
        return Orientation(transpose=True, flip_x=c < 0, flip_y=b < 0)
    return None


def canvas_size(
    width: int, height: int, sample_aspect: Fraction, orientation: Orientation
) -> tuple[int, int]:
    """Returns (width, height) of the upright picture with square pixels, both even.

    An odd side grows by one, so that no pixel is lost; a side that is scaled anyway is rounded.
    """
    if sample_aspect == 1:
        shown = (_even_up(width), _even_up(height))
    else:
        shown = (_even_near(width * sample_aspect), _even_up(height))
    return (shown[1], shown[0]) if orientation.transpose else shown


def place(
    width: int,
    height: int,
    sample_aspect: Fraction,
    orientation: Orientation,
    canvas: tuple[int, int],
) -> Placement:
    """Returns where a decoded picture goes in a canvas: as large as fits, in the middle."""
    upright = canvas_size(width, height, sample_aspect, orientation)
    if upright == canvas:
        return _full(width, height, sample_aspect, orientation, canvas)
    turned = (canvas[1], canvas[0]) if orientation.transpose else canvas
    scale = min(turned[0] / (width * sample_aspect), Fraction(turned[1], height))
    scaled_width = min(_even_near(width * sample_aspect * scale), turned[0])
    scaled_height = min(_even_near(height * scale), turned[1])
    shown = (scaled_width, scaled_height)
    if orientation.transpose:
        shown = (scaled_height, scaled_width)
    left, top = ((canvas[axis] - shown[axis]) // 4 * 2 for axis in (0, 1))
    return Placement(scaled_width, scaled_height, left, top, *shown)


def write_planes(
    picture: Planes,
    orientation: Orientation,
    placement: Placement,
    color_range: int,
    destination: Planes,
) -> None:
    """Turn ``picture`` upright and write it to its place; all around becomes black.

    Args:
        picture: Scaled planes; may be strided views, and of odd size: a missing last row or
            column is then repeated from its neighbour.
        orientation: How to turn it.
        placement: From ``place``.
        color_range: 0 limited, 1 full.
        destination: The canvas.
    """
    canvas_height, canvas_width = destination.y.shape
    if (placement.width, placement.height) != (canvas_width, canvas_height):
        destination.y[...] = _BLACK_FULL if color_range == RANGE_FULL else _BLACK_LIMITED
        destination.u[...] = _CHROMA_NEUTRAL
        destination.v[...] = _CHROMA_NEUTRAL
    for index, (plane, target) in enumerate(zip(picture, destination, strict=True)):
        step = 1 if index == 0 else 2
        top, left = placement.top // step, placement.left // step
        window = target[top : top + placement.height // step, left : left + placement.width // step]
        _write_plane(plane, orientation, window)


def _full(
    width: int,
    height: int,
    sample_aspect: Fraction,
    orientation: Orientation,
    canvas: tuple[int, int],
) -> Placement:
    if sample_aspect == 1:
        return Placement(width, height, 0, 0, *canvas)
    turned = (canvas[1], canvas[0]) if orientation.transpose else canvas
    if turned == (width, height):  # pixels so nearly square that nothing is to be scaled
        return Placement(width, height, 0, 0, *canvas)
    return Placement(*turned, 0, 0, *canvas)


def _write_plane(
    plane: NDArray[np.uint8], orientation: Orientation, window: NDArray[np.uint8]
) -> None:
    if orientation.transpose:
        plane = np.asarray(cv2.transpose(plane), np.uint8)  # (W, H); numpy alone takes 8 times
    rows, columns = plane.shape
    # The last row or column of an odd picture ends up first where the picture is flipped.
    top = window.shape[0] - rows if orientation.flip_y else 0
    left = window.shape[1] - columns if orientation.flip_x else 0
    inner = window[top : top + rows, left : left + columns]
    if orientation.flip_x or orientation.flip_y:
        code = -1 if orientation.flip_x and orientation.flip_y else int(orientation.flip_x)
        cv2.flip(plane, code, dst=inner)
    else:
        np.copyto(inner, plane)
    if columns < window.shape[1]:
        edge, neighbour = (0, 1) if left else (-1, -2)
        window[:, edge] = window[:, neighbour]
    if rows < window.shape[0]:
        edge, neighbour = (0, 1) if top else (-1, -2)
        window[edge] = window[neighbour]


def _even_up(side_px: int) -> int:
    return side_px + side_px % 2


def _even_near(side_px: Fraction | float) -> int:
    return max(2, round(side_px / 2) * 2)
