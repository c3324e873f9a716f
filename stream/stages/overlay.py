"""The third stage: instances drawn into the planes of their own frame."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

from maskstream.stream.pixels.painter import DrawStyle, Painter
from maskstream.stream.stages.stage import Stage

RATE_WINDOW_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlaySettings:
    """What overlay is started with."""

    style: DrawStyle
    width: int
    """Of the frames, in pixels."""
    height: int
    """Of the frames, in pixels."""
    color_range: int
    color_matrix: int


class RateMeter:
    """Frames per second over the last second."""

    def __init__(self) -> None:
        self._times_s: deque[float] = deque()

    def tick(self, now_s: float) -> float | None:
        """Returns the rate with a frame at ``now_s``; None before there are two."""
        times_s = self._times_s
        times_s.append(now_s)
        # One time beyond the window stays, so that a rate below 1 is a number too.
        while len(times_s) > 2 and times_s[1] <= now_s - RATE_WINDOW_S:
            times_s.popleft()
        span_s = now_s - times_s[0]
        return (len(times_s) - 1) / span_s if span_s > 0 else None


def run(stage: Stage, settings: OverlaySettings) -> None:
    """Draw on every frame until the feed ends."""
    painter = Painter(
        settings.style,
        settings.width,
        settings.height,
        settings.color_range,
        settings.color_matrix,
    )
    meter = RateMeter()
    stage.ready()
    for slot in stage.slots():
        painter.draw(slot.planes, slot.instances(), meter.tick(time.monotonic()))
        stage.give(slot)
