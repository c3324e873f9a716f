"""How a frame is fitted into a network's square input, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

FitKind = Literal["squash", "letterbox", "darknet"]
"""``squash`` scales both sides to the input's; ``letterbox`` keeps the shape and pads.

``darknet`` is the letterbox that Darknet's networks were trained with: the shorter side is cut off
to whole pixels where ``letterbox`` rounds it, and the bars are of another grey.
"""

PADDING_LEVEL = 114
"""The grey of a letterbox's bars, in each of R, G and B, as YOLO networks know it."""
DARKNET_PADDING_LEVEL = 128
"""Darknet's 0.5."""


class Placement(NamedTuple):
    """Where the scaled frame lies in a square input, in its pixels, and what lies around it.

    Attributes:
        left: First column.
        top: First row.
        columns: Of the scaled frame.
        rows: Likewise.
        padding_level: Grey of the rest, 0 to 255.
    """

    left: int
    top: int
    columns: int
    rows: int
    padding_level: int


@dataclass(frozen=True, slots=True)
class Fit:
    """Where a frame lies in a square input.

    Attributes:
        width: Of the frame, in pixels.
        height: Likewise.
        scaled_xyxy_rel: Left, top, right and bottom of the scaled frame in the input, each in
            [0, 1] of the input's side.
    """

    width: int
    height: int
    scaled_xyxy_rel: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)

    @property
    def share(self) -> float:
        """Of the input that the scaled frame covers."""
        left, top, right, bottom = self.scaled_xyxy_rel
        return (right - left) * (bottom - top)

    def to_frame(self, boxes_xyxy_rel: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (N, 4) boxes of the input, relative to its side, in pixels of the frame."""
        left, top, right, bottom = self.scaled_xyxy_rel
        origin = np.array([left, top, left, top], np.float32)
        scale = np.array([self.width / (right - left), self.height / (bottom - top)] * 2)
        pixels = (boxes_xyxy_rel - origin) * scale.astype(np.float32)
        limits = np.array([self.width, self.height] * 2, np.float32)
        clipped: NDArray[np.float32] = np.clip(pixels, 0.0, limits)
        return clipped


def placement(kind: FitKind, width: int, height: int, side: int) -> Placement:
    """Return where a frame is to be put into an input of ``side`` pixels.

    What keeps its shape lies in the middle; an odd pixel of padding goes to the right or the
    bottom.

    Source:
        For ``darknet``, letterbox_image in Darknet's src/image.c.
    """
    if kind == "squash":
        return Placement(0, 0, side, side, PADDING_LEVEL)
    longest = max(width, height)
    if kind == "darknet":
        columns, rows = max(1, width * side // longest), max(1, height * side // longest)
        level = DARKNET_PADDING_LEVEL
    else:
        scale = side / longest
        columns = min(side, max(1, round(width * scale)))
        rows = min(side, max(1, round(height * scale)))
        level = PADDING_LEVEL
    return Placement((side - columns) // 2, (side - rows) // 2, columns, rows, level)


def make_fit(kind: FitKind, width: int, height: int, side: int) -> Fit:
    """Return where a frame lies in an input of ``side`` pixels."""
    left, top, columns, rows, _ = placement(kind, width, height, side)
    edges = (left / side, top / side, (left + columns) / side, (top + rows) / side)
    return Fit(width, height, edges)


def fitted(picture: NDArray[np.uint8], side: int, kind: FitKind) -> NDArray[np.uint8]:
    """Return an (H, W, 3) picture as (side, side, 3), for what is no video frame.

    It is scaled by area where it shrinks: photographs are many times an input's size.
    """
    height, width = picture.shape[:2]
    left, top, columns, rows, level = placement(kind, width, height, side)
    way = cv2.INTER_AREA if min(height, width) > side else cv2.INTER_LINEAR
    out = np.full((side, side, 3), level, np.uint8)
    out[top : top + rows, left : left + columns] = cv2.resize(
        picture, (columns, rows), interpolation=way
    )
    return out
