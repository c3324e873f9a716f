"""Antialiased text for the planes of a frame.

OpenCV 5 draws text with a variable TrueType font of its own (Rubik, with a second font for most
other scripts) and keeps the glyphs that it has drawn: a label costs some six microseconds, so an
atlas of glyphs here would only add code. OpenCV 4's stroke fonts looked thin and uneven beside it.
"""

from __future__ import annotations

import string

import cv2
import numpy as np
from numpy.typing import NDArray

from maskstream.stream.memory.frame import Planes
from maskstream.stream.pixels.colors import Yuv

FONT_WEIGHT = 550
"""Between regular (400) and bold (700): stems stay solid at 11 px, counters stay open at 24 px."""
SMALLEST_FONT_PX = 10


class Font:
    """Text of one size, drawn as coverage: how much of each pixel is ink.

    Attributes:
        size_px: The em square.
        line_px: Height of a line with its margins; even, so that lines meet chroma samples.
    """

    def __init__(self, size_px: int) -> None:
        """Load the font and draw all of ASCII once, so that no frame waits 17 ms for it."""
        self.size_px = max(size_px, SMALLEST_FONT_PX)
        self.line_px = 2 * round(0.66 * self.size_px)
        self._face = cv2.FontFace("sans")
        self._margin_px = round(0.3 * self.size_px)
        # Digits stand 0.74 em above the baseline: this centres them in the line.
        self._baseline_px = round((self.line_px + 0.74 * self.size_px) / 2)
        self.coverage(string.printable)

    def coverage(self, text: str) -> NDArray[np.uint8]:
        """Return ``text`` drawn on one line, a margin at both ends.

        Characters that the font lacks, and those that move the pen (line breaks, tabs), come out
        as question marks.

        Returns:
            (line_px, even width) of 0 (paper) to 255 (ink).
        """
        # Also keeps OpenCV alive: a lone surrogate in the text ends the process (5.0.0).
        safe = "".join(character if character.isprintable() else "?" for character in text)
        origin = (self._margin_px, self._baseline_px)
        _, _, width, _ = cv2.getTextSize(
            (0, 0), safe, origin, self._face, self.size_px, FONT_WEIGHT
        )
        columns = (width + 2 * self._margin_px + 1) & ~1
        page = np.zeros((self.line_px, columns), np.uint8)
        cv2.putText(page, safe, origin, (255,), self._face, self.size_px, FONT_WEIGHT)
        return page


def draw_tag(
    planes: Planes, coverage: NDArray[np.uint8], left: int, top: int, paper: Yuv, ink: Yuv
) -> None:
    """Draw text in ``ink`` on a filled rectangle of ``paper``.

    Args:
        coverage: Of ``Font.coverage``; cut off at the frame's right and bottom.
        left: Even, in pixels, not negative.
        top: Even, in pixels, not negative.
    """
    height, width = planes.y.shape
    shown = coverage[: height - top, : width - left]
    half = _halved(shown)
    rows, columns = shown.shape
    planes.y[top : top + rows, left : left + columns] = _mixed(shown, paper.y, ink.y)
    rows, columns, top, left = rows // 2, columns // 2, top // 2, left // 2
    planes.u[top : top + rows, left : left + columns] = _mixed(half, paper.u, ink.u)
    planes.v[top : top + rows, left : left + columns] = _mixed(half, paper.v, ink.v)


def draw_on_dark_strip(
    planes: Planes,
    coverage: NDArray[np.uint8],
    left: int,
    top: int,
    *,
    black: Yuv,
    ink: Yuv,
    darkness: float = 0.6,
) -> None:
    """Draw text in ``ink`` over the picture, which is mixed with ``black`` behind it.

    Args:
        coverage: Of ``Font.coverage``; cut off at the frame's right and bottom.
        left: Even, in pixels, not negative.
        top: Even, in pixels, not negative.
        darkness: Share of black behind the text, 0..1.
    """
    height, width = planes.y.shape
    shown = coverage[: height - top, : width - left]
    for plane, part, step, dark, value in (
        (planes.y, shown, 1, black.y, ink.y),
        (planes.u, _halved(shown), 2, black.u, ink.u),
        (planes.v, _halved(shown), 2, black.v, ink.v),
    ):
        rows, columns = part.shape
        crop = plane[top // step : top // step + rows, left // step : left // step + columns]
        behind = cv2.convertScaleAbs(crop, alpha=1 - darkness, beta=darkness * dark)
        # One strip a frame, some 4,000 pixels: 16-bit integers are fast enough here.
        weight = part.astype(np.uint16)
        crop[...] = (behind * (255 - weight) + value * weight + 127) // 255


def _halved(coverage: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the mean of each 2 x 2 pixels, for the chroma planes."""
    rows, columns = coverage.shape
    halved = cv2.resize(coverage, (columns // 2, rows // 2), interpolation=cv2.INTER_AREA)
    return halved.astype(np.uint8, copy=False)


def _mixed(coverage: NDArray[np.uint8], paper: int, ink: int) -> NDArray[np.uint8]:
    """Return paper + coverage / 255 * (ink - paper); never below 0, so Abs does nothing."""
    mixed = cv2.convertScaleAbs(coverage, alpha=(ink - paper) / 255, beta=paper)
    return mixed.astype(np.uint8, copy=False)
