"""What each row of a YOLO network has to learn, and the losses.

Source: Redmon and Farhadi, "YOLOv3", 2018, section 2.1, with the weights and the rule for ignored
rows of Darknet's ``yolo`` layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name that everybody reads

from maskstream.engines.networks.yolov3.network import Cells, YoloHead, decode
from maskstream.train.samples.targets import BatchTargets

IGNORE_IOU = 0.7
"""A row whose box overlaps an object by more than this is not background, though not taught."""
IGNORE_OVERLAP = 0.7
"""A row whose box lies in an ignored region by more than this share of its area is neither."""
UNTAUGHT = -1


@dataclass(frozen=True, slots=True)
class YoloTargets(BatchTargets):
    """What one batch has to learn.

    Attributes:
        boxes_xyxy_rel: B tensors (N, 4), relative to the input.
        class_ids: B tensors (N,).
        ignored_xyxy_rel: B tensors (I, 4), crowds and what is too small.
        is_exhaustive: (B,) of bool, what is not labelled is background.
    """

    boxes_xyxy_rel: list[Tensor]
    class_ids: list[Tensor]
    ignored_xyxy_rel: list[Tensor]
    is_exhaustive: Tensor


def assign(
    boxes_xyxy_rel: NDArray[np.float32],
    heads: Sequence[YoloHead],
    side_px: int,
    anchor_iou_min: float = 1.0,
) -> NDArray[np.int64]:
    """Give each object of a picture the rows that learn it.

    An object is learnt in the cell that its centre lies in, by the anchor that is most like it in
    shape, of all heads together.

    Args:
        boxes_xyxy_rel: (N, 4), relative to the input.
        heads: In the order of the network's rows.
        side_px: Of the input.
        anchor_iou_min: Anchors whose shape overlaps the object's by more than this learn it too;
            1 for the best alone.

    Returns:
        The object of each of the network's rows, `UNTAUGHT` where there is none. Where two want a
        row, it goes to the one that fits its anchor better.
    """
    anchors = np.array([anchor for head in heads for anchor in head.anchors_px], np.float32)
    sizes = (boxes_xyxy_rel[:, 2:] - boxes_xyxy_rel[:, :2]) * side_px
    shared = np.minimum(sizes[:, None], anchors).prod(axis=2)  # (N, A)
    ious = shared / (sizes.prod(axis=1)[:, None] + anchors.prod(axis=1) - shared)
    is_taken = ious > anchor_iou_min
    is_taken[np.arange(len(ious)), ious.argmax(axis=1)] = True
    first_rows, first_anchors = _firsts(heads, side_px)
    rows, truths, fits = [], [], []
    centers = (boxes_xyxy_rel[:, :2] + boxes_xyxy_rel[:, 2:]) / 2
    for head, first_row, first_anchor in zip(heads, first_rows, first_anchors, strict=False):
        count, anchor_count = side_px // head.stride, len(head.anchors_px)
        cells = np.clip((centers * count).astype(np.int64), 0, count - 1)
        mine = slice(first_anchor, first_anchor + anchor_count)
        truth, anchor = is_taken[:, mine].nonzero()
        column, row = cells[truth].T
        rows.append(first_row + (row * count + column) * anchor_count + anchor)
        truths.append(truth)
        fits.append(ious[truth, first_anchor + anchor])
    order = np.argsort(np.concatenate(fits), kind="stable")
    owners = np.full(first_rows[-1], UNTAUGHT, np.int64)
    # Of several values for one place numpy keeps the last.
    owners[np.concatenate(rows)[order]] = np.concatenate(truths)[order]
    return owners


def yolo_losses(
    raw: Tensor,
    targets: YoloTargets,
    heads: Sequence[YoloHead],
    cells: Cells,
    side_px: int,
    *,
    anchor_iou_min: float = 1.0,
    image_count: int | None = None,
) -> dict[str, Tensor]:
    """Return the losses of boxes, objectness and classes, each a sum over rows, a picture's mean.

    Args:
        raw: (B, R, 5 + classes) of `Yolo.forward`.
        heads: Of the network.
        cells: Of the same input size, on the device of ``raw``.
        side_px: Of the input.
        anchor_iou_min: As `assign` takes it.
        image_count: Pictures of the whole batch; those of ``raw`` if None.
    """
    raw = raw.float()
    sums = {name: raw.new_zeros(()) for name in ("box", "objectness", "classes")}
    for index, boxes in enumerate(targets.boxes_xyxy_rel):
        found = assign(boxes.cpu().numpy(), heads, side_px, anchor_iou_min)
        owners = torch.from_numpy(found).to(raw.device)
        rows = (owners != UNTAUGHT).nonzero()[:, 0]
        is_taught = (owners != UNTAUGHT).float()
        counts = is_taught.bool() | is_background(
            raw[index].detach(),
            boxes,
            targets.ignored_xyxy_rel[index],
            cells,
            side_px,
            is_exhaustive=bool(targets.is_exhaustive[index]),
        )
        sums["objectness"] = sums["objectness"] + F.binary_cross_entropy_with_logits(
            raw[index, :, 4], is_taught, weight=counts.float(), reduction="sum"
        )
        truth, class_ids = boxes[owners[rows]], targets.class_ids[index][owners[rows]]
        mine = Cells(*(part[rows] for part in cells))
        sums["box"] = sums["box"] + box_loss(raw[index, rows, :4], truth, mine, side_px)
        named = F.one_hot(class_ids, raw.shape[2] - 5).float()
        sums["classes"] = sums["classes"] + F.binary_cross_entropy_with_logits(
            raw[index, rows, 5:], named, reduction="sum"
        )
    count = len(raw) if image_count is None else image_count
    return {name: value / count for name, value in sums.items()}


def box_loss(raw: Tensor, boxes_xyxy_rel: Tensor, cells: Cells, side_px: int) -> Tensor:
    """Return the summed loss of rows' boxes: cross-entropy of the centres, squares of the sizes.

    Its gradient is that of Darknet: ``sigmoid(t) - target`` and ``t - target``, times two minus
    the share of the picture that the object fills, so that small ones count for more.

    Args:
        raw: (n, 4), tx, ty, tw and th.
        boxes_xyxy_rel: (n, 4), what they have to be.
        cells: Of these rows.
        side_px: Of the input.
    """
    size = boxes_xyxy_rel[:, 2:] - boxes_xyxy_rel[:, :2]
    center_px = (boxes_xyxy_rel[:, :2] + boxes_xyxy_rel[:, 2:]) / 2 * side_px
    offset = center_px / cells.strides - cells.corners
    share = ((offset + (cells.xy_scales - 1) / 2) / cells.xy_scales).clamp(0, 1)
    weight = (2 - size.prod(dim=1, keepdim=True)).expand(-1, 2)
    center = F.binary_cross_entropy_with_logits(raw[:, :2], share, weight=weight, reduction="sum")
    wanted = torch.log((size * side_px / cells.anchors_px).clamp(min=1e-6))
    return center + (weight * (raw[:, 2:] - wanted).square()).sum() / 2


def is_background(
    raw: Tensor,
    boxes_xyxy_rel: Tensor,
    ignored_xyxy_rel: Tensor,
    cells: Cells,
    side_px: int,
    *,
    is_exhaustive: bool,
) -> Tensor:
    """Say which rows' boxes, as they are now, show nothing.

    Args:
        raw: (R, 5 + classes) of one picture.
        boxes_xyxy_rel: (N, 4), its objects.
        ignored_xyxy_rel: (I, 4), what is neither object nor background.
        is_exhaustive: False where objects are left unlabelled: then only boxes that touch a
            labelled object may be background.

    Returns:
        (R,) of bool.
    """
    centers_sizes = decode(raw.unsqueeze(0), cells)[0, :, :4] / side_px
    half = centers_sizes[:, 2:] / 2
    found = torch.cat([centers_sizes[:, :2] - half, centers_sizes[:, :2] + half], dim=1)
    areas = _areas(found)
    shared = _shared(found, boxes_xyxy_rel)  # (R, N)
    ious = shared / (areas[:, None] + _areas(boxes_xyxy_rel) - shared).clamp(min=1e-9)
    best = F.pad(ious, (1, 0)).amax(dim=1)  # a picture may be of nothing
    inside = F.pad(_shared(found, ignored_xyxy_rel), (1, 0)).amax(dim=1) / areas.clamp(min=1e-9)
    is_free = (best <= IGNORE_IOU) & (inside <= IGNORE_OVERLAP)
    return is_free if is_exhaustive else is_free & (best > 0)


def _firsts(heads: Sequence[YoloHead], side_px: int) -> tuple[list[int], list[int]]:
    """Return each head's first row and first anchor, and at last the counts of both."""
    anchor_counts = [len(head.anchors_px) for head in heads]
    row_counts = [
        (side_px // head.stride) ** 2 * count
        for head, count in zip(heads, anchor_counts, strict=True)
    ]
    return [0, *np.cumsum(row_counts).tolist()], [0, *np.cumsum(anchor_counts).tolist()]


def _areas(boxes: Tensor) -> Tensor:
    return (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)


def _shared(a: Tensor, b: Tensor) -> Tensor:
    """Return (A, B) areas that (A, 4) and (B, 4) boxes have in common."""
    left, top, right, bottom = (
        pick(a[:, None, side], b[None, :, side])
        for side, pick in enumerate((torch.maximum, torch.maximum, torch.minimum, torch.minimum))
    )
    return (right - left).clamp(min=0) * (bottom - top).clamp(min=0)
