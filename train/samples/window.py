"""The rectangle of a picture that the network is shown.

Zooming out and cropping are both the choice of a rectangle: larger than the picture, or smaller.
So the picture and its masks are resampled once, whatever was drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from maskstream.train.augment_options import AugmentOptions


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle in pixels of the picture that becomes the network's input; may reach outside."""

    left: float
    top: float
    width: float
    height: float
    is_mirrored: bool = False

    def to_view(
        self, boxes_xyxy_src: NDArray[np.float64], width_px: int, height_px: int
    ) -> NDArray[np.float64]:
        """Return (N, 4) boxes in pixels of the view that the window is scaled to, clipped to it."""
        offset = np.array([self.left, self.top, self.left, self.top])
        sides = np.array([width_px, height_px] * 2)
        scale = sides / np.array([self.width, self.height] * 2)
        boxes: NDArray[np.float64] = np.clip((boxes_xyxy_src - offset) * scale, 0, sides)
        if self.is_mirrored:
            left, top, right, bottom = boxes.T
            boxes = np.stack([width_px - right, top, width_px - left, bottom], axis=1)
        return boxes

    def contains(self, x: float, y: float) -> bool:
        """Say whether a point of the picture is in view."""
        return self.left <= x < self.left + self.width and self.top <= y < self.top + self.height

    def squared(self, x_stretch: float, y_stretch: float) -> Window:
        """Return the window with what lies around it, so that it fills a square input.

        Args:
            x_stretch: By how much what is shown gets wider.
            y_stretch: By how much it gets higher.
        """
        side = max(self.width * x_stretch, self.height * y_stretch)
        width, height = side / x_stretch, side / y_stretch
        left = self.left - (width - self.width) / 2
        top = self.top - (height - self.height) / 2
        return Window(left, top, width, height, self.is_mirrored)

    def part(self, left: float, top: float, width: float, height: float) -> Window:
        """Return a part of the window, given in shares of its sides."""
        return Window(
            self.left + left * self.width,
            self.top + top * self.height,
            width * self.width,
            height * self.height,
            self.is_mirrored,
        )


def choose_window(
    width: int,
    height: int,
    boxes_xyxy_src: NDArray[np.float64],
    *,
    options: AugmentOptions,
    random: np.random.Generator,
) -> Window:
    """Draw the part of the picture, or the canvas around it, that is shown.

    Source:
        SSD, section 2.2, in YOLACT's form. The overlap that SSD demands of a crop is left out: the
        released code's test never rejects, and its author reports that one that does halves the AP.
    """
    view = Window(0.0, 0.0, float(width), float(height))
    if random.random() < options.expand_probability:
        ratio = random.uniform(1, options.expand_max)
        left = random.uniform(0, width * ratio - width)
        top = random.uniform(0, height * ratio - height)
        view = Window(-left, -top, width * ratio, height * ratio)
    if random.random() < options.crop_probability:
        view = _crop(view, boxes_xyxy_src, options.crop_min, random)
    is_mirrored = bool(random.random() < options.mirror_probability)
    return Window(view.left, view.top, view.width, view.height, is_mirrored)


def _crop(
    view: Window, boxes: NDArray[np.float64], smallest: float, random: np.random.Generator
) -> Window:
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    for _ in range(50):
        width = view.width * random.uniform(smallest, 1)
        height = view.height * random.uniform(smallest, 1)
        if not 0.5 <= height / width <= 2:
            continue
        left = view.left + random.uniform(0, view.width - width)
        top = view.top + random.uniform(0, view.height - height)
        is_inside = (
            (centers[:, 0] > left)
            & (centers[:, 0] < left + width)
            & (centers[:, 1] > top)
            & (centers[:, 1] < top + height)
        )
        # A picture of nothing may be cut anywhere; any other must keep an object.
        if is_inside.any() or len(boxes) == 0:
            return Window(left, top, width, height)
    return view


def render(
    image: NDArray[np.uint8],
    window: Window,
    width_px: int,
    height_px: int,
    fill: tuple[float, ...],
) -> NDArray[np.uint8]:
    """Return what ``window`` shows, scaled to ``width_px`` x ``height_px``.

    Args:
        image: (H, W) or (H, W, C).
        fill: Value of each channel outside the picture.
    """
    height, width = image.shape[:2]
    left, top = max(window.left, 0.0), max(window.top, 0.0)
    right = min(window.left + window.width, width)
    bottom = min(window.top + window.height, height)
    canvas = np.empty((height_px, width_px, *image.shape[2:]), np.uint8)
    canvas[...] = np.rint(fill).astype(np.uint8) if image.ndim == 3 else np.uint8(fill[0])
    # The picture and its masks take the same whole pixels, so they stay on top of each other.
    x0, y0, x1, y1 = (
        round((left - window.left) * width_px / window.width),
        round((top - window.top) * height_px / window.height),
        round((right - window.left) * width_px / window.width),
        round((bottom - window.top) * height_px / window.height),
    )
    cut = image[int(top) : max(int(np.ceil(bottom)), int(top) + 1), int(left) : int(np.ceil(right))]
    if x1 > x0 and y1 > y0 and cut.size:
        shrinks = cut.shape[1] > x1 - x0 and cut.shape[0] > y1 - y0
        way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        canvas[y0:y1, x0:x1] = cv2.resize(cut, (x1 - x0, y1 - y0), interpolation=way)
    return canvas[:, ::-1] if window.is_mirrored else canvas
