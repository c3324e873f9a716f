"""From a graph's rows to instances: thresholds, boxes in frame pixels, mask patches.

Masks are assembled only for rows that pass the threshold and only inside their boxes, at prototype
resolution. Full-size masks never exist.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maskstream.engines.interface.backend import Outputs
from maskstream.engines.interface.fit import Fit
from maskstream.engines.interface.instances import Instances
from maskstream.engines.limits import TOP_K

MASK_SHARE = 0.43
"""A cell belongs to an object if it is at least so likely as the object's likeliest cell.

YOLACT asks for a probability of one half. A small network is unsure of small objects all over: most
of those under 32 pixels a side that it boxed rightly had a mask with holes, or none. Where the
likeliest cell is certain, as with larger networks, the rule differs little.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which rows become instances.

    Attributes:
        score_min: Rows must score at least this, in [0, 1].
        top_k: At most this many, the best ones.
        class_ids: Only these classes; all if None.
    """

    score_min: float = 0.3
    top_k: int = TOP_K
    class_ids: frozenset[int] | None = None


def assemble(outputs: Outputs, index: int, fit: Fit, selection: Selection) -> Instances:
    """Return the instances of one frame of a batch.

    Args:
        outputs: `boxes`, `scores`, `class_ids`, `coefficients` and `prototypes`.
        index: The frame's place in the batch.
        fit: How the frame was fitted into the network's input.
        selection: Which rows become instances.

    Source:
        YOLACT, section 3 and equation 1.
    """
    boxes_rel = np.clip(np.asarray(outputs["boxes"][index], np.float32), 0.0, 1.0)
    boxes = fit.to_frame(boxes_rel)
    rows = wanted_rows(outputs, index, boxes, selection)
    if len(rows) == 0:
        return Instances.empty()
    prototypes = np.asarray(outputs["prototypes"][index])
    cells = _cells(boxes_rel[rows], fit, prototypes.shape[1], prototypes.shape[0])
    coefficients = np.asarray(outputs["coefficients"][index], np.float32)[rows]
    return Instances(
        boxes_xyxy_src=boxes[rows],
        scores=np.asarray(outputs["scores"][index], np.float32)[rows],
        class_ids=np.asarray(outputs["class_ids"][index], np.int32)[rows],
        extents_xyxy_src=_extents(cells, fit, prototypes.shape[1], prototypes.shape[0]),
        patches=tuple(
            _patch(prototypes, row, cell) for row, cell in zip(coefficients, cells, strict=True)
        ),
    )


def wanted_rows(
    outputs: Outputs, index: int, boxes_xyxy_src: NDArray[np.float32], selection: Selection
) -> NDArray[np.int64]:
    """Return the rows of a frame that become instances, the best first.

    Args:
        outputs: With `scores` and `class_ids`, sorted by score.
        index: The frame's place in the batch.
        boxes_xyxy_src: (K, 4), in pixels of the frame; those without an area are left out.
        selection: Which rows are wanted.
    """
    scores = np.asarray(outputs["scores"][index], np.float32)
    boxes = boxes_xyxy_src
    has_area = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    is_wanted = (scores >= selection.score_min) & (scores > 0) & has_area
    if selection.class_ids is not None:
        class_ids = np.asarray(outputs["class_ids"][index])
        is_wanted &= np.isin(class_ids, list(selection.class_ids))
    return np.flatnonzero(is_wanted)[: selection.top_k]


def _cells(
    boxes_xyxy_rel: NDArray[np.float32], fit: Fit, columns: int, rows: int
) -> NDArray[np.int64]:
    """Return (N, 4) whole prototype cells that each box touches; ends are exclusive.

    The released code keeps one more on the right and at the bottom. On the shipped engine that
    costs 1.3 of mask AP50: what lies beyond the box is more often wrong than right.
    """
    left, top, right, bottom = fit.scaled_xyxy_rel  # a letterbox's bars belong to no mask
    edges = np.clip(boxes_xyxy_rel, [left, top] * 2, [right, bottom] * 2)
    edges = edges * np.array([columns, rows, columns, rows])
    cells: NDArray[np.int64] = np.concatenate(
        [np.floor(edges[:, :2]), np.ceil(edges[:, 2:])], axis=1
    ).astype(np.int64)
    return cells


def _extents(cells: NDArray[np.int64], fit: Fit, columns: int, rows: int) -> NDArray[np.int32]:
    """Return the (N, 4) frame rectangles that the cells cover, in whole pixels."""
    left, top, right, bottom = fit.scaled_xyxy_rel
    scale = np.array([fit.width / (right - left), fit.height / (bottom - top)] * 2)
    relative = cells / np.array([columns, rows] * 2) - np.array([left, top] * 2)
    # A cell may lie across the edge of a letterbox's bar; its patch is pressed into the frame.
    inside = np.clip(np.rint(relative * scale), 0, [fit.width, fit.height] * 2)
    edges: NDArray[np.int32] = inside.astype(np.int32)
    # A frame smaller than the prototypes must not make an empty rectangle.
    edges[:, :2] = np.minimum(edges[:, :2], np.array([fit.width, fit.height]) - 1)
    edges[:, 2:] = np.maximum(edges[:, 2:], edges[:, :2] + 1)
    return edges


def _patch(
    prototypes: NDArray[np.float32], coefficients: NDArray[np.float32], cell: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Return sigmoid(P c) over a box's cells; 127.5 of 255 is `MASK_SHARE` of the largest."""
    left, top, right, bottom = cell
    crop = np.asarray(prototypes[top:bottom, left:right], np.float32)  # (h, w, M)
    likely = 1.0 / (1.0 + np.exp(-np.clip(crop @ coefficients, -20.0, 20.0)))
    scaled = np.minimum(likely * (127.5 / MASK_SHARE / likely.max()), 255.0)
    patch: NDArray[np.uint8] = np.rint(scaled).astype(np.uint8)
    return patch
