"""How much two instances overlap: by their boxes, and by their masks where boxes do not tell."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from maskstream.engines.interface.instances import MASK_THRESHOLD

Floats = NDArray[np.float64]

_GRID_PX = 32
"""Longest side of the grid on which masks are compared; finer grids changed no assignment."""


def box_ious(first: Floats, second: Floats, buffer: float = 0.0) -> Floats:
    """Return (M, N) intersections over unions of (M, 4) and (N, 4) corners.

    Args:
        first: Left, top, right, bottom.
        second: The same.
        buffer: By which share of its sides each box is first grown on every side, so that boxes
            that just miss each other can still be told from those far away.

    Source:
        F. Yang et al., "Hard to Track Objects with Irregular Motions and Similar Appearances?
        Make It Easier by Buffering the Matching Space" (WACV 2023), for the buffer.
    """
    if buffer:
        first, second = _grown(first, buffer), _grown(second, buffer)
    left_top = np.maximum(first[:, None, :2], second[None, :, :2])
    right_bottom = np.minimum(first[:, None, 2:], second[None, :, 2:])
    sides = np.maximum(right_bottom - left_top, 0)
    shared = sides[..., 0] * sides[..., 1]
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (first, second)]
    return np.asarray(shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-9))


def _grown(boxes: Floats, share: float) -> Floats:
    margin = (boxes[:, 2:] - boxes[:, :2]) * share
    return np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + margin], axis=1)


class Shape:
    """A mask that can be moved and scaled: a probability patch and the rectangle it covers."""

    def __init__(self, patch: NDArray[np.uint8], extent_xyxy: NDArray[np.int32] | Floats) -> None:
        """Keep a patch.

        Args:
            patch: (h, w) 0..255 for a probability of 0..1; kept, not copied.
            extent_xyxy: (4,) edges of the rectangle that it covers, in pixels.
        """
        self.patch = patch
        self.extent = np.asarray(extent_xyxy, np.float64)

    def moved(self, box: Floats, to: Floats) -> Shape:
        """Return the shape as it is when its box ``box`` has become the box ``to``."""
        scale = (to[2:] - to[:2]) / np.maximum(box[2:] - box[:2], 1e-6)
        corners = self.extent.reshape(2, 2)
        return Shape(self.patch, ((corners - box[:2]) * scale + to[:2]).ravel())

    def inside(self, width: int, height: int) -> Shape | None:
        """Return the shape on whole pixels inside a frame; None where nothing of it is.

        What lies outside is cut off with the cells of the patch that it covers.
        """
        edges = np.rint(self.extent)
        limits = np.array([0, 0, width, height], np.float64)
        kept = np.concatenate(
            [np.maximum(edges[:2], limits[:2]), np.minimum(edges[2:], limits[2:])]
        )
        if (kept[2:] - kept[:2]).min() < 1:
            return None
        if np.array_equal(kept, edges):
            return Shape(self.patch, edges)
        rows, columns = self.patch.shape
        per_pixel = np.array([columns, rows]) / np.maximum(edges[2:] - edges[:2], 1)
        first = np.floor((kept[:2] - edges[:2]) * per_pixel).astype(int)
        last = np.ceil((kept[2:] - edges[:2]) * per_pixel).astype(int)
        last = np.maximum(last, first + 1)
        return Shape(self.patch[first[1] : last[1], first[0] : last[0]], kept)

    def on_grid(self, window: Floats, columns: int, rows: int) -> NDArray[np.bool_]:
        """Return which of (rows, columns) equal cells of ``window`` lie in the mask, by centre."""
        width, height = np.maximum(self.extent[2:] - self.extent[:2], 1e-6)
        patch_rows, patch_columns = self.patch.shape
        cell = (window[2:] - window[:2]) / (columns, rows)
        # Grid cell centres in the patch's own pixels.
        across, down = patch_columns / width, patch_rows / height
        matrix = np.array(
            [
                [cell[0] * across, 0, (window[0] + cell[0] / 2 - self.extent[0]) * across - 0.5],
                [0, cell[1] * down, (window[1] + cell[1] / 2 - self.extent[1]) * down - 0.5],
            ]
        )
        grid = cv2.warpAffine(
            self.patch,
            matrix,
            (columns, rows),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=0,
        )
        return np.asarray(grid >= MASK_THRESHOLD)


def mask_iou(first: Shape, second: Shape) -> float:
    """Return the intersection over union of two masks, on a common coarse grid."""
    grids = _common_grid(first, second)
    if grids is None:
        return 0.0
    union = np.count_nonzero(grids[0] | grids[1])
    return float(np.count_nonzero(grids[0] & grids[1]) / union) if union else 0.0


def mask_share(inner: Shape, outer: Shape) -> float:
    """Return which share of ``inner``'s pixels lie in ``outer`` too."""
    grids = _common_grid(inner, outer)
    if grids is None:
        return 0.0
    count = np.count_nonzero(grids[0])
    return float(np.count_nonzero(grids[0] & grids[1]) / count) if count else 0.0


def _common_grid(first: Shape, second: Shape) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
    """Return both masks on one grid; None where their rectangles do not meet."""
    shared = np.minimum(first.extent[2:], second.extent[2:]) - np.maximum(
        first.extent[:2], second.extent[:2]
    )
    if shared.min() <= 0:
        return None
    window = np.concatenate(
        [
            np.minimum(first.extent[:2], second.extent[:2]),
            np.maximum(first.extent[2:], second.extent[2:]),
        ]
    )
    size = window[2:] - window[:2]
    columns, rows = np.maximum(np.ceil(size / size.max() * _GRID_PX), 1).astype(int).tolist()
    return first.on_grid(window, columns, rows), second.on_grid(window, columns, rows)
