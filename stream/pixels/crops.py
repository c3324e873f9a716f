"""Crops of a frame for an engine's second stage, cut out of the planes.

They are sampled as a whole frame is (`stream.pixels.scaling`), not by RoIAlign, which needs a
picture of floats and takes what shrinks either at single points or, adaptively, at up to every
pixel. Where a box is enlarged both are bilinear with aligned corners and equal but for rounding,
save along the crop's edge, where RoIAlign also looks at pixels beyond the box. Where it shrinks by
two or more, every pixel counts here, as in RoIAlign's adaptive form: on a grainy picture they
differ by 3 levels of 255 in the mean and its form of one sample a cell by 9, which is the grain
that it passes on. Training cuts by area and differs from the adaptive form by less than 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maskstream.stream.memory.frame import Planes
from maskstream.stream.pixels.scaling import network_input


@dataclass(frozen=True, slots=True)
class PlanesPicture:
    """A frame as an `engines.decoding.crops.Picture`: only what is cut out becomes RGB.

    Attributes:
        planes: I420.
        color_range: 0 limited, 1 full.
        color_matrix: A key of ``colors.LUMA_WEIGHTS``.
    """

    planes: Planes
    color_range: int
    color_matrix: int

    def cut(self, extents_xyxy_src: NDArray[np.int32], side_px: int) -> NDArray[np.uint8]:
        """See `engines.decoding.crops.Picture.cut`."""
        crops = np.empty((len(extents_xyxy_src), side_px, side_px, 3), np.uint8)
        for crop, extent in zip(crops, extents_xyxy_src, strict=True):
            network_input(
                self._region(*(int(edge) for edge in extent)),
                crop,
                color_range=self.color_range,
                color_matrix=self.color_matrix,
            )
        return crops

    def _region(self, left: int, top: int, right: int, bottom: int) -> Planes:
        """Return views of the planes; the edges are even, and so are a frame's sides."""
        half = slice(top // 2, bottom // 2), slice(left // 2, right // 2)
        return Planes(
            self.planes.y[top:bottom, left:right], self.planes.u[half], self.planes.v[half]
        )
