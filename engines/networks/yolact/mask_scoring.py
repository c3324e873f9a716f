"""Mask scoring of YOLACT++: how well a mask will fit, guessed from its looks.

Source: Bolya et al., "YOLACT++: Better Real-time Instance Segmentation", TPAMI 2020, section 6
(fast mask re-scoring), after Huang et al., "Mask Scoring R-CNN", CVPR 2019.
"""

from __future__ import annotations

import itertools
from typing import cast

import torch
from torch import Tensor, nn


class MaskIouNet(nn.Module):
    """Estimate each mask's IoU with the truth, for each class that it could be of."""

    def __init__(self, class_count: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = (1, 8, 16, 32, 64, 128)
        for before, after in itertools.pairwise(channels):
            layers += [nn.Conv2d(before, after, 3, stride=2), nn.ReLU(inplace=True)]
        layers += [nn.Conv2d(channels[-1], class_count, 1), nn.ReLU(inplace=True)]
        self.maskiou_net = nn.Sequential(*layers)

    def forward(self, masks: Tensor) -> Tensor:
        """Return (N, classes), not negative, for (N, 1, Hp, Wp) soft masks cut to their boxes."""
        return cast(Tensor, self.maskiou_net(masks)).amax(dim=(2, 3))


def inside_boxes(boxes_xyxy_rel: Tensor, height: int, width: int) -> Tensor:
    """Return (..., height, width) of 0 and 1: cells in each (..., 4) box, with one around it."""
    x = torch.arange(width, device=boxes_xyxy_rel.device)
    y = torch.arange(height, device=boxes_xyxy_rel.device)
    left, top, right, bottom = (boxes_xyxy_rel[..., i, None] for i in range(4))
    in_columns = (x >= left * width - 1) & (x < right * width + 1)
    in_rows = (y >= top * height - 1) & (y < bottom * height + 1)
    return (in_rows[..., :, None] & in_columns[..., None, :]).to(boxes_xyxy_rel.dtype)
