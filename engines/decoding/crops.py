"""From boxes to crops of the full-resolution frame: one way, in training as in use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from maskstream.engines.interface.fit import Fit, fitted


class Picture(Protocol):
    """A frame at its full resolution, in whatever form it is kept."""

    def cut(self, extents_xyxy_src: NDArray[np.int32], side_px: int) -> NDArray[np.uint8]:
        """Return (N, side, side, 3) RGB, each rectangle squashed into a square.

        Args:
            extents_xyxy_src: (N, 4) as `crop_extents` gives them.
            side_px: Of the crops.
        """
        ...


@dataclass(frozen=True, slots=True)
class RgbPicture:
    """A picture that is kept as (H, W, 3) uint8 RGB."""

    rgb: NDArray[np.uint8]

    def cut(self, extents_xyxy_src: NDArray[np.int32], side_px: int) -> NDArray[np.uint8]:
        """See `Picture.cut`."""
        crops = np.empty((len(extents_xyxy_src), side_px, side_px, 3), np.uint8)
        for crop, (left, top, right, bottom) in zip(crops, extents_xyxy_src, strict=True):
            crop[:] = fitted(self.rgb[top:bottom, left:right], side_px, "squash")
        return crops


@dataclass(frozen=True, slots=True)
class FittedPicture:
    """A picture of which only the network's input is left.

    Attributes:
        rgb: (S, S, 3) uint8.
        fit: How the picture was fitted into it.
    """

    rgb: NDArray[np.uint8]
    fit: Fit

    def cut(self, extents_xyxy_src: NDArray[np.int32], side_px: int) -> NDArray[np.uint8]:
        """See `Picture.cut`."""
        side = self.rgb.shape[0]
        left, top, right, bottom = self.fit.scaled_xyxy_rel
        scale = np.array([(right - left) / self.fit.width, (bottom - top) / self.fit.height] * 2)
        pixels = (extents_xyxy_src * scale + np.array([left, top] * 2)) * side
        starts = np.minimum(np.floor(pixels[:, :2]), side - 1)
        ends = np.maximum(np.ceil(pixels[:, 2:]), starts + 1)
        extents = np.concatenate([starts, ends], axis=1).astype(np.int32)
        return RgbPicture(self.rgb).cut(extents, side_px)


def crop_extents(
    boxes_xyxy_src: NDArray[np.float32], margin: float, width: int, height: int
) -> NDArray[np.int32]:
    """Return the (N, 4) whole pixels that are cut out for boxes; right and bottom are exclusive.

    They begin and end at even pixels, where a chroma sample does, or at the frame's own end, and
    are never empty.

    Args:
        boxes_xyxy_src: (N, 4), inside the frame.
        margin: Share of a box's width and height that is added on each side.
        width: Of the frame, in pixels.
        height: Of the frame, in pixels.
    """
    sizes = boxes_xyxy_src[:, 2:] - boxes_xyxy_src[:, :2]
    limits = np.array([width, height])
    starts = np.floor((boxes_xyxy_src[:, :2] - margin * sizes) / 2) * 2
    starts = np.clip(starts, 0, (limits - 1) // 2 * 2)
    ends = np.ceil((boxes_xyxy_src[:, 2:] + margin * sizes) / 2) * 2
    ends = np.minimum(np.maximum(ends, starts + 2), limits)
    extents: NDArray[np.int32] = np.concatenate([starts, ends], axis=1).astype(np.int32)
    return extents
