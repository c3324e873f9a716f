"""Kinds of non-maximum suppression that YOLACT can be evaluated with, in PyTorch.

An engine's graph has the one of its network's configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal, cast

import torch
from torch import Tensor
from torchvision.ops import batched_nms

from maskstream.engines.networks.nms import fast_nms
from maskstream.engines.networks.yolact.detect import (
    CANDIDATE_COUNT,
    DETECTION_COUNT,
    NMS,
    NMS_IOU,
    Detections,
    YolactDetector,
    class_scores,
    decode,
    detect,
    rescore,
)
from maskstream.engines.networks.yolact.network import RawOutputs, Yolact

Nms = Literal["fast", "greedy", "cross-class", "traditional"]

TRADITIONAL_SCORE_MIN = 0.05
"""Below this the traditional kind does not look at a prior: it goes through them one by one."""


class NmsDetector(YolactDetector):
    """A detector with any of the kinds.

    Args:
        network: The trained network; it is switched to evaluation.
        nms: The kind.
    """

    def __init__(self, network: Yolact, nms: Nms) -> None:
        super().__init__(network)
        self._detect = _KINDS[nms]

    def forward(self, frames: Tensor) -> Detections:
        """Detect on (B, S, S, 3) uint8 RGB frames."""
        found = self._detect(self.network(frames), cast(Tensor, self.priors))
        scorer = self.network.maskiou_net
        return found if scorer is None else rescore(found, scorer)


def detect_cross_class(raw: RawOutputs, priors: Tensor) -> Detections:
    """Suppress boxes whatever their class: every prior has its best class alone.

    Source:
        YOLACT's released code, as Fast NMS but over all classes at once.
    """
    scores, class_ids = class_scores(raw.logits.float()).max(dim=-1)  # (B, P)
    boxes = decode(raw.locations.float(), priors)
    top_scores, rows = scores.topk(min(CANDIDATE_COUNT, scores.shape[1]), dim=1)  # (B, n)
    kept = fast_nms(_rows(boxes, rows)[:, None], NMS_IOU)[:, 0]
    best_scores, best = (top_scores * kept).topk(min(DETECTION_COUNT, rows.shape[1]), dim=1)
    best_rows = rows.gather(1, best)
    return _detections(raw, boxes, best_scores, best_rows, class_ids.gather(1, best_rows))


def detect_traditional(raw: RawOutputs, priors: Tensor) -> Detections:
    """Suppress greedily within each class, and among all priors instead of the best ones."""
    scores = class_scores(raw.logits.float())  # (B, P, C)
    boxes = decode(raw.locations.float(), priors)
    batch = len(scores)
    best_scores = boxes.new_zeros(batch, DETECTION_COUNT)
    prior_rows = torch.zeros(batch, DETECTION_COUNT, dtype=torch.int64, device=boxes.device)
    class_ids = torch.zeros_like(prior_rows)
    for index in range(batch):
        rows, classes = (scores[index] > TRADITIONAL_SCORE_MIN).nonzero().unbind(1)
        found = scores[index, rows, classes]
        keep = batched_nms(boxes[index, rows], found, classes, NMS_IOU)[:DETECTION_COUNT]
        best_scores[index, : len(keep)] = found[keep]
        prior_rows[index, : len(keep)] = rows[keep]
        class_ids[index, : len(keep)] = classes[keep]
    return _detections(raw, boxes, best_scores, prior_rows, class_ids)


def _detections(
    raw: RawOutputs, boxes: Tensor, scores: Tensor, prior_rows: Tensor, class_ids: Tensor
) -> Detections:
    return Detections(
        boxes=_rows(boxes, prior_rows),
        scores=scores,
        class_ids=class_ids.to(torch.int32),
        coefficients=_rows(raw.coefficients.float(), prior_rows),
        prototypes=raw.prototypes.float(),
    )


def _rows(values: Tensor, rows: Tensor) -> Tensor:
    """Return (B, K, D): of each picture's (P, D) values those at (B, K) rows."""
    return values.gather(1, rows.unsqueeze(-1).expand(-1, -1, values.shape[-1]))


_KINDS: Mapping[str, Callable[[RawOutputs, Tensor], Detections]] = {
    **{name: partial(detect, nms=nms) for name, nms in NMS.items()},
    "cross-class": detect_cross_class,
    "traditional": detect_traditional,
}
