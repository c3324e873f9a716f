"""Timestamps of a live source: its own pace, our clock, and one line through every reconnection."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Literal

LIVE_TIME_BASE = Fraction(1, 90_000)
"""Of every live source's pts, whatever the connection of the moment counts in."""
Pace = Literal["arrival", "bursts", "recording"]
"""How frames come: one by one as they are taken, seconds of them at once and ahead of their time as
from a list of segments, or as fast as they are read."""
_JUMPS_S: dict[Pace, float] = {"arrival": 2.0, "bursts": 60.0, "recording": math.inf}
"""A source whose time is off ours by more has jumped."""
_PULL = 200
"""Our clock may bend the source's pace by one part in so many: drifts are followed unseen."""


class LiveClock:
    """Gives every frame its pts in ``LIVE_TIME_BASE``, 0 for the first, strictly increasing.

    The spacing is the source's own, which network and scheduling do not shake; where a frame lies
    on the whole is when it arrived, so that a gap in the signal is a gap in the recording. A frame
    without a timestamp is taken to belong to the moment of its arrival.
    """

    def __init__(self) -> None:
        """Start before the first frame."""
        self._first_arrival_s: float | None = None
        self._offset_s: float | None = None
        self._pace: Pace = "arrival"
        self._last = -1

    @property
    def last_s(self) -> float:
        """When the last frame was, in seconds from the first; 0 before."""
        return max(0, self._last) * float(LIVE_TIME_BASE)

    def go_on(self, arrival_s: float, pts: int) -> None:
        """Count on from a frame that arrived at ``arrival_s`` and got ``pts``."""
        self._first_arrival_s = arrival_s - pts * float(LIVE_TIME_BASE)
        self._last = pts

    def reconnect(self, pace: Pace = "arrival") -> None:
        """Forget the source's own time: the next connection may count from anywhere."""
        self._offset_s = None
        self._pace = pace

    def due_s(self, pts: int) -> float:
        """Returns when a frame is to be shown, on the monotonic clock."""
        return (self._first_arrival_s or 0.0) + pts * float(LIVE_TIME_BASE)

    def next(self, timestamp: int | None, time_base: Fraction, arrival_s: float) -> int:
        """Returns the next frame's pts.

        Args:
            timestamp: The frame's own, in ``time_base``.
            time_base: Seconds in a unit of ``timestamp``.
            arrival_s: When the frame came, on the monotonic clock.
        """
        if self._first_arrival_s is None:
            self._first_arrival_s = arrival_s
        at_s = arrival_s - self._first_arrival_s
        if timestamp is not None:
            at_s = self._placed_s(float(timestamp * time_base), at_s)
        self._last = max(round(at_s / LIVE_TIME_BASE), self._last + 1)
        return self._last

    def _placed_s(self, own_s: float, arrived_s: float) -> float:
        """Returns where a frame of time ``own_s`` lies, that arrived at ``arrived_s``."""
        jump_s = _JUMPS_S[self._pace]
        if self._offset_s is None or abs(own_s + self._offset_s - arrived_s) > jump_s:
            self._offset_s = arrived_s - own_s
        placed_s = own_s + self._offset_s
        if self._pace == "recording":
            return placed_s
        if self._pace == "bursts":
            # Being early says nothing; being late says that the next segments may be late too.
            self._offset_s += max(0.0, arrived_s - placed_s)
            return own_s + self._offset_s
        step_s = max(0.0, placed_s - self._last * float(LIVE_TIME_BASE))
        pull_s = step_s / _PULL
        self._offset_s += min(max(arrived_s - placed_s, -pull_s), pull_s)
        return placed_s
