"""Colours to draw with: a palette of distinct hues, and a frame's own Y'CbCr.

A frame is drawn on in the planes that it came in, so every colour is converted once, when a painter
is made, to the matrix and range of the frames. Scaling needs the way back for whole pictures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LIMITED_RANGE = 0
FULL_RANGE = 1

LUMA_WEIGHTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
"""Kr and Kb by colour matrix number. Source: ITU-T H.273, table 4 (1 BT.709, 5 and 6 BT.601)."""

HUE_COUNT = 12
HUE_STEP = 5
"""Coprime to ``HUE_COUNT``: one hue and the next are 150 degrees apart, and all are visited."""
FIRST_HUE_DEG = 250.0
"""A blue: what is seen most (class 0, mostly a person) is told apart from skin, grass and brick."""
RINGS = ((0.68, 0.24), (0.87, 0.12), (0.50, 0.17))
"""OKLCH lightness and largest chroma of the palette's three rounds of hues."""


class Rgb(NamedTuple):
    """Gamma-coded sRGB, 0..255 each."""

    r: int
    g: int
    b: int


class Yuv(NamedTuple):
    """Y'CbCr as it stands in a frame's planes, 0..255 each."""

    y: int
    u: int
    v: int


BLACK = Rgb(0, 0, 0)
WHITE = Rgb(255, 255, 255)


@dataclass(frozen=True, slots=True)
class YuvSpace:
    """What the numbers in a frame's planes mean.

    Attributes:
        color_range: 0 limited (16..235, chroma 16..240), 1 full (0..255).
        color_matrix: A key of ``LUMA_WEIGHTS``.

    Raises:
        ValueError: One of the two is unknown.
    """

    color_range: int
    color_matrix: int

    def __post_init__(self) -> None:
        if self.color_range not in (LIMITED_RANGE, FULL_RANGE):
            raise ValueError(
                f"colour range: {self.color_range}; 0 (limited) or 1 (full) is needed."
            )
        if self.color_matrix not in LUMA_WEIGHTS:
            raise ValueError(
                f"colour matrix: {self.color_matrix}; one of {sorted(LUMA_WEIGHTS)} is needed."
            )

    def from_rgb(self, rgb: Rgb) -> Yuv:
        """Return ``rgb`` as numbers for the planes.

        Source:
            ITU-T H.273, equations 18 to 25 and 38 to 43; BT.601 and BT.709 agree.
        """
        kr, kb = LUMA_WEIGHTS[self.color_matrix]
        r, g, b = (channel / 255 for channel in rgb)
        luma = kr * r + (1 - kr - kb) * g + kb * b
        luma_span, chroma_span, black = self._spans()
        # Pure blue and red of the full range would be 255.5 and so 256.
        return Yuv(
            round(black + luma_span * luma),
            min(255, round(128 + chroma_span * (b - luma) / (2 * (1 - kb)))),
            min(255, round(128 + chroma_span * (r - luma) / (2 * (1 - kr)))),
        )

    def rgb_matrix(self) -> NDArray[np.float32]:
        """Return the (3, 4) matrix from (Y, U, V, 1), 0..255, to (R, G, B), 0..255."""
        kr, kb = LUMA_WEIGHTS[self.color_matrix]
        kg = 1 - kr - kb
        luma_span, chroma_span, black = self._spans()
        y, c = 255 / luma_span, 255 / chroma_span
        red_v, blue_u = 2 * (1 - kr) * c, 2 * (1 - kb) * c
        linear = np.array(
            [
                [y, 0.0, red_v],
                [y, -blue_u * kb / kg, -red_v * kr / kg],
                [y, blue_u, 0.0],
            ]
        )
        offset = -linear @ np.array([black, 128.0, 128.0])
        return np.column_stack([linear, offset]).astype(np.float32)

    def _spans(self) -> tuple[float, float, float]:
        """Return the span of luma, the span of chroma, and black's luma."""
        return (219.0, 224.0, 16.0) if self.color_range == LIMITED_RANGE else (255.0, 255.0, 0.0)


def palette() -> tuple[Rgb, ...]:
    """Return 36 colours, neighbours in the list far apart in hue.

    Hues are evenly spaced in OKLCH, where equal steps look equally large, and taken 150 degrees
    apart; each round of twelve has its own lightness. A colour outside sRGB loses chroma, not hue.
    """
    return tuple(
        _from_oklch(lightness, chroma, FIRST_HUE_DEG + step * HUE_STEP * 360 / HUE_COUNT)
        for lightness, chroma in RINGS
        for step in range(HUE_COUNT)
    )


def ink_on(paper: Rgb) -> Rgb:
    """Return black or white, whichever stands out more from ``paper``.

    Source:
        WCAG 2.2, contrast ratio: (lighter + 0.05) / (darker + 0.05) of relative luminances.
    """
    luminance = relative_luminance(paper)
    return BLACK if (luminance + 0.05) ** 2 > 1.05 * 0.05 else WHITE


def relative_luminance(rgb: Rgb) -> float:
    """Return the light that ``rgb`` gives off, 0 for black to 1 for white."""
    r, g, b = (_to_linear(channel / 255) for channel in rgb)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def _to_linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


def _to_gamma(value: float) -> float:
    return 12.92 * value if value <= 0.0031308 else float(1.055 * value ** (1 / 2.4) - 0.055)


def _from_oklch(lightness: float, chroma: float, hue_deg: float) -> Rgb:
    """Return the sRGB colour of an OKLCH one, with the largest chroma that sRGB can show."""
    low, high = 0.0, chroma
    linear = _linear_srgb(lightness, chroma, hue_deg)
    if not _is_in_gamut(linear):
        for _ in range(20):  # 2^-20 of the chroma is far below one step of eight bits
            middle = (low + high) / 2
            inside = _is_in_gamut(_linear_srgb(lightness, middle, hue_deg))
            low, high = (middle, high) if inside else (low, middle)
        linear = _linear_srgb(lightness, low, hue_deg)
    r, g, b = (round(255 * _to_gamma(min(max(value, 0.0), 1.0))) for value in linear)
    return Rgb(r, g, b)


def _is_in_gamut(linear: tuple[float, float, float]) -> bool:
    return all(0.0 <= value <= 1.0 for value in linear)


def _linear_srgb(lightness: float, chroma: float, hue_deg: float) -> tuple[float, float, float]:
    """Return linear sRGB, outside 0..1 where sRGB cannot show the colour.

    Source:
        Björn Ottosson, "A perceptual color space for image processing", 2020 (Oklab).
    """
    a = chroma * math.cos(math.radians(hue_deg))
    b = chroma * math.sin(math.radians(hue_deg))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
