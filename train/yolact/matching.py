"""Give every prior the ground truth that it has to learn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maskstream.engines.networks.yolact.priors import encode_boxes

POSITIVE_IOU = 0.5
NEGATIVE_IOU = 0.4
IGNORE_OVERLAP = 0.7
"""A prior that lies in an ignored region by more than this share of its area learns nothing."""

BACKGROUND = 0
NEUTRAL = -1


@dataclass(frozen=True, slots=True)
class Match:
    """What each prior learns.

    Attributes:
        labels: (P,) int64, class id + 1 for positives, else BACKGROUND or NEUTRAL.
        locations: (P, 4) float32, encoded boxes; meaningful for positives.
        owners: (P,) int64, the row of the prior's ground truth.
    """

    labels: NDArray[np.int64]
    locations: NDArray[np.float32]
    owners: NDArray[np.int64]


def match(
    priors: NDArray[np.float32],
    boxes_xyxy_rel: NDArray[np.float32],
    class_ids: NDArray[np.int64],
    ignored_xyxy_rel: NDArray[np.float32],
    *,
    is_exhaustive: bool = True,
) -> Match:
    """Match priors with one image's ground truth.

    Args:
        priors: (P, 4), centre and size.
        boxes_xyxy_rel: (N, 4), corners relative to the input.
        class_ids: (N,), 0-based.
        ignored_xyxy_rel: (I, 4), crowds and objects that are neither taught nor background.
        is_exhaustive: False where objects are left unlabelled: then only priors that touch a
            labelled object may be background.

    Source:
        Liu et al., "SSD", ECCV 2016, section 2.2, with YOLACT's forced pairs, thresholds and
        crowd rule.
    """
    corners = _corners(priors)
    if len(boxes_xyxy_rel) == 0:
        labels = np.full(len(priors), BACKGROUND if is_exhaustive else NEUTRAL, np.int64)
        labels[_is_ignored(corners, ignored_xyxy_rel)] = NEUTRAL
        zeros = np.zeros((len(priors), 4), np.float32)
        return Match(labels, zeros, np.zeros(len(priors), np.int64))
    overlaps = _iou(boxes_xyxy_rel, corners)  # (N, P)
    owners = overlaps.argmax(axis=0)
    best = overlaps[owners, np.arange(len(priors))]
    for truth, prior in force_pairs(overlaps):
        owners[prior], best[prior] = truth, 2.0
    labels = class_ids[owners] + 1
    labels[best < POSITIVE_IOU] = NEUTRAL
    labels[best < NEGATIVE_IOU] = BACKGROUND
    if not is_exhaustive:
        labels[best == 0] = NEUTRAL
    labels[(labels <= BACKGROUND) & _is_ignored(corners, ignored_xyxy_rel)] = NEUTRAL
    is_positive = labels > BACKGROUND
    locations = np.zeros((len(priors), 4), np.float32)
    locations[is_positive] = encode_boxes(boxes_xyxy_rel[owners[is_positive]], priors[is_positive])
    return Match(labels, locations, owners)


def force_pairs(overlaps: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Give every ground truth one prior of its own, the strongest pairs first.

    Args:
        overlaps: (N, P) IoU.

    Returns:
        N pairs of a ground truth's row and its prior's row, no row twice.
    """
    remaining = overlaps.copy()
    pairs = []
    row_best = remaining.argmax(axis=1)
    for _ in range(min(remaining.shape)):
        values = remaining[np.arange(len(remaining)), row_best]
        truth = int(values.argmax())
        prior = int(row_best[truth])
        pairs.append((truth, prior))
        remaining[truth, :] = -1.0
        remaining[:, prior] = -1.0
        # Only rows whose favourite was just taken have to look again.
        stale = row_best == prior
        row_best[stale] = remaining[stale].argmax(axis=1)
    return pairs


def _corners(priors: NDArray[np.float32]) -> NDArray[np.float32]:
    half = priors[:, 2:] / 2
    return np.concatenate([priors[:, :2] - half, priors[:, :2] + half], axis=1)


def _intersection(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (A, B) areas that (A, 4) and (B, 4) boxes share."""
    width = np.minimum(a[:, None, 2], b[None, :, 2]) - np.maximum(a[:, None, 0], b[None, :, 0])
    height = np.minimum(a[:, None, 3], b[None, :, 3]) - np.maximum(a[:, None, 1], b[None, :, 1])
    return np.asarray(np.maximum(width, 0) * np.maximum(height, 0), np.float32)


def _area(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    size = boxes[:, 2:] - boxes[:, :2]
    return np.asarray(size[:, 0] * size[:, 1], np.float32)


def _iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    shared = _intersection(a, b)
    return np.asarray(shared / (_area(a)[:, None] + _area(b)[None, :] - shared), np.float32)


def _is_ignored(corners: NDArray[np.float32], ignored: NDArray[np.float32]) -> NDArray[np.bool_]:
    if len(ignored) == 0:
        return np.zeros(len(corners), bool)
    inside = _intersection(ignored, corners).max(axis=0)
    return np.asarray(inside / _area(corners) > IGNORE_OVERLAP)
