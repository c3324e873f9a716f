"""A made-up source whose frames say which frame they are: ``synthetic:numbered``.

Each frame carries a stamp, its number and the clock when it was drawn, as a grid of bright and
dark cells that survives lossy encoding and scaling (``read_stamp`` gets it back from decoded
output), and a figure whose place follows from the number alone (``figure_box``). Together they
prove of a whole line that every frame came out once and in order, that what was drawn belongs to
its frame, and how long it took.

    synthetic:numbered?size=1280x720&fps=30&frames=300&pattern=figure&rate=realtime
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskstream.stream.memory.frame import Planes
from maskstream.stream.memory.source_info import (
    MATRIX_UNKNOWN,
    RANGE_LIMITED,
    DecodedFrame,
    SourceInfo,
    SourceProblem,
    resolve_matrix,
)
from maskstream.stream.pixels.stamp import Stamp, read_stamp, stamp_height, write_stamp
from maskstream.stream.sources.synthetic_options import SCHEME, SyntheticOptions, parse_synthetic

__all__ = [
    "SCHEME",
    "Box",
    "Stamp",
    "SyntheticOptions",
    "SyntheticSource",
    "figure_box",
    "parse_synthetic",
    "read_stamp",
]

_CHROMA_NEUTRAL = 128
_FIGURE_LUMA, _FIGURE_U, _FIGURE_V = 180, 100, 170


class Box(NamedTuple):
    """A rectangle in pixels; right and bottom are exclusive."""

    left: int
    top: int
    right: int
    bottom: int


def figure_box(frame_number: int, width: int, height: int) -> Box:
    """Returns where the moving figure is in frame ``frame_number``, in pixels.

    With w = width // 12 and h = height // 3, both made even, the figure goes to and fro over the
    free part of the picture below the stamp, 8 pixels across and 4 down a frame at 1280x720, in
    proportion at other sizes and at least 2::

        left = tri(n * max(2, even(width / 160)), width - w)
        top  = bar + tri(n * max(2, even(height / 180)), height - bar - h)

    where tri(s, r) runs 0..r..0 with period 2 r, bar is the stamp's height, and all are even.
    """
    figure_width, figure_height = _even(width // 12), _even(height // 3)
    bar = stamp_height(height)
    left = _triangle(frame_number * max(2, _even(width // 160)), width - figure_width)
    top = bar + _triangle(frame_number * max(2, _even(height // 180)), height - bar - figure_height)
    return Box(left, top, left + figure_width, top + figure_height)


class SyntheticSource:
    """A ``Source`` of numbered frames."""

    def __init__(self, uri: str, *, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        """Prepare the picture that ``uri`` asks for.

        Raises:
            SourceError: See ``parse_synthetic``.
        """
        options = parse_synthetic(uri)
        self._options = options
        self._clock_ns = clock_ns
        self._background = _background(options.width, options.height)
        self._shape = _figure_shape(options)
        self.info = SourceInfo(
            uri=uri,
            kind="synthetic",
            width=options.width,
            height=options.height,
            frame_rate=float(options.fps),
            frame_count=options.frames,
            duration_s=float(options.frames / options.fps),
            rotation=0,
            sample_aspect=Fraction(1),
            color_range=RANGE_LIMITED,
            color_matrix=resolve_matrix(MATRIX_UNKNOWN, options.height),
            codec="synthetic",
            time_base=1 / options.fps,
            has_audio=False,
        )

    @property
    def decode_error_count(self) -> int:
        """Always 0: nothing is decoded."""
        return 0

    @property
    def error(self) -> SourceProblem | None:
        """Always None: nothing can go wrong here."""
        return None

    @property
    def warnings(self) -> tuple[str, ...]:
        """Always empty."""
        return ()

    def frames(self) -> Iterator[DecodedFrame]:
        """Yields the frames, number n at n / fps seconds; drawn and stamped when written."""
        started_s = time.monotonic()
        for number in range(self._options.frames):
            if self._options.is_realtime:
                due_s = started_s + float(number / self._options.fps)
                time.sleep(max(0.0, due_s - time.monotonic()))
            yield DecodedFrame(
                pts=number,
                time_base=self.info.time_base,
                epoch=0,
                width=self.info.width,
                height=self.info.height,
                duration=1,
                writer=partial(self._draw, number),
            )

    def close(self) -> None:
        """Nothing is held."""

    def _draw(self, number: int, planes: Planes) -> None:
        for plane, background in zip(planes, self._background, strict=True):
            np.copyto(plane, background)
        box = figure_box(number, self.info.width, self.info.height)
        half = self._shape[::2, ::2]
        for plane, level, shape, step in (
            (planes.y, _FIGURE_LUMA, self._shape, 1),
            (planes.u, _FIGURE_U, half, 2),
            (planes.v, _FIGURE_V, half, 2),
        ):
            window = plane[
                box.top // step : box.bottom // step, box.left // step : box.right // step
            ]
            np.copyto(window, np.uint8(level), where=shape)
        write_stamp(planes.y, Stamp(number, self._clock_ns()))


def _background(width: int, height: int) -> Planes:
    """Returns a soft, coloured ground: not flat, and dark enough for the figure to stand out."""
    down, across = np.mgrid[0:height, 0:width]
    waves = np.sin(across / width * 24) + np.sin(down / height * 18)
    luma = (70 + 18 * waves).astype(np.uint8)
    half_down, half_across = np.mgrid[0 : height // 2, 0 : width // 2]
    blue = (112 + half_across * 48 // width).astype(np.uint8)
    red = (112 + half_down * 48 // height).astype(np.uint8)
    bar = stamp_height(height)
    for plane, rows in ((blue, bar // 2), (red, bar // 2)):
        plane[:rows] = _CHROMA_NEUTRAL
    return Planes(luma, blue, red)


def _figure_shape(options: SyntheticOptions) -> NDArray[np.bool_]:
    """Returns (h, w) which pixels of the figure's box belong to it."""
    box = figure_box(0, options.width, options.height)
    height, width = box.bottom - box.top, box.right - box.left
    if options.pattern == "square":
        return np.ones((height, width), np.bool_)
    down, across = np.mgrid[0:height, 0:width]
    x, y = (across + 0.5) / width * 2 - 1, (down + 0.5) / height
    head = (x / 0.45) ** 2 + ((y - 0.16) / 0.16) ** 2 <= 1
    body = (x**2 + ((y - 0.65) / 0.35) ** 2) <= 1
    return np.asarray(head | body, np.bool_)


def _triangle(distance: int, reach: int) -> int:
    """Returns 0..reach..0..., one step a unit of ``distance``; even where both are."""
    reach = _even(reach)
    around = distance % (2 * reach)
    return around if around <= reach else 2 * reach - around


def _even(value: int) -> int:
    return value - value % 2
