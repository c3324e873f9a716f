"""The tail of the graph: scores, boxes and Fast NMS, with static shapes so that it exports.

Source: Bolya et al., "YOLACT", ICCV 2019, section 5 (Fast NMS) and the thresholds of its code.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from engines.yolact.network import RawOutputs, Yolact
from engines.yolact.priors import CENTER_VARIANCE, SIZE_VARIANCE, make_priors

CANDIDATE_COUNT = 200
"""Best priors of each class that take part in NMS."""
DETECTION_COUNT = 100
"""Rows that leave the graph."""
NMS_IOU = 0.5
"""A box that overlaps a better one of its class by more than this is dropped."""


class Detections(NamedTuple):
    """The graph's outputs, rows by falling score, unused rows with score 0.

    ``boxes`` (B, K, 4) relative xyxy; ``scores`` (B, K); ``class_ids`` (B, K) int32, 0-based;
    ``coefficients`` (B, K, M); ``prototypes`` (B, Hp, Wp, M).
    """

    boxes: Tensor
    scores: Tensor
    class_ids: Tensor
    coefficients: Tensor
    prototypes: Tensor


class YolactDetector(nn.Module):
    """A YOLACT network with everything between pixels and rows of detections.

    Args:
        network: The trained network; it is switched to evaluation.
    """

    def __init__(self, network: Yolact) -> None:
        super().__init__()
        self.network = network.eval()
        self.register_buffer("priors", torch.from_numpy(make_priors(network.config)), False)

    def forward(self, frames: Tensor) -> Detections:
        """Detect on (B, S, S, 3) uint8 RGB frames."""
        return detect(self.network(frames), cast(Tensor, self.priors))


def detect(raw: RawOutputs, priors: Tensor) -> Detections:
    """Turn a network's raw outputs into rows of detections.

    Args:
        raw: Of a network in evaluation.
        priors: (P, 4) as `make_priors` gives them.
    """
    # Softmax, exp and the IoU stay in float32 whatever the network runs in.
    scores = torch.softmax(raw.logits.float(), dim=-1)[..., 1:].transpose(1, 2)  # (B, C, P)
    boxes = decode(raw.locations.float(), priors)
    candidate_count = min(CANDIDATE_COUNT, priors.shape[0])
    top_scores, top_rows = torch.topk(scores, candidate_count, dim=2)  # (B, C, n)
    class_count = scores.shape[1]
    flat_rows = top_rows.flatten(1)  # (B, C * n)
    flat_boxes = _gather(boxes, flat_rows)
    kept_scores = top_scores * fast_nms(
        flat_boxes.view(-1, class_count, candidate_count, 4), NMS_IOU
    )
    detection_count = min(DETECTION_COUNT, class_count * candidate_count)
    best_scores, best = torch.topk(kept_scores.flatten(1), detection_count, dim=1)  # (B, K)
    return Detections(
        boxes=_gather(flat_boxes, best),
        scores=best_scores,
        class_ids=torch.div(best, candidate_count, rounding_mode="floor").to(torch.int32),
        coefficients=_gather(raw.coefficients.float(), torch.gather(flat_rows, 1, best)),
        prototypes=raw.prototypes.float(),
    )


def decode(locations: Tensor, priors: Tensor) -> Tensor:
    """Return (B, P, 4) relative corners; the torch form of `engines.yolact.priors.decode_boxes`."""
    center = priors[:, :2] + CENTER_VARIANCE * locations[..., :2] * priors[:, 2:]
    size = priors[:, 2:] * torch.exp(SIZE_VARIANCE * locations[..., 2:])
    return torch.cat([center - size / 2, center + size / 2], dim=-1)


def fast_nms(boxes: Tensor, iou_max: float) -> Tensor:
    """Say which boxes stay when each is compared with all better ones at once.

    A box that is itself suppressed still suppresses others: that is what makes this a matrix
    operation, and where it differs from greedy NMS.

    Args:
        boxes: (B, C, n, 4) corners, sorted by falling score within each class.
        iou_max: The largest overlap with a better box that is kept.

    Returns:
        (B, C, n), 1.0 where a box stays, else 0.0.
    """
    better = torch.triu(pairwise_iou(boxes), diagonal=1)  # (B, C, n, n), row = the better box
    return (better.amax(dim=2) <= iou_max).to(boxes.dtype)


def pairwise_iou(boxes: Tensor) -> Tensor:
    """Return (..., n, n) intersections over unions of (..., n, 4) boxes with each other."""
    left_top, right_bottom = boxes[..., :2], boxes[..., 2:]
    overlap = torch.clamp(
        torch.minimum(right_bottom.unsqueeze(-2), right_bottom.unsqueeze(-3))
        - torch.maximum(left_top.unsqueeze(-2), left_top.unsqueeze(-3)),
        min=0,
    )
    intersection = overlap[..., 0] * overlap[..., 1]
    size = torch.clamp(right_bottom - left_top, min=0)
    area = size[..., 0] * size[..., 1]
    union = area.unsqueeze(-1) + area.unsqueeze(-2) - intersection
    return intersection / torch.clamp(union, min=1e-9)


def _gather(rows: Tensor, index: Tensor) -> Tensor:
    """Return (B, K, D): of each batch item's (P, D) ``rows`` those at (B, K) ``index``."""
    return torch.gather(rows, 1, index.unsqueeze(-1).expand(-1, -1, rows.shape[-1]))
