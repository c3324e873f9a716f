"""Instances drawn into a frame's own planes: masks, boxes, labels and the rate.

Nothing is converted and nothing is as large as the frame: each mask, line and tag is worked on in
the rectangle that it covers. All lines and tags lie on even pixels, so that their chroma covers
exactly what their luma covers and their edges have no coloured fringe.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskstream.engines.interface.instances import Instances
from maskstream.stream.arguments import OPACITY, ColorBy
from maskstream.stream.memory.frame import Planes
from maskstream.stream.pixels.blending import Rect, blend_mask, fill
from maskstream.stream.pixels.colors import BLACK, WHITE, Rgb, Yuv, YuvSpace, ink_on, palette
from maskstream.stream.pixels.text import Font, draw_on_dark_strip, draw_tag

FONT_LINES = 46
"""The font's size is the frame's short side over this: 23 px at 1080p, 16 px at 720p."""
LINE_LINES = 540
"""Boxes have two pixels of line for each so many of the frame's short side: 4 px at 1080p."""


@dataclass(frozen=True)
class DrawStyle:
    """What is drawn, and how.

    Raises:
        ValueError: ``opacity`` is outside 0..1, or ``color_by`` is unknown.
    """

    class_names: tuple[str, ...]
    color_by: ColorBy = "class"
    """One colour a class, or one an instance: by track, or by rank where nothing is tracked."""
    opacity: float = OPACITY
    """Share of the colour in a mask, 0..1; 0 draws no masks."""
    boxes: bool = True
    labels: bool = True
    display_fps: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.opacity <= 1:
            raise ValueError(f"opacity: {self.opacity}; a share from 0 to 1 is needed.")
        if self.color_by not in ("class", "instance"):
            raise ValueError(f"color_by: {self.color_by!r}; 'class' or 'instance' is needed.")


class Paint(NamedTuple):
    """A palette colour in the frame's own numbers, and the ink that is read on it."""

    color: Yuv
    ink: Yuv


class Painter:
    """Draws on frames of one size and colour space. Holds no frame and no buffer of frame size."""

    def __init__(
        self, style: DrawStyle, width: int, height: int, color_range: int, color_matrix: int
    ) -> None:
        """Convert the palette and load the font.

        Args:
            style: What is drawn.
            width: Of the frames, even, in pixels.
            height: Of the frames, even, in pixels.
            color_range: 0 limited, 1 full.
            color_matrix: A key of ``colors.LUMA_WEIGHTS``.

        Raises:
            ValueError: Range or matrix is unknown.
        """
        space = YuvSpace(color_range, color_matrix)
        short_side_px = min(width, height)
        self._style = style
        self._width, self._height = width, height
        self._paints = tuple(_paint(rgb, space) for rgb in palette())
        self._black, self._white = space.from_rgb(BLACK), space.from_rgb(WHITE)
        self._font = Font(round(short_side_px / FONT_LINES))
        self._line_px = 2 * max(1, round(short_side_px / LINE_LINES))
        # As wide as three digits, so that the strip does not twitch with the figure.
        self._fps_columns = self._font.coverage("000.0 fps").shape[1]

    def draw(self, planes: Planes, instances: Instances, fps: float | None) -> None:
        """Draw ``instances`` into ``planes``, in place.

        Masks come first, then boxes, then labels, each from the lowest score to the highest, so
        that the highest lies on top. Other pixels keep their values.

        Args:
            planes: A frame of this painter's size; every value may be written.
            instances: In pixels of this frame; parts outside are cut off.
            fps: Shown in the corner when the style asks for it; None shows nothing.
        """
        paints = [self._paint_of(instances, index) for index in range(len(instances))]
        lowest_first = range(len(instances) - 1, -1, -1)
        if self._style.opacity > 0:
            for index in lowest_first:
                left, top = (int(edge) for edge in instances.extents_xyxy_src[index, :2])
                color = paints[index].color
                blend_mask(planes, instances.mask(index), left, top, color, self._style.opacity)
        outlines = [self._outline(box) for box in instances.boxes_xyxy_src]
        if self._style.boxes:
            for index in lowest_first:
                self._draw_box(planes, outlines[index], paints[index].color)
        taken = self._draw_fps(planes, fps)
        if self._style.labels:
            self._draw_labels(planes, instances, outlines, paints, taken)

    def _paint_of(self, instances: Instances, index: int) -> Paint:
        if self._style.color_by == "class":
            number = int(instances.class_ids[index])
        elif instances.track_ids is not None:
            number = int(instances.track_ids[index])
        else:
            number = index
        return self._paints[number % len(self._paints)]

    def _outline(self, box_xyxy_src: NDArray[np.float32]) -> Rect | None:
        """Return the box on the nearest even pixels inside the frame; None outside it."""
        left, top, right, bottom = (float(edge) for edge in box_xyxy_src)
        if right <= 0 or bottom <= 0 or left >= self._width or top >= self._height:
            return None
        x0, x1 = _even_span(left, right, self._width)
        y0, y1 = _even_span(top, bottom, self._height)
        return Rect(x0, y0, x1, y1)

    def _draw_box(self, planes: Planes, outline: Rect | None, color: Yuv) -> None:
        if outline is None:
            return
        left, top, right, bottom = outline
        across, down = min(self._line_px, right - left), min(self._line_px, bottom - top)
        fill(planes, Rect(left, top, right, top + down), color)
        fill(planes, Rect(left, bottom - down, right, bottom), color)
        fill(planes, Rect(left, top, left + across, bottom), color)
        fill(planes, Rect(right - across, top, right, bottom), color)

    def _draw_fps(self, planes: Planes, fps: float | None) -> list[Rect]:
        """Draw the rate in the upper left corner; return what labels have to keep clear of."""
        if fps is None or not self._style.display_fps:
            return []
        coverage = self._font.coverage(f"{fps:.1f} fps")
        missing = max(0, self._fps_columns - coverage.shape[1])
        coverage = np.pad(coverage, ((0, 0), (missing, 0)))
        draw_on_dark_strip(planes, coverage, 0, 0, black=self._black, ink=self._white)
        return [Rect(0, 0, coverage.shape[1], coverage.shape[0])]

    def _draw_labels(
        self,
        planes: Planes,
        instances: Instances,
        outlines: list[Rect | None],
        paints: list[Paint],
        taken: list[Rect],
    ) -> None:
        """Place labels from the highest score on, then draw them from the lowest."""
        tags: list[tuple[NDArray[np.uint8], Rect, Paint]] = []
        for index, outline in enumerate(outlines):
            if outline is None:
                continue
            coverage = self._font.coverage(self._label(instances, index))
            place = self._place(outline, coverage.shape[1], coverage.shape[0], taken)
            taken.append(place)
            tags.append((coverage, place, paints[index]))
        for coverage, place, paint in reversed(tags):
            draw_tag(planes, coverage, place.left, place.top, paint.color, paint.ink)

    def _label(self, instances: Instances, index: int) -> str:
        name = self._style.class_names[int(instances.class_ids[index])]
        label = f"{name} {instances.scores[index]:.2f}"
        if instances.track_ids is not None:
            label = f"{label} #{instances.track_ids[index]}"
        return label

    def _place(self, outline: Rect, width: int, height: int, taken: list[Rect]) -> Rect:
        """Return where the label goes: beside its box, in the frame, and if it can be, free.

        Tried in turn: on top of the box, under its upper edge, below it, above its lower edge, and
        one row further up and down. When all are taken the first that is in the frame is used.
        """
        left = max(0, min(outline.left, self._width - width))
        tops = (
            outline.top - height,
            outline.top,
            outline.bottom,
            outline.bottom - height,
            outline.top - 2 * height,
            outline.top + height,
        )
        places = [
            Rect(left, top, left + width, top + height)
            for top in tops
            if 0 <= top <= self._height - height
        ]
        for place in places:
            if not any(place.overlaps(other) for other in taken):
                return place
        if places:
            return places[0]
        top = max(0, min(outline.top, self._height - height)) & ~1
        return Rect(left, top, left + width, top + height)


def _even_span(low: float, high: float, size: int) -> tuple[int, int]:
    """Return the nearest even numbers in 0..size to ``low`` and ``high``, at least two apart."""
    start = min(max(2 * round(low / 2), 0), size - 2)
    return start, max(min(2 * round(high / 2), size), start + 2)


def _paint(rgb: Rgb, space: YuvSpace) -> Paint:
    return Paint(color=space.from_rgb(rgb), ink=space.from_rgb(ink_on(rgb)))
