"""Gaps between frames that are longer than a container can hold."""

from __future__ import annotations

from fractions import Fraction

_MP4_UNITS_MAX = 2**31 - 1
"""Of a track's time scale, in one sample of an mp4."""
_MP4_SCALE_MIN = 10_000
"""FFmpeg doubles the time scale of an mp4's track until it is at least this."""
_SOUND_HZ = 48_000
"""The time scale of a track of sound is its sample rate; this is the highest usual one."""


class LongGaps:
    """Closes gaps that the container cannot hold; all other times stay as they are."""

    def __init__(self, time_base: Fraction, container: str) -> None:
        """Start before the first frame of a recording.

        Args:
            time_base: Of the frames' pts.
            container: FFmpeg's name, ``mp4`` or ``matroska``.
        """
        self.time_base = time_base
        self._longest = longest_gap(time_base) if container == "mp4" else None
        self._last: int | None = None
        self._shift = 0
        self._step = 1

    def close(self, pts: int) -> tuple[int, Fraction]:
        """Return the frame's pts in the recording, and by how many seconds a gap was closed.

        Args:
            pts: By the source; greater than that of the frame before.
        """
        last, self._last = self._last, pts
        if last is None or self._longest is None:
            return pts, Fraction(0)
        gap = pts - last
        if gap <= self._longest:
            self._step = gap
            return pts - self._shift, Fraction(0)
        closed = gap - self._step
        self._shift += closed
        return pts - self._shift, closed * self.time_base


def longest_gap(time_base: Fraction) -> int:
    """Return how far two frames of an mp4 may be apart, in units of ``time_base``."""
    scale = time_base.denominator
    while scale < _MP4_SCALE_MIN:
        scale *= 2
    return int(Fraction(_MP4_UNITS_MAX, max(scale, _SOUND_HZ)) / time_base)
