"""The third stage: instances drawn into the planes of their own frame."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from maskstream.stream.memory.slot import Slot
from maskstream.stream.pixels.painter import DrawStyle, Painter
from maskstream.stream.stages.following import Follower, FollowSettings
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
    follow: FollowSettings | None = None
    """None draws what the network saw, as it is."""


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
    if settings.follow is None:
        for slot in stage.slots():
            painter.draw(slot.planes, slot.instances(), meter.tick(time.monotonic()))
            stage.give(slot)
        return
    for slot in _followed(stage, settings.follow):
        begun_ns = time.monotonic_ns()
        painter.draw(slot.planes, slot.instances(), meter.tick(time.monotonic()))
        # What a slot waited for later frames is not work.
        stage.give(slot, work_ns=time.monotonic_ns() - begun_ns)


def _followed(stage: Stage, settings: FollowSettings) -> Iterator[Slot]:
    """Yield the slots of the feed with tracks for instances, in order."""
    follower = Follower(settings, stage.page.next_track_id)
    for slot in stage.slots():
        yield from follower.follow(slot)
        stage.page.note_track_id(follower.next_id)
    yield from follower.flush()
