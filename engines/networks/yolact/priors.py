"""Priors and the coding of boxes against them, in NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maskstream.engines.networks.yolact.config import YolactConfig

CENTER_VARIANCE = 0.1
SIZE_VARIANCE = 0.2


def make_priors(config: YolactConfig) -> NDArray[np.float32]:
    """Return the priors of a network.

    Returns:
        (P, 4), centre x, centre y, width, height relative to the input, not clipped; levels fine
        to coarse, in a level row by row, in a cell scale by scale, then ratio by ratio.

    Source:
        YOLACT, section 4: one scale a level, three ratios; a prior of ratio r is s * sqrt(r) wide
        and s / sqrt(r) high.
    """
    shape_root = np.sqrt(np.asarray(config.aspect_ratios, np.float64))
    levels = []
    for side, scales in zip(config.level_sizes, config.prior_scales, strict=True):
        scale = np.asarray(scales, np.float64)[:, None] / config.input_size
        width = (scale * shape_root).ravel()  # (A,)
        height = width if config.has_square_priors else (scale / shape_root).ravel()
        center = (np.arange(side) + 0.5) / side
        level = np.empty((side, side, len(width), 4))
        level[..., 0] = center[None, :, None]
        level[..., 1] = center[:, None, None]
        level[..., 2] = width
        level[..., 3] = height
        levels.append(level.reshape(-1, 4))
    return np.concatenate(levels).astype(np.float32)


def encode_boxes(
    boxes_xyxy_rel: NDArray[np.float32], priors: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return what a head should say for boxes, each against its own prior.

    Args:
        boxes_xyxy_rel: (N, 4) corners relative to the input.
        priors: (N, 4) as `make_priors` gives them.

    Returns:
        (N, 4): offsets of the centre in prior sizes over 0.1, log size ratios over 0.2.

    Source:
        Liu et al., "SSD", ECCV 2016, equation 2, with the variances of its code.
    """
    center = (boxes_xyxy_rel[:, :2] + boxes_xyxy_rel[:, 2:]) / 2
    size = boxes_xyxy_rel[:, 2:] - boxes_xyxy_rel[:, :2]
    offset = (center - priors[:, :2]) / (CENTER_VARIANCE * priors[:, 2:])
    return np.concatenate([offset, np.log(size / priors[:, 2:]) / SIZE_VARIANCE], axis=1)


def decode_boxes(
    locations: NDArray[np.float32], priors: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the boxes that a head's output means; the inverse of `encode_boxes`.

    Args:
        locations: (N, 4) as `encode_boxes` returns them.
        priors: (N, 4) as `make_priors` gives them.

    Returns:
        (N, 4) corners relative to the input, not clipped.
    """
    center = priors[:, :2] + CENTER_VARIANCE * locations[:, :2] * priors[:, 2:]
    size = priors[:, 2:] * np.exp(SIZE_VARIANCE * locations[:, 2:])
    return np.concatenate([center - size / 2, center + size / 2], axis=1)
