"""A modulated deformable convolution, with the parameter names of the released YOLACT++ weights.

Source: Zhu et al., "Deformable ConvNets v2: More Deformable, Better Results", CVPR 2019.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that everybody reads
from torchvision.ops import deform_conv2d


class DeformableConv(nn.Module):
    """A 3 x 3 convolution that reads where another convolution tells it to.

    Args:
        channels: In and out.
        stride: Of both convolutions.
    """

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(channels, channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(channels))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)
        # 18 offsets, (dy, dx) of each tap, then 9 weights; at zero every tap stays in its place.
        self.conv_offset_mask = nn.Conv2d(channels, 27, 3, stride, padding=1)
        nn.init.zeros_(self.conv_offset_mask.weight)
        nn.init.zeros_(cast(Tensor, self.conv_offset_mask.bias))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, ceil(H / stride), ceil(W / stride))."""
        offsets, weights = self.conv_offset_mask(x).split((18, 9), dim=1)
        weights = torch.sigmoid(weights)
        if torch.compiler.is_exporting():
            return sampled_conv(x, offsets, weights, self.weight, self.bias, self.stride)
        return cast(
            Tensor,
            deform_conv2d(x, offsets, self.weight, self.bias, self.stride, padding=1, mask=weights),
        )


def sampled_conv(
    x: Tensor, offsets: Tensor, tap_weights: Tensor, weight: Tensor, bias: Tensor, stride: int
) -> Tensor:
    """Return the same out of operators that every runtime has.

    ONNX has DeformConv since opset 19, but OpenVINO 2026.4 and TensorRT for RTX 1.7 do not read it.
    Here the nine samples of each cell are laid out as a 3 x 3 square of a map three times as large;
    an ordinary convolution of stride 3 then does the rest.

    Args:
        x: (B, C, H, W).
        offsets: (B, 18, h, w), (dy, dx) of the nine taps row by row, in cells of ``x``.
        tap_weights: (B, 9, h, w) in [0, 1].
        weight: (C', C, 3, 3).
        bias: (C',).
        stride: Of the convolution that this stands for; its padding is 1.
    """
    height, width = x.shape[2:]
    rows, columns = offsets.shape[2:]
    # Laid out as (B, 3 h, 3 w, dy dx): cell row, tap row, cell column, tap column.
    moved = offsets.reshape(-1, 3, 3, 2, rows, columns).permute(0, 4, 1, 5, 2, 3)
    moved = moved.reshape(-1, 3 * rows, 3 * columns, 2).flip(-1)
    # Where the taps are without offsets is a constant, and one addition brings both together: in
    # bfloat16 each operation on a position would round it once more, by up to half a cell.
    unit = torch.tensor([2 / width, 2 / height], dtype=x.dtype, device=x.device)
    grid = _resting_taps(rows, columns, stride).to(x) * unit + (unit / 2 - 1) + moved * unit
    samples = F.grid_sample(x, grid, align_corners=False)  # outside the map is 0
    scale = tap_weights.reshape(-1, 1, 3, 3, rows, columns).permute(0, 1, 4, 2, 5, 3)
    scale = scale.reshape(-1, 1, 3 * rows, 3 * columns)
    return F.conv2d(samples * scale, weight, bias, stride=3)


def _resting_taps(rows: int, columns: int, stride: int) -> Tensor:
    """Return (3 rows, 3 columns, 2), (x, y) of each tap in cells of the input."""
    tap = torch.arange(3) - 1
    y = (torch.arange(rows)[:, None] * stride + tap).flatten()
    x = (torch.arange(columns)[:, None] * stride + tap).flatten()
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)
