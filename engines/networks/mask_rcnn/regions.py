"""What a region looks like: maps of one size for boxes of any size.

`RegionPool` is torchvision's RoIAlign or RoIPool, for PyTorch. `region_atlas` and `align_in_atlas`
say the same as its RoIAlign with operators that every runtime has: ONNX's own RoiAlign works on one
level, so each region would be looked at in all four, and TensorRT has it as a plug-in only.

Source: He et al., "Mask R-CNN", ICCV 2017, section 3 (RoIAlign); Girshick, "Fast R-CNN", ICCV 2015,
section 2.1 (RoIPool); Lin et al., "Feature Pyramid Networks", CVPR 2017, equation 1 (levels).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that everybody reads
from torchvision.ops import roi_align, roi_pool

from maskstream.engines.networks.mask_rcnn.config import MaskRcnnConfig

SAMPLES_PER_CELL = 2
"""Each way; RoIAlign takes the mean of so many points of a cell squared."""
CANONICAL_LEVEL = 4
_LEVEL_NAMES = ("0", "1", "2", "3")
_LEVEL_EPS = 1e-6
_FAR_AWAY = -1e4


class RegionPool(nn.Module):
    """Regions of a pyramid as maps of ``cells`` x ``cells``, each from the level of its size.

    Args:
        config: Says how, and how large a picture is.
        cells: Side of the maps.
    """

    def __init__(self, config: MaskRcnnConfig, cells: int) -> None:
        super().__init__()
        self.config, self.output_size = config, (cells, cells)

    def forward(
        self, levels: Mapping[str, Tensor], boxes: Sequence[Tensor], _: object = None
    ) -> Tensor:
        """Return (N, channels, cells, cells) for the N boxes of all pictures.

        Args:
            levels: The pyramid, each (B, channels, rows, columns).
            boxes: B tensors (n, 4) in pixels of the input.
        """
        maps = pooled_levels(levels)
        rows = torch.cat([torch.full_like(b[:, :1], i) for i, b in enumerate(boxes)])
        regions = torch.cat([rows, torch.cat(list(boxes))], dim=1)
        wanted = region_levels(regions[:, 1:], maps, self.config)
        out = maps[0].new_zeros((len(regions), maps[0].shape[1], *self.output_size))
        for index, level in enumerate(maps):
            here = torch.where(wanted == index)[0]
            out[here] = self._pool(level, regions[here]).to(out.dtype)
        return out

    def _pool(self, level: Tensor, regions: Tensor) -> Tensor:
        scale = level.shape[-1] / self.config.input_size
        # Neither operator has a kernel for 16 bits on every device.
        level = level.float()
        if self.config.region_pooling == "pool":
            pooled: Tensor = roi_pool(level, regions, self.output_size, scale)
            return pooled
        aligned: Tensor = roi_align(level, regions, self.output_size, scale, SAMPLES_PER_CELL)
        return aligned


def pooled_levels(levels: Mapping[str, Tensor]) -> list[Tensor]:
    """Return the levels that regions are taken from; the coarsest one is for proposals alone."""
    return [levels[name] for name in _LEVEL_NAMES]


def region_levels(boxes: Tensor, maps: Sequence[Tensor], config: MaskRcnnConfig) -> Tensor:
    """Return which of ``maps`` each box is looked at in, by its size.

    Args:
        boxes: (..., 4) in pixels of the input.
        maps: Fine to coarse. Where several have the finest one's stride, as the mini body's all
            have, the finest takes every box.

    Returns:
        (...) int64.
    """
    strides = [config.input_size / level.shape[-1] for level in maps]
    finest, coarsest = (round(math.log2(strides[row])) for row in (0, -1))
    width, height = boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]
    side = torch.sqrt(torch.clamp(width * height, min=1e-12))
    level = torch.floor(CANONICAL_LEVEL + torch.log2(side / config.canonical_side) + _LEVEL_EPS)
    return (level.clamp(finest, coarsest) - finest).to(torch.int64)


class Atlas(NamedTuple):
    """Levels laid under each other in one map, so that one operator can sample all of them.

    ``pixels`` (B, channels, rows, columns); for each level its (rows, columns, first row).
    """

    pixels: Tensor
    places: tuple[tuple[int, int, int], ...]


def region_atlas(maps: Sequence[Tensor]) -> Atlas:
    """Lay levels under each other."""
    columns = max(level.shape[-1] for level in maps)
    places, first_row = [], 0
    for level in maps:
        rows = level.shape[-2]
        places.append((rows, level.shape[-1], first_row))
        first_row += rows
    padded = [F.pad(level, (0, columns - level.shape[-1])) for level in maps]
    return Atlas(torch.cat(padded, dim=2), tuple(places))


def align_in_atlas(
    atlas: Atlas, boxes: Tensor, levels: Tensor, cells: int, input_size: int
) -> Tensor:
    """Return RoIAlign of boxes, by GridSample.

    Args:
        atlas: Of the levels that ``levels`` counts.
        boxes: (B, P, 4) in pixels of the input.
        levels: (B, P), each box's level.
        cells: Side of a region's map.
        input_size: In pixels.

    Returns:
        (B * P, channels, cells, cells).
    """
    table = boxes.new_tensor(atlas.places)[levels]  # (B, P, 3)
    rows, columns, first_row = table.unbind(-1)
    x = _samples(boxes[..., 0], boxes[..., 2], columns, cells, input_size)  # (B, P, n)
    y = _samples(boxes[..., 1], boxes[..., 3], rows, cells, input_size) + first_row.unsqueeze(-1)
    atlas_rows, atlas_columns = atlas.pixels.shape[-2:]
    grid_x = (2 * x + 1) / atlas_columns - 1
    grid_y = (2 * y + 1) / atlas_rows - 1
    count, points = boxes.shape[1], x.shape[2]
    grid = torch.stack(
        [
            grid_x.unsqueeze(-2).expand(-1, -1, points, -1),
            grid_y.unsqueeze(-1).expand(-1, -1, -1, points),
        ],
        dim=-1,
    )  # (B, P, n, n, 2)
    sampled = F.grid_sample(
        atlas.pixels,
        grid.reshape(-1, count * points, points, 2),
        mode="bilinear",
        padding_mode="zeros",
        align_corners=False,
    )  # (B, channels, P * n, n)
    means = F.avg_pool2d(sampled, SAMPLES_PER_CELL)  # (B, channels, P * cells, cells)
    channels = means.shape[1]
    regions = means.reshape(-1, channels, count, cells, cells).transpose(1, 2)
    return regions.reshape(-1, channels, cells, cells)


def _samples(first: Tensor, last: Tensor, cells: Tensor, count: int, input_size: int) -> Tensor:
    """Return (B, P, n) places along one axis of a level, in its cells.

    Those between its last cell and its edge are moved onto the cell; those beyond its edge, which
    only regions smaller than a cell have, far out of the atlas, where there is nothing.
    """
    scale = (cells / input_size).unsqueeze(-1)
    start = first.unsqueeze(-1) * scale
    length = torch.clamp((last - first).unsqueeze(-1) * scale, min=1.0)
    n = count * SAMPLES_PER_CELL
    shares = (torch.arange(n, dtype=first.dtype, device=first.device) + 0.5) / n
    place = start + length * shares
    edge = cells.unsqueeze(-1)
    inside = torch.minimum(torch.clamp(place, min=0.0), edge - 1)
    return torch.where(place <= edge, inside, _FAR_AWAY)
