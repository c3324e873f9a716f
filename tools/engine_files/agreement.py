"""How far two engines agree: their graphs' outputs, and the instances that they see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskstream.engines.interface.backend import Outputs
from maskstream.engines.interface.instances import Instances

MATCH_IOU = 0.5
"""Two boxes that overlap by at least this can be of one object."""


@dataclass(slots=True)
class OutputDifference:
    """Of one output, over all frames.

    Attributes:
        shape: Of one frame.
        largest: The largest difference of two values.
        mean: Over all values; of the frames' means.
        frame_count: Frames that had any values to compare.
    """

    shape: tuple[int, ...]
    largest: float = 0.0
    mean: float = 0.0
    frame_count: int = 0


@dataclass(slots=True)
class OutputDifferences:
    """What is added up frame by frame."""

    by_name: dict[str, OutputDifference] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    """Outputs that cannot be compared, and why."""

    def add(self, first: Outputs, second: Outputs, *, score_min: float) -> None:
        """Take in the outputs of one more frame, each with a batch of one.

        Where they hold rows of detections, those that score enough are compared, each with the row
        of the same object: rows of nearly equal score may change places, and what unused rows hold
        means nothing.
        """
        shapes = {name: array.shape[1:] for name, array in first.items()}
        first, second = _rows_side_by_side(first, second, score_min)
        for name in sorted({*first, *second}):
            if name not in first or name not in second:
                self.left_out[name] = f"only in {'B' if name in second else 'A'}"
                continue
            a, b = first[name][0], second[name][0]
            if a.shape != b.shape:
                self.left_out[name] = f"{a.shape} in A, {b.shape} in B"
                continue
            if a.size == 0:
                continue
            gap = np.abs(a.astype(np.float64) - b.astype(np.float64))
            so_far = self.by_name.setdefault(name, OutputDifference(shapes[name]))
            so_far.frame_count += 1
            # A value that is no number would pass every bound by comparing as false.
            so_far.largest = max(so_far.largest, float(np.nan_to_num(gap, nan=np.inf).max()))
            so_far.mean += (float(gap.mean()) - so_far.mean) / so_far.frame_count


@dataclass(slots=True)
class InstanceAgreement:
    """What is added up frame by frame.

    Attributes:
        frame_count: Frames that were taken in.
        counts: Instances of A and of B.
        mask_ious: Of the matched ones.
        score_gaps: Of the matched ones.
    """

    frame_count: int = 0
    counts: tuple[int, int] = (0, 0)
    mask_ious: list[float] = field(default_factory=list)
    score_gaps: list[float] = field(default_factory=list)

    def add(
        self, first: Instances, second: Instances, names: tuple[Sequence[str], Sequence[str]]
    ) -> None:
        """Take in one more frame; ``names`` are the class names of both engines, by class id."""
        self.frame_count += 1
        self.counts = (self.counts[0] + len(first), self.counts[1] + len(second))
        for a, b in matches(first, second, names):
            self.mask_ious.append(mask_iou(first, a, second, b))
            self.score_gaps.append(abs(float(first.scores[a]) - float(second.scores[b])))

    @property
    def matched(self) -> float:
        """The share of both engines' instances that the other one sees too."""
        return 2 * len(self.mask_ious) / sum(self.counts)

    def iou(self, percent: float) -> float:
        """Return a percentile of the mask IoUs; 0 where nothing is matched."""
        return float(np.percentile(self.mask_ious, percent)) if self.mask_ious else 0.0


def matches(
    first: Instances, second: Instances, names: tuple[Sequence[str], Sequence[str]]
) -> list[tuple[int, int]]:
    """Return pairs of instances of one class whose boxes overlap, the best overlap first."""
    classes = tuple(
        np.array([of[class_id] for class_id in found.class_ids], object)
        for found, of in zip((first, second), names, strict=True)
    )
    return _pairs((first.boxes_xyxy_src, second.boxes_xyxy_src), classes)


def mask_iou(first: Instances, a: int, second: Instances, b: int) -> float:
    """Return the IoU of two masks at the frame's resolution; 1 where both are empty."""
    extents = np.stack([first.extents_xyxy_src[a], second.extents_xyxy_src[b]])
    left, top = extents[:, :2].min(axis=0)
    right, bottom = extents[:, 2:].max(axis=0)
    masks = np.zeros((2, bottom - top, right - left), bool)
    for mask, extent, part in zip(masks, extents, (first.mask(a), second.mask(b)), strict=True):
        x, y = extent[0] - left, extent[1] - top
        mask[y : y + part.shape[0], x : x + part.shape[1]] = part
    union = int((masks[0] | masks[1]).sum())
    return int((masks[0] & masks[1]).sum()) / union if union else 1.0


def _rows_side_by_side(
    first: Outputs, second: Outputs, score_min: float
) -> tuple[Outputs, Outputs]:
    """Return outputs whose row i means one object in both; as they are where they hold no rows."""
    both = first, second
    if not all({"boxes", "scores", "class_ids"} <= set(outputs) for outputs in both):
        return both
    rows = [np.flatnonzero(outputs["scores"][0] >= score_min) for outputs in both]
    boxes, classes = (
        tuple(outputs[name][0][kept] for outputs, kept in zip(both, rows, strict=True))
        for name in ("boxes", "class_ids")
    )
    pairs = np.array(_pairs((boxes[0], boxes[1]), (classes[0], classes[1])), int).reshape(-1, 2)
    sides = []
    for side, outputs in enumerate(both):
        chosen = rows[side][pairs[:, side]]
        count = outputs["scores"].shape[1]
        sides.append(
            {
                name: array[:, chosen] if array.shape[1] == count else array
                for name, array in outputs.items()
            }
        )
    return sides[0], sides[1]


def _pairs(
    boxes: tuple[NDArray[Any], NDArray[Any]], classes: tuple[NDArray[Any], ...]
) -> list[tuple[int, int]]:
    """Return pairs of rows of one class whose boxes overlap, the best overlap first."""
    iou = _box_ious(*boxes)
    iou[classes[0][:, None] != classes[1][None]] = 0.0
    pairs = []
    for place in np.argsort(-iou, axis=None):
        a, b = divmod(int(place), iou.shape[1])
        if iou[a, b] >= MATCH_IOU:  # what is taken already has 0
            pairs.append((a, b))
            iou[a], iou[:, b] = 0.0, 0.0
    return pairs


def _box_ious(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.float64]:
    """Return (N, M) overlaps of (N, 4) and (M, 4) corners."""
    start = np.maximum(first[:, None, :2], second[None, :, :2])
    end = np.minimum(first[:, None, 2:], second[None, :, 2:])
    common = np.prod(np.maximum(end - start, 0.0), axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None] - common
    iou: NDArray[np.float64] = common / np.maximum(union, 1e-12)
    return iou
