"""From a frame's planes to a JPEG, without RGB in between.

A JPEG holds planes too, always BT.601 in full range (JFIF). So a frame is scaled plane by plane,
moved to that colour space, and handed to the encoder as it is. A 1080p frame became a JPEG of
960 x 540 in 1.1 ms on one core this way; by way of BGR and OpenCV, which knows BT.601 only, in 2.1,
and by FFmpeg's scaler and encoder in 3.2.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from maskstream.stream.memory.frame import Planes
from maskstream.stream.pixels.colors import LUMA_WEIGHTS, YuvSpace

SIDE_MAX_PX = 960
"""A frame with a longer side is scaled down to it: a tile is hardly larger, and costs less."""
QUALITY = 80

_BT601 = 6
_LUMA_SHIFT = 64.0
"""Keeps a correction of luma, at most 52 either way, above zero while it lies in eight bits."""
_SAME = 1e-6


class _Terms(NamedTuple):
    """One row of the way from a frame's Y'CbCr to JFIF's."""

    y: float
    u: float
    v: float
    offset: float


def encode_jpeg(planes: Planes, *, color_range: int, color_matrix: int) -> bytes:
    """Return the frame as a JPEG, no side longer than SIDE_MAX_PX.

    Args:
        planes: An I420 frame.
        color_range: 0 limited, 1 full.
        color_matrix: A key of ``colors.LUMA_WEIGHTS``.

    Raises:
        ValueError: Range or matrix is unknown.
    """
    height, width = planes.y.shape
    size = fitted_size(width, height)
    scaled = planes if size == (width, height) else _scaled(planes, *size)
    jfif = _to_jfif(scaled, color_range, color_matrix)
    return bytes(simplejpeg.encode_jpeg_yuv_planes(*jfif, quality=QUALITY))


def fitted_size(width: int, height: int) -> tuple[int, int]:
    """Return the size in pixels, both even, that a frame is shown in; never larger than it is."""
    factor = min(1.0, SIDE_MAX_PX / max(width, height))
    fitted_width, fitted_height = (max(2, round(side * factor / 2) * 2) for side in (width, height))
    return fitted_width, fitted_height


def _scaled(planes: Planes, width: int, height: int) -> Planes:
    return Planes(
        _shrunk(planes.y, width, height),
        _shrunk(planes.u, width // 2, height // 2),
        _shrunk(planes.v, width // 2, height // 2),
    )


def _shrunk(plane: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Return ``plane`` halved while it is twice as large, then bilinear, so no pixel is skipped."""
    rows, columns = plane.shape
    while rows >= 2 * height and columns >= 2 * width:
        rows, columns = rows // 2, columns // 2
        plane = _resized(plane, columns, rows, cv2.INTER_AREA)
    return _resized(plane, width, height, cv2.INTER_LINEAR)


def _resized(plane: NDArray[np.uint8], columns: int, rows: int, method: int) -> NDArray[np.uint8]:
    return cv2.resize(plane, (columns, rows), interpolation=method).astype(np.uint8, copy=False)


def _to_jfif(planes: Planes, color_range: int, color_matrix: int) -> Planes:
    """Return the planes in BT.601 and full range."""
    luma, blue, red = _rows(color_range, color_matrix)
    y, u, v = planes
    return Planes(
        _luma(y, u, v, luma),
        u if _is_same(blue, 1) else _mixed(u, blue.u, v, blue.v, blue.offset),
        v if _is_same(red, 2) else _mixed(u, red.u, v, red.v, red.offset),
    )


def _luma(
    y: NDArray[np.uint8], u: NDArray[np.uint8], v: NDArray[np.uint8], row: _Terms
) -> NDArray[np.uint8]:
    if _is_same(row, 0):
        return y
    if abs(row.u) < _SAME and abs(row.v) < _SAME:
        return _mixed(y, row.y, y, 0.0, row.offset)
    # What the other matrix adds varies as slowly as chroma does, and is worked out at its size.
    neutral = 128 * (row.u + row.v)
    shift = _mixed(u, row.u, v, row.v, _LUMA_SHIFT - neutral)
    height, width = y.shape
    shift = _resized(shift, width, height, cv2.INTER_LINEAR)
    return _mixed(y, row.y, shift, 1.0, row.offset + neutral - _LUMA_SHIFT)


def _mixed(
    one: NDArray[np.uint8], weight: float, other: NDArray[np.uint8], its: float, offset: float
) -> NDArray[np.uint8]:
    """Return weight * one + its * other + offset, cut to 0..255."""
    return cv2.addWeighted(one, weight, other, its, offset).astype(np.uint8, copy=False)


@lru_cache(maxsize=16)
def _rows(color_range: int, color_matrix: int) -> tuple[_Terms, _Terms, _Terms]:
    """Return what makes JFIF's Y, Cb and Cr of the frame's (Y, U, V, 1), 0..255 each.

    Source:
        ITU-T T.871 (JFIF), section 7: full-range BT.601.
    """
    kr, kb = LUMA_WEIGHTS[_BT601]
    kg = 1 - kr - kb
    weights = np.array([kr, kg, kb])
    blue, red = np.array([0.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.0])
    from_rgb = np.array([weights, (blue - weights) / (2 - 2 * kb), (red - weights) / (2 - 2 * kr)])
    combined = from_rgb @ YuvSpace(color_range, color_matrix).rgb_matrix().astype(np.float64)
    combined[1:, 3] += 128
    luma, blue_row, red_row = (_Terms(*map(float, row)) for row in combined)
    return luma, blue_row, red_row


def _is_same(row: _Terms, place: int) -> bool:
    """Whether a row only passes on what stands at ``place``."""
    wanted = [0.0, 0.0, 0.0, 0.0]
    wanted[place] = 1.0
    return max(abs(term - value) for term, value in zip(row, wanted, strict=True)) < 1e-3
