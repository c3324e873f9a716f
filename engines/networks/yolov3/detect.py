"""The tail of a YOLO graph: boxes, scores and NMS, with static shapes so that it exports.

Source: Redmon and Farhadi, "YOLOv3", 2018, section 2.1; Darknet's NMS threshold.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from maskstream.engines.networks.nms import greedy_nms, rows_at
from maskstream.engines.networks.yolov3.network import BOX_DEPTH, Cells, Yolo, decode, make_cells

CANDIDATE_COUNT = 300
"""Best rows that take part in NMS."""
DETECTION_COUNT = 100
"""Rows that leave the graph."""
NMS_IOU = 0.45
"""A box that overlaps a better one of its class by more than this is dropped."""


class YoloDetections(NamedTuple):
    """The graph's outputs, rows by falling score, unused rows with score 0.

    ``boxes`` (B, K, 4) relative xyxy of the letterboxed input; ``scores`` (B, K); ``class_ids``
    (B, K) int32.
    """

    boxes: Tensor
    scores: Tensor
    class_ids: Tensor


class YoloDetector(nn.Module):
    """A YOLO network with everything between pixels and rows of detections.

    Args:
        network: The trained network; it is switched to evaluation.
    """

    def __init__(self, network: Yolo) -> None:
        super().__init__()
        self.network = network.eval()
        for name, part in make_cells(network.heads, network.input_size)._asdict().items():
            self.register_buffer(name, part, False)

    def forward(self, frames: Tensor) -> YoloDetections:
        """Detect on (B, S, S, 3) uint8 RGB frames."""
        cells = Cells(*(cast(Tensor, getattr(self, name)) for name in Cells._fields))
        return detect(self.network(frames), cells, self.network.input_size)


def detect(raw: Tensor, cells: Cells, side_px: int) -> YoloDetections:
    """Turn a network's raw rows into detections.

    Args:
        raw: (B, N, 5 + classes) of `Yolo.forward`.
        cells: Of the same input size.
        side_px: Of that input.
    """
    # The exponential, the sigmoids and the IoU stay in float32 whatever the network runs in.
    raw = raw.float()
    likeliest, class_ids = raw[..., BOX_DEPTH:].max(dim=-1)
    scores = torch.sigmoid(likeliest) * torch.sigmoid(raw[..., BOX_DEPTH - 1])  # (B, N)
    candidate_count = min(CANDIDATE_COUNT, scores.shape[1])
    top_scores, top = torch.topk(scores, candidate_count, dim=1)  # (B, n)
    rows = decode(rows_at(raw, top), Cells(*(part[top] for part in cells)))
    centers, halves = rows[..., :2], rows[..., 2:4] / 2
    boxes = torch.cat([centers - halves, centers + halves], dim=-1) / side_px
    top_ids = torch.gather(class_ids, 1, top)
    kept_scores = top_scores * greedy_nms(boxes, NMS_IOU, top_ids)
    best_scores, best = torch.topk(kept_scores, min(DETECTION_COUNT, candidate_count), dim=1)
    return YoloDetections(
        boxes=rows_at(boxes, best),
        scores=best_scores,
        class_ids=torch.gather(top_ids, 1, best).to(torch.int32),
    )
