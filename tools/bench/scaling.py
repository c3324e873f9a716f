"""The time from a frame to a network's input, beside the other ways to get there."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from maskstream.stream.memory.frame import Planes, planes_of
from maskstream.stream.pixels.scaling import network_input
from maskstream.tools.measuring.timing import medians_ms, one_opencv_thread


@dataclass(frozen=True, slots=True)
class ScalingFigures:
    """Median times for one frame, all on one core in one run."""

    width: int
    height: int
    side: int
    planes_first_ms: float
    """Ours: planes halved while twice as large, scaled bilinearly, then converted."""
    bilinear_ms: float
    """The same without halving: pixels are skipped."""
    area_ms: float
    """The same with INTER_AREA: every pixel weighed by its share."""
    convert_first_ms: float
    """The whole frame converted to RGB, then scaled bilinearly: pixels are skipped."""
    convert_first_area_ms: float
    """The whole frame converted to RGB, then scaled with INTER_AREA."""

    @property
    def times_convert_first(self) -> float:
        """How many of our inputs are ready in the time of converting first."""
        return self.convert_first_ms / self.planes_first_ms

    @property
    def times_area(self) -> float:
        """How many of our inputs are ready in the time of INTER_AREA on the planes."""
        return self.area_ms / self.planes_first_ms


def measure_scaling(
    *, width: int = 1920, height: int = 1080, side: int = 416, repeats: int = 60
) -> ScalingFigures:
    """Return the figures for one frame size and one input size."""
    random = np.random.default_rng(0)
    i420 = random.integers(0, 256, (height * 3 // 2, width), np.uint8)
    planes = planes_of(i420.reshape(-1), width, height)
    out = np.empty((side, side, 3), np.uint8)
    with one_opencv_thread():
        taken_ms = medians_ms(
            {
                "planes_first": lambda: network_input(planes, out, color_range=0, color_matrix=6),
                "bilinear": lambda: _planes_then_rgb(planes, out, cv2.INTER_LINEAR),
                "area": lambda: _planes_then_rgb(planes, out, cv2.INTER_AREA),
                "convert_first": lambda: _rgb_then_scaled(i420, out, cv2.INTER_LINEAR),
                "convert_first_area": lambda: _rgb_then_scaled(i420, out, cv2.INTER_AREA),
            },
            repeats=repeats,
        )
    return ScalingFigures(
        width=width,
        height=height,
        side=side,
        planes_first_ms=taken_ms["planes_first"],
        bilinear_ms=taken_ms["bilinear"],
        area_ms=taken_ms["area"],
        convert_first_ms=taken_ms["convert_first"],
        convert_first_area_ms=taken_ms["convert_first_area"],
    )


def _planes_then_rgb(planes: Planes, out: NDArray[np.uint8], method: int) -> None:
    """Scale with one method in one step, then convert as the real path does."""
    side = out.shape[0]
    y, u, v = (
        cv2.resize(plane, (side, side), interpolation=method).astype(np.uint8, copy=False)
        for plane in planes
    )
    # The planes have the size of the input now, so that only the conversion is left to do.
    scaled = Planes(y, u, v)
    network_input(scaled, out, color_range=0, color_matrix=6)


def _rgb_then_scaled(i420: NDArray[np.uint8], out: NDArray[np.uint8], method: int) -> None:
    rgb = cv2.cvtColor(i420, cv2.COLOR_YUV2RGB_I420)
    cv2.resize(rgb, (out.shape[1], out.shape[0]), out, interpolation=method)
