"""From a frame's planes to a network's input, without a full-size RGB picture in between."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from maskstream.engines.interface.fit import FitKind, placement
from maskstream.stream.memory.frame import Planes
from maskstream.stream.pixels.colors import YuvSpace


def network_input(
    planes: Planes,
    out: NDArray[np.uint8],
    *,
    color_range: int,
    color_matrix: int,
    fit: FitKind = "squash",
) -> None:
    """Write the frame to ``out``, fitted into a square and converted to RGB.

    The planes are scaled first: converting 416 x 416 pixels costs 50 us, converting 1080p 1 ms.
    A chroma sample counts as lying in the middle of its 2 x 2 pixels, which is where scaling each
    plane by its own centre puts it. MPEG-2 and H.264 mostly mean the left edge: half a pixel of the
    frame, far below one pixel of the input, and the same in training.

    Args:
        planes: An I420 frame.
        out: (S, S, 3) uint8, contiguous; owned by the caller, overwritten.
        color_range: 0 limited, 1 full.
        color_matrix: A key of ``colors.LUMA_WEIGHTS``.
        fit: What the engine's manifest says.

    Raises:
        ValueError: ``out`` is not a square RGB picture, or range or matrix is unknown.
    """
    side = out.shape[0]
    # OpenCV would quietly write a picture of its own where this one does not suit.
    if out.shape != (side, side, 3) or out.dtype != np.uint8:
        raise ValueError(f"network input: {out.shape} {out.dtype}; (S, S, 3) uint8 is needed.")
    height, width = planes[0].shape
    left, top, columns, rows, level = placement(fit, width, height, side)
    target = out
    if (columns, rows) != (side, side):
        out[:] = level
        target = out[top : top + rows, left : left + columns]
    # (rows, columns, 3) Y'CbCr 4:4:4
    scaled = cv2.merge([_shrunk(plane, columns, rows) for plane in planes])
    # One general path: this product takes 36 us. OpenCV's own conversions know BT.601 only, and
    # took longer: I420 to RGB 69 us, 4:4:4 to RGB 75 us, and two chroma planes at half size less.
    cv2.transform(scaled, rgb_matrix(color_range, color_matrix), target)


@lru_cache(maxsize=16)
def rgb_matrix(color_range: int, color_matrix: int) -> NDArray[np.float32]:
    """Return the (3, 4) matrix of `colors.YuvSpace.rgb_matrix`, made once."""
    return YuvSpace(color_range, color_matrix).rgb_matrix()


def _shrunk(plane: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Return ``plane`` as (height, width): halved while it is twice as large, then bilinear.

    Bilinear alone skips pixels beyond a factor of two, so thin things flicker; INTER_AREA weighs
    all of them, slowly. A whole input of 416 took, on one core: from 1080p 0.88 ms this way, 0.70
    bilinear, 4.0 by area; from 768 x 576, which is never halved, 0.30, 0.32 and 0.88
    (``tools.bench.scaling``).
    """
    scaled = plane
    rows, columns = plane.shape
    while rows >= 2 * height or columns >= 2 * width:
        is_tall, is_wide = rows >= 2 * height, columns >= 2 * width
        scaled = _halved(scaled, is_tall=is_tall, is_wide=is_wide)
        rows, columns = scaled.shape
    return _resized(scaled, width, height, cv2.INTER_LINEAR)


def _halved(plane: NDArray[np.uint8], *, is_tall: bool, is_wide: bool) -> NDArray[np.uint8]:
    """Return the means of the pixels that are covered; each way is the fast one in its case."""
    rows, columns = plane.shape
    if is_tall and not is_wide and rows % 2 == 0:  # crops of people: 3 us where resizing takes 18
        mean = cv2.addWeighted(plane[::2], 0.5, plane[1::2], 0.5, 0)
        return mean.astype(np.uint8, copy=False)
    # Of an odd side a pixel covers a little more than two, which bilinear scaling does not see.
    is_odd = (is_tall and rows % 2) or (is_wide and columns % 2)
    method = cv2.INTER_AREA if (is_tall and is_wide) or is_odd else cv2.INTER_LINEAR
    return _resized(plane, columns >> is_wide, rows >> is_tall, method)


def _resized(plane: NDArray[np.uint8], columns: int, rows: int, method: int) -> NDArray[np.uint8]:
    return cv2.resize(plane, (columns, rows), interpolation=method).astype(np.uint8, copy=False)
