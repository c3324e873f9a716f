"""From the rows of a YOLO-seg graph to instances: best class, NMS, prototype masks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maskstream.engines.decoding import prototypes as prototype_masks
from maskstream.engines.decoding.prototypes import Selection
from maskstream.engines.files.foreign import PROTOTYPE_STRIDE
from maskstream.engines.interface.backend import Outputs
from maskstream.engines.interface.fit import Fit
from maskstream.engines.interface.instances import Instances

NMS_IOU = 0.7
"""A box that overlaps a better one of its class by more than this is dropped."""
CANDIDATES_MAX = 2000
"""Best cells of a frame that take part in NMS: a frame of noise must not hold the line up."""


def assemble(outputs: Outputs, index: int, fit: Fit, selection: Selection) -> Instances:
    """Return the instances of one frame of a batch.

    Args:
        outputs: Two, told apart by their sides: predictions (B, 4 + C + M, P) and prototypes
            (B, M, Hp, Wp).
        index: The frame's place in the batch.
        fit: How the frame was fitted into the network's input.
        selection: Which rows become instances.
    """
    by_rank = {array.ndim: array for array in outputs.values()}
    prototypes = by_rank[4][index]  # (M, Hp, Wp)
    cells = np.asarray(by_rank[3][index], np.float32)  # (4 + C + M, P)
    mask_count, rows, columns = prototypes.shape
    class_scores = cells[4:-mask_count]  # (C, P)
    scores = class_scores.max(axis=0)
    likely = np.flatnonzero(scores >= selection.score_min)
    class_ids = class_scores[:, likely].argmax(axis=0)
    if selection.class_ids is not None:
        is_wanted = np.isin(class_ids, list(selection.class_ids))
        likely, class_ids = likely[is_wanted], class_ids[is_wanted]
    order = np.argsort(-scores[likely], kind="stable")[:CANDIDATES_MAX]
    likely, class_ids = likely[order], class_ids[order]
    boxes = _corners(cells[:4, likely].T) / (PROTOTYPE_STRIDE * np.array([columns, rows] * 2))
    keep = nms(boxes, class_ids, iou_max=NMS_IOU, count_max=selection.top_k)
    found = {
        "boxes": boxes[keep],
        "scores": scores[likely[keep]],
        "class_ids": class_ids[keep],
        "coefficients": cells[-mask_count:, likely[keep]].T,
        "prototypes": prototypes.transpose(1, 2, 0),  # (Hp, Wp, M)
    }
    one_frame = {name: array[None] for name, array in found.items()}
    return prototype_masks.assemble(one_frame, 0, fit, selection)


def nms(
    boxes: NDArray[np.float32], class_ids: NDArray[np.int64], *, iou_max: float, count_max: int
) -> NDArray[np.int64]:
    """Return the rows that stay when each is compared with the better ones that stayed.

    Args:
        boxes: (N, 4) corners, the best one first.
        class_ids: (N,); boxes of two classes do not drop each other.
        iou_max: The largest overlap with a better box that is kept.
        count_max: Rows at most; the others are not looked at.
    """
    area = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0), axis=1)
    is_left = np.ones(len(boxes), bool)
    kept: list[int] = []
    for row in range(len(boxes)):
        if not is_left[row]:
            continue
        kept.append(row)
        if len(kept) == count_max:
            break
        first = np.maximum(boxes[:, :2], boxes[row, :2])
        last = np.minimum(boxes[:, 2:], boxes[row, 2:])
        common = np.prod(np.maximum(last - first, 0.0), axis=1)
        union = area + area[row] - common
        is_left &= (common <= iou_max * union) | (class_ids != class_ids[row])
    return np.array(kept, np.int64)


def _corners(boxes_cxcywh: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (N, 4) left, top, right, bottom of boxes given by centre and size."""
    center, half = boxes_cxcywh[:, :2], boxes_cxcywh[:, 2:] / 2
    return np.concatenate([center - half, center + half], axis=1)
