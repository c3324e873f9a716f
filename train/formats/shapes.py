"""Shapes of labelling tools as COCO's polygons and boxes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskstream.train.errors import AnnotationError
from maskstream.train.formats.labelled import Box, LabelledObject
from maskstream.train.formats.outlines import outline

ROUND_POINTS = 72
"""Points of a polygon that stands for a circle or an ellipse."""
FAR_PX = 100_000
"""No picture is so large. pycocotools takes memory for each pixel that an outline passes."""
DECIMALS = 6
"""Of a pixel; shares of a side lose more than this nowhere, and give two decimals back exactly."""


def polygon(xs: Any, ys: Any) -> list[float]:
    """Return a polygon of its points' coordinates in pixels, x and y alternately.

    Raises:
        AnnotationError: They are no numbers, not as many, or fewer than three.
    """
    try:
        points = np.array([xs, ys], float)
    except (TypeError, ValueError) as exc:
        raise AnnotationError("the points of a polygon are no pairs of numbers") from exc
    if points.ndim != 2 or not np.isfinite(points).all():
        raise AnnotationError("the points of a polygon are no pairs of numbers")
    if np.abs(points).max(initial=0) > FAR_PX:
        raise AnnotationError(f"a polygon that reaches {np.abs(points).max():g} px away")
    if points.shape[1] < 3:
        raise AnnotationError(f"a polygon of {points.shape[1]} points; it takes three")
    values: list[float] = points.T.reshape(-1).round(DECIMALS).tolist()
    return values


def ellipse(
    x: float, y: float, radius_x: float, radius_y: float, turned_deg: float = 0.0
) -> list[float]:
    """Return an ellipse as a polygon.

    Args:
        turned_deg: Clockwise in the picture.

    Raises:
        AnnotationError: A radius is not positive.
    """
    if not (radius_x > 0 and radius_y > 0):
        raise AnnotationError(f"radii of {radius_x} and {radius_y}; they have to be positive")
    angles = np.arange(ROUND_POINTS) * 2 * math.pi / ROUND_POINTS
    turn = math.radians(turned_deg)
    across, down = radius_x * np.cos(angles), radius_y * np.sin(angles)
    return polygon(
        x + across * math.cos(turn) - down * math.sin(turn),
        y + across * math.sin(turn) + down * math.cos(turn),
    )


def box(left: Any, top: Any, width: Any, height: Any) -> Box:
    """Return a box in pixels.

    Raises:
        AnnotationError: It is no box of finite, positive size.
    """
    try:
        values = (float(left), float(top), float(width), float(height))
    except (TypeError, ValueError) as exc:
        raise AnnotationError("the sides of a box are no numbers") from exc
    if not all(map(math.isfinite, values)) or values[2] <= 0 or values[3] <= 0:
        raise AnnotationError(f"a box of {values[2]:g}x{values[3]:g}; it has to have an area")
    left, top, width, height = (round(value, DECIMALS) for value in values)
    return left, top, width, height


def single_polygon(labelled: LabelledObject, height: int, width: int) -> list[float] | None:
    """Return one polygon that gives an object's mask, or None where the mask is empty."""
    own = labelled.polygon()
    if own is not None:
        return own
    mask: NDArray[np.uint8] = labelled.mask(height, width)
    return outline(mask) if mask.any() else None
