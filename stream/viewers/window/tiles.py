"""Sources side by side in a window: where each lies, what is said of it, and drawing it."""

from __future__ import annotations

import time
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from maskstream.stream.pixels.still import Size, Still
from maskstream.stream.pixels.text import Font
from maskstream.stream.stages.overlay import RateMeter

BACKGROUND = 32
"""Grey of what no picture covers: dark, and told apart from a black picture."""
SILENT_S = 2.0
"""A picture that stands for so long is said to be old."""
ROOM_SHARE = 0.9
"""Of the screen, that a window may take at first; the rest is for frames, bars and docks."""
WIDEST_ASPECT = 64 / 27
"""A screen that is wider is taken for several monitors side by side."""
_FONT_LINES = 28
_FONT_SIZES_PX = (12, 24)
_DARKNESS = 0.6
"""Share of black behind a caption."""


class Tile:
    """One source: what was seen of it last, and what is said of it."""

    def __init__(self, name: str | None, display_fps: bool) -> None:
        """Start before the first frame; ``name`` is None where it need not be said."""
        self.is_ended = False
        """Whether no frame will come any more."""
        self._name = name
        self._display_fps = display_fps
        self._latest: Still | None = None
        self._frozen: Still | None = None
        self._is_paused = False
        self._taken = self._drawn = 0
        self._came_s = time.monotonic()
        self._meter = RateMeter()
        self._rate_hz: float | None = None
        self._said: str | None = None

    @property
    def shown(self) -> Still | None:
        """What is to be seen; valid until the next frame is taken."""
        return self._frozen if self._is_paused else self._latest

    def take(self, still: Still, now_s: float) -> None:
        """Show ``still`` from now on, or when the pause is over."""
        self._latest, self._came_s = still, now_s
        self._taken += 1

    def pause(self, is_paused: bool) -> None:
        """Keep what is seen, or go on; only a pause needs a copy."""
        self._frozen = self._latest.copy() if is_paused and self._latest is not None else None
        self._is_paused = is_paused

    def draw(self, cell: NDArray[np.uint8], now_s: float, *, is_due: bool) -> tuple[bool, bool]:
        """Draw into ``cell`` if something changed or it is due; returns whether, and if a frame."""
        is_frame = self._taken != self._drawn and not self._is_paused
        if is_frame:
            self._drawn = self._taken
            self._rate_hz = self._meter.tick(now_s)
        caption = self._caption(now_s)
        is_drawn = is_due or is_frame or caption != self._said
        if is_drawn:
            self._said = caption
            draw_cell(cell, self.shown, caption)
        return is_drawn, is_frame

    def _caption(self, now_s: float) -> str:
        silent_s = now_s - self._came_s
        how = ""
        if self._is_paused:
            how = "paused"
        elif self.is_ended:
            how = "ended"
        elif silent_s >= SILENT_S:
            kind = "picture" if self._latest is None else "new picture"
            how = f"no {kind} for {silent_s:.0f} s"
        elif self._display_fps and self._rate_hz is not None:
            how = f"{self._rate_hz:.1f} fps seen"
        return " \u00b7 ".join(filter(None, (self._name, how)))


def fitted(size: Size, room: Size) -> Size:
    """Returns the largest size of the aspect of ``size`` that fits into ``room``."""
    scale = min(room.width / size.width, room.height / size.height)
    return Size(max(1, round(size.width * scale)), max(1, round(size.height * scale)))


def best_columns(count: int, cell: Size, room: Size) -> int:
    """Returns in how many columns ``count`` cells of one aspect get largest in ``room``.

    Of several such numbers it is the smallest.
    """

    def scale(columns: int) -> float:
        rows = -(-count // columns)
        return min(room.width / (columns * cell.width), room.height / (rows * cell.height))

    return max(range(1, count + 1), key=scale)


def cells(count: int, cell: Size, room: Size) -> list[tuple[int, int, Size]]:
    """Returns left, top and size of ``count`` equal cells that fill ``room``, row by row.

    Args:
        count: Of the cells.
        cell: Whose aspect suits what they will show.
        room: Of the canvas.
    """
    columns = best_columns(count, cell, room)
    each = Size(room.width // columns, room.height // -(-count // columns))
    return [
        (index % columns * each.width, index // columns * each.height, each)
        for index in range(count)
    ]


def first_size(count: int, cell: Size, screen: Size) -> Size:
    """Returns a window's size for ``count`` pictures of size ``cell``: theirs, if there is room."""
    widest = min(screen.width, screen.height * WIDEST_ASPECT)
    room = Size(round(ROOM_SHARE * widest), round(ROOM_SHARE * screen.height))
    columns = best_columns(count, cell, room)
    whole = Size(columns * cell.width, -(-count // columns) * cell.height)
    fits = whole.width <= room.width and whole.height <= room.height
    return whole if fits else fitted(whole, room)


def draw_cell(cell: NDArray[np.uint8], still: Still | None, caption: str) -> None:
    """Fill ``cell`` with a picture, as large as fits, and a caption in its lower left corner.

    Args:
        cell: (height, width, 3) BGR, a part of the canvas; every value is written.
        still: None leaves the background.
        caption: Cut off at the right; none where empty.
    """
    cell[...] = BACKGROUND
    height, width = cell.shape[:2]
    if still is not None:
        size = fitted(still.size, Size(width, height))
        left, top = (width - size.width) // 2, (height - size.height) // 2
        still.write_bgr(cell[top : top + size.height, left : left + size.width])
    if caption:
        smallest, largest = _FONT_SIZES_PX
        size_px = min(max(round(min(height, width) / _FONT_LINES), smallest), largest)
        _draw_caption(cell, _font(size_px).coverage(caption))


def _draw_caption(cell: NDArray[np.uint8], coverage: NDArray[np.uint8]) -> None:
    shown = coverage[: cell.shape[0], : cell.shape[1]]
    rows, columns = shown.shape
    strip = cell[-rows:, :columns]
    ink = shown[..., None].astype(np.float32) / 255
    strip[...] = strip * (1 - _DARKNESS) * (1 - ink) + 255 * ink


@lru_cache(maxsize=4)
def _font(size_px: int) -> Font:
    return Font(size_px)
