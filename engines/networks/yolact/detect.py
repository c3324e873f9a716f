"""The tail of the graph: scores, boxes and NMS, with static shapes so that it exports.

Source: Bolya et al., "YOLACT", ICCV 2019, with the thresholds of its code; "YOLACT++", TPAMI 2020,
section 6 (mask re-scoring).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from maskstream.engines.networks.nms import fast_nms, greedy_nms, rows_at
from maskstream.engines.networks.yolact.mask_scoring import MaskIouNet, inside_boxes
from maskstream.engines.networks.yolact.network import RawOutputs, Yolact
from maskstream.engines.networks.yolact.priors import CENTER_VARIANCE, SIZE_VARIANCE, make_priors

CANDIDATE_COUNT = 200
"""Best priors of each class that take part in NMS."""
DETECTION_COUNT = 100
"""Rows that leave the graph."""
NMS_IOU = 0.5
"""A box that overlaps a better one of its class by more than this is dropped."""


NmsFunction = Callable[[Tensor, float], Tensor]
"""Says of (..., n, 4) boxes by falling score, and a largest overlap, which stay: (..., n) bool."""
NMS: Mapping[str, NmsFunction] = {"fast": fast_nms, "greedy": greedy_nms}


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
        nms = NMS[self.network.config.nms]
        found = detect(self.network(frames), cast(Tensor, self.priors), nms)
        scorer = self.network.maskiou_net
        return found if scorer is None else rescore(found, scorer)


def detect(raw: RawOutputs, priors: Tensor, nms: NmsFunction) -> Detections:
    """Turn a network's raw outputs into rows of detections.

    Args:
        raw: Of a network in evaluation.
        priors: (P, 4) as `make_priors` gives them.
        nms: Within each class.
    """
    # Softmax, exp and the IoU stay in float32 whatever the network runs in.
    scores = class_scores(raw.logits.float()).transpose(1, 2)  # (B, C, P)
    boxes = decode(raw.locations.float(), priors)
    candidate_count = min(CANDIDATE_COUNT, priors.shape[0])
    top_scores, top_rows = torch.topk(scores, candidate_count, dim=2)  # (B, C, n)
    class_count = scores.shape[1]
    flat_rows = top_rows.flatten(1)  # (B, C * n)
    flat_boxes = rows_at(boxes, flat_rows)
    is_kept = nms(flat_boxes.view(-1, class_count, candidate_count, 4), NMS_IOU)
    kept_scores = top_scores * is_kept
    detection_count = min(DETECTION_COUNT, class_count * candidate_count)
    best_scores, best = torch.topk(kept_scores.flatten(1), detection_count, dim=1)  # (B, K)
    return Detections(
        boxes=rows_at(flat_boxes, best),
        scores=best_scores,
        class_ids=torch.div(best, candidate_count, rounding_mode="floor").to(torch.int32),
        coefficients=rows_at(raw.coefficients.float(), torch.gather(flat_rows, 1, best)),
        prototypes=raw.prototypes.float(),
    )


def rescore(found: Detections, scorer: MaskIouNet) -> Detections:
    """Multiply each score by the estimated IoU of its mask, and sort the rows anew.

    A row has one score, so its box is scored by the product too, as the released code does when it
    draws.
    """
    height, width = found.prototypes.shape[1:3]
    row_count = found.scores.shape[1]
    logits = torch.einsum("bkm,bhwm->bkhw", found.coefficients, found.prototypes)
    masks = torch.sigmoid(logits) * inside_boxes(found.boxes, height, width)
    ious = scorer(masks.reshape(-1, 1, height, width))  # (B * K, classes)
    ious = ious.reshape(-1, row_count, ious.shape[1])
    iou = torch.gather(ious, 2, found.class_ids.long().unsqueeze(-1)).squeeze(-1)
    scores, order = torch.topk(found.scores * iou.float().clamp(max=1), row_count, dim=1)
    return Detections(
        boxes=rows_at(found.boxes, order),
        scores=scores,
        class_ids=torch.gather(found.class_ids, 1, order),
        coefficients=rows_at(found.coefficients, order),
        prototypes=found.prototypes,
    )


def class_scores(logits: Tensor) -> Tensor:
    """Return (..., classes) probabilities of (..., 1 + classes) logits, the background's first."""
    if logits.shape[-1] == 2:
        # The same number, without a reduction over an axis of two, which runtimes are slow at.
        return torch.sigmoid(logits[..., 1:] - logits[..., :1])
    return torch.softmax(logits, dim=-1)[..., 1:]


def decode(locations: Tensor, priors: Tensor) -> Tensor:
    """Return (B, P, 4) relative corners; the torch form of `priors.decode_boxes`."""
    center = priors[:, :2] + CENTER_VARIANCE * locations[..., :2] * priors[:, 2:]
    size = priors[:, 2:] * torch.exp(SIZE_VARIANCE * locations[..., 2:])
    return torch.cat([center - size / 2, center + size / 2], dim=-1)
