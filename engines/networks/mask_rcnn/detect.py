"""Mask R-CNN's inference with static shapes, so that it exports: proposals, rows, masks.

The same rows as torchvision's own inference gives, but always as many of each: what NMS drops keeps
its place with a score of 0.

Source: He et al., "Mask R-CNN", ICCV 2017, section 3; Ren et al., "Faster R-CNN", NeurIPS 2015; the
thresholds are torchvision's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from maskstream.engines.networks.mask_rcnn.config import MaskRcnnConfig
from maskstream.engines.networks.mask_rcnn.network import BOX_CELLS, MASK_CELLS, MaskRcnn
from maskstream.engines.networks.mask_rcnn.regions import (
    RegionPool,
    align_in_atlas,
    pooled_levels,
    region_atlas,
    region_levels,
)
from maskstream.engines.networks.nms import greedy_nms, rows_at

PROPOSAL_NMS_IOU = 0.7
NMS_IOU = 0.5
PROPOSAL_SIDE_MIN_PX = 1e-3
SIDE_MIN_PX = 1e-2
REGRESSION_WEIGHTS = (10.0, 10.0, 5.0, 5.0)
"""What a region's box shifts are divided by."""
_LOG_SCALE_MAX = math.log(1000 / 16)
_DROPPED = -3e4
"""The logit of a dropped proposal: below any real one, and a number of 16 bits as well."""


class Detections(NamedTuple):
    """The graph's outputs, rows by falling score, unused rows with score 0.

    ``boxes`` (B, K, 4) relative xyxy; ``scores`` (B, K); ``class_ids`` (B, K) int32, 0-based;
    ``masks`` (B, K, 28, 28), probabilities over each box.
    """

    boxes: Tensor
    scores: Tensor
    class_ids: Tensor
    masks: Tensor


class Proposals(NamedTuple):
    """Regions that may hold an object: ``boxes`` (B, P, 4) in pixels, ``is_kept`` (B, P) bool."""

    boxes: Tensor
    is_kept: Tensor


class MaskRcnnDetector(nn.Module):
    """A network of the family with everything between pixels and rows of detections.

    Args:
        model: The trained network; it is switched to evaluation.
    """

    output_names = Detections._fields

    def __init__(self, model: MaskRcnn) -> None:
        super().__init__()
        self.model = model.eval()
        self.config: MaskRcnnConfig = model.config

    def forward(self, frames: Tensor) -> Detections:
        """Detect on (B, S, S, 3) uint8 RGB frames."""
        levels = self.model.pyramid(frames)
        regions = _Regions(levels, self.model)
        proposals = propose(levels, self.model)
        boxes, scores, class_ids = self._classify(regions, proposals)
        masks = self._masks(regions, boxes, class_ids)
        return Detections(
            boxes=boxes / self.config.input_size,
            scores=scores,
            class_ids=class_ids.to(torch.int32),
            masks=masks,
        )

    def _classify(self, regions: _Regions, proposals: Proposals) -> tuple[Tensor, Tensor, Tensor]:
        """Return (B, K, 4) boxes in pixels, (B, K) scores and (B, K) class ids."""
        config, heads = self.config, self.model.network.roi_heads
        features = heads.box_head(regions.maps(proposals.boxes, BOX_CELLS))
        logits, shifts = heads.box_predictor(features)
        count, classes = proposals.boxes.shape[1], config.class_count
        scores = torch.softmax(logits.float(), dim=-1)[:, 1:].reshape(-1, count, classes)
        scores = scores * proposals.is_kept.unsqueeze(-1)
        candidates = min(config.candidate_count, count * classes)
        top, pairs = torch.topk(scores.flatten(1), candidates, dim=1)  # (B, n)
        rows = torch.div(pairs, classes, rounding_mode="floor")
        class_ids = pairs - rows * classes
        # The predictor has a box for each class, the background's first.
        shifts = shifts.float().reshape(-1, count * (classes + 1), 4)
        chosen = rows_at(shifts, rows * (classes + 1) + class_ids + 1)
        weights = torch.tensor(REGRESSION_WEIGHTS, device=chosen.device)
        boxes = decode(chosen / weights, rows_at(proposals.boxes, rows), config.input_size)
        is_kept = greedy_nms(boxes, NMS_IOU, class_ids) & _is_larger(boxes, SIDE_MIN_PX)
        best, order = torch.topk(top * is_kept, min(config.detection_count, candidates), dim=1)
        return rows_at(boxes, order), best, torch.gather(class_ids, 1, order)

    def _masks(self, regions: _Regions, boxes: Tensor, class_ids: Tensor) -> Tensor:
        heads = self.model.network.roi_heads
        features = heads.mask_head(regions.maps(boxes, MASK_CELLS))
        logits = heads.mask_predictor(features).float()  # (B * K, channels, 28, 28)
        likely = mask_probabilities(logits, class_ids.reshape(-1), self.config)
        return likely.reshape(-1, boxes.shape[1], *likely.shape[-2:])


class _Regions:
    """The maps of regions, in a form that exports where there is one."""

    def __init__(self, levels: Mapping[str, Tensor], model: MaskRcnn) -> None:
        self._config, self._levels = model.config, levels
        self._level_maps = pooled_levels(levels)
        self._atlas = region_atlas(self._level_maps)

    def maps(self, boxes: Tensor, cells: int) -> Tensor:
        """Return (B * P, channels, cells, cells) of (B, P, 4) boxes in pixels."""
        if self._config.region_pooling == "pool":
            pool = RegionPool(self._config, cells)
            pooled: Tensor = pool(self._levels, list(boxes))
            return pooled
        wanted = region_levels(boxes, self._level_maps, self._config)
        return align_in_atlas(self._atlas, boxes, wanted, cells, self._config.input_size)


def propose(levels: Mapping[str, Tensor], model: MaskRcnn) -> Proposals:
    """Return the regions that the proposal network holds for objects, the best first."""
    config = model.config
    all_boxes, all_logits = [], []
    for looked in model.look(levels):
        count = min(config.candidate_count, looked.logits.shape[1])
        top, order = torch.topk(looked.logits, count, dim=1)
        shifts, anchors = rows_at(looked.shifts, order), looked.anchors[order]
        boxes = decode(shifts, anchors, config.input_size)
        is_kept = greedy_nms(boxes, PROPOSAL_NMS_IOU) & _is_larger(boxes, PROPOSAL_SIDE_MIN_PX)
        all_boxes.append(boxes)
        all_logits.append(torch.where(is_kept, top, _DROPPED))
    joined = torch.cat(all_logits, dim=1)
    best, order = torch.topk(joined, min(config.proposal_count, joined.shape[1]), dim=1)
    return Proposals(rows_at(torch.cat(all_boxes, dim=1), order), best > _DROPPED / 2)


def decode(shifts: Tensor, boxes: Tensor, input_size: int) -> Tensor:
    """Return boxes moved and scaled, and cut at the input's edges.

    Args:
        shifts: (B, n, 4): of the centre in sides, and of the sides' logarithms.
        boxes: (B, n, 4) corners in pixels.

    Source:
        Girshick et al., "Rich feature hierarchies", CVPR 2014, appendix C.
    """
    sides = boxes[..., 2:] - boxes[..., :2]
    center = boxes[..., :2] + sides / 2 + shifts[..., :2] * sides
    half = sides * torch.exp(torch.clamp(shifts[..., 2:], max=_LOG_SCALE_MAX)) / 2
    return torch.cat([center - half, center + half], dim=-1).clamp(0, input_size)


def mask_probabilities(logits: Tensor, class_ids: Tensor, config: MaskRcnnConfig) -> Tensor:
    """Return (N, h, w) probabilities of (N, channels, h, w) logits for each row's class."""
    if config.mask_activation == "softmax":
        likely = torch.softmax(logits, dim=1)  # the background is channel 0
        if config.mask_classes == "agnostic":
            return likely[:, 1]
        return _channel(likely, class_ids + 1)
    if config.mask_classes == "agnostic":
        return torch.sigmoid(logits[:, 0])
    return torch.sigmoid(_channel(logits, class_ids + 1))


def _channel(maps: Tensor, channels: Tensor) -> Tensor:
    """Return (N, h, w): of each row's (channels, h, w) the one named in (N,) ``channels``."""
    height, width = maps.shape[-2:]
    index = channels.view(-1, 1, 1, 1).expand(-1, 1, height, width)
    return torch.gather(maps, 1, index).squeeze(1)


def _is_larger(boxes: Tensor, side_min_px: float) -> Tensor:
    sides = boxes[..., 2:] - boxes[..., :2]
    return sides.amin(dim=-1) >= side_min_px
