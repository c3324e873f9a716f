"""A YOLOv3 detector: any body that gives a map for each of its heads, and what the maps' rows mean.

Source: Redmon and Farhadi, "YOLOv3: An Incremental Improvement", 2018, section 2; and Darknet's
``yolo`` layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

BOX_DEPTH = 5
"""Values of a row before its classes: x, y, width, height, objectness."""


@dataclass(frozen=True, slots=True)
class YoloHead:
    """What one of the maps stands for.

    Attributes:
        stride: Pixels of the input between two cells.
        anchors_px: Width and height of the boxes that each cell begins with, in input pixels.
        xy_scale: How far a centre can go beyond its cell: 1 for no further than its edges.
    """

    stride: int
    anchors_px: tuple[tuple[float, float], ...]
    xy_scale: float = 1.0


class Cells(NamedTuple):
    """Where the rows of an input's size begin; float32, on the CPU.

    ``corners`` (N, 2) column and row of the cell; ``strides`` (N, 1); ``anchors_px`` (N, 2);
    ``xy_scales`` (N, 1).
    """

    corners: Tensor
    strides: Tensor
    anchors_px: Tensor
    xy_scales: Tensor


def make_cells(heads: Sequence[YoloHead], side_px: int) -> Cells:
    """Return what the rows of `Yolo.forward` begin with: head by head, cell by cell, by anchor.

    Args:
        side_px: Of the input; a multiple of each stride.
    """
    parts = []
    for head in heads:
        count, anchors = side_px // head.stride, len(head.anchors_px)
        along = torch.arange(count, dtype=torch.float32)
        rows, columns = torch.meshgrid(along, along, indexing="ij")
        corners = torch.stack([columns, rows], dim=-1).view(-1, 2)
        total = count * count * anchors
        parts.append(
            Cells(
                corners.repeat_interleave(anchors, dim=0),
                torch.full((total, 1), float(head.stride)),
                torch.tensor(head.anchors_px, dtype=torch.float32).repeat(count * count, 1),
                torch.full((total, 1), head.xy_scale),
            )
        )
    return Cells(*(torch.cat(column) for column in zip(*parts, strict=True)))


def decode(raw: Tensor, cells: Cells) -> Tensor:
    """Return (B, N, 5 + classes): centre and size in input pixels, and probabilities.

    Args:
        raw: (B, N, 5 + classes) of `Yolo.forward`.
        cells: Of the same input size, on the same device.
    """
    # A box that the exponential carries off would be infinite, and its overlaps not a number.
    size = cells.anchors_px * torch.exp(raw[..., 2:4].clamp(max=10.0))
    offset = torch.sigmoid(raw[..., :2]) * cells.xy_scales - (cells.xy_scales - 1) / 2
    return torch.cat(
        [(cells.corners + offset) * cells.strides, size, torch.sigmoid(raw[..., 4:])], dim=-1
    )


class Yolo(nn.Module):
    """A body between pixels and rows.

    Args:
        body: (B, 3, S, S) RGB in [0, 1] to a map (B, A * (5 + classes), H, W) for each head.
        heads: Of the maps, in the body's order, which is coarse to fine in YOLOv3.
        input_size: Side of the square input in pixels; training may use others, multiples of the
            strides all of them.
        class_count: Classes of a row.
    """

    def __init__(
        self, body: nn.Module, heads: Sequence[YoloHead], *, input_size: int, class_count: int
    ) -> None:
        super().__init__()
        self.body = body
        self.heads = tuple(heads)
        self.input_size = input_size
        self.class_count = class_count

    def forward(self, frames: Tensor) -> Tensor:
        """Return what the network says before anything is decoded.

        Args:
            frames: (B, S, S, 3) uint8 RGB, letterboxed.

        Returns:
            (B, N, 5 + classes): tx, ty, tw, th against a row's cell and anchor, then logits of the
            objectness and of each class; rows as those of `make_cells`.
        """
        # The cast comes first: TensorRT refuses to permute uint8.
        images = frames.float().permute(0, 3, 1, 2) / 255.0
        depth = BOX_DEPTH + self.class_count
        return torch.cat([_rows(grid, depth) for grid in self.body(images)], dim=1)


def _rows(grid: Tensor, depth: int) -> Tensor:
    """Turn (B, A * depth, H, W) into (B, H * W * A, depth), cell by cell, anchor by anchor."""
    batch, channels, height, width = grid.shape
    # The number of rows is written out, so that the exported graph keeps it static.
    count = height * width * (channels // depth)
    return grid.permute(0, 2, 3, 1).reshape(batch, count, depth)
