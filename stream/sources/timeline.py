"""Timestamps made fit for a file: from the source's start, and strictly increasing."""

from __future__ import annotations

from fractions import Fraction


class Timeline:
    """Gives every frame its pts; repairs those that are missing or do not increase.

    Args:
        start: The source's first timestamp, subtracted from all, in the stream's time base.
        step: Nominal time from frame to frame, in the stream's time base; not rounded.
    """

    def __init__(self, *, start: int, step: Fraction) -> None:
        """Start before the first frame."""
        self._start = start
        self._step = max(step, Fraction(1))
        self._last: Fraction | None = None
        self.missing_count = 0
        """Frames that came without a timestamp."""
        self.disorder_count = 0
        """Frames whose timestamp was not later than the one before."""

    @property
    def end(self) -> int:
        """Where the last frame ends, taking it to last as long as is usual."""
        return 0 if self._last is None else round(self._last + self._step)

    def next(self, timestamp: int | None) -> int:
        """Returns the pts for the next frame, greater than all before, and 0 or more."""
        relative = None if timestamp is None else Fraction(timestamp - self._start)
        last = self._last
        if relative is None:
            self.missing_count += 1
            # Counted on without rounding, so that 30000/1001 frames a second do not drift.
            relative = Fraction(0) if last is None else last + self._step
        elif last is None:
            relative = max(relative, Fraction(0))
        elif relative <= round(last):
            self.disorder_count += 1
            # Half a step only: the next good timestamp is then later again and is kept.
            relative = Fraction(round(last) + max(1, round(self._step / 2)))
        self._last = relative
        return round(relative)

    def warnings(self) -> tuple[str, ...]:
        """Returns what was repaired, one line each; nothing where nothing was."""
        found = []
        if self.missing_count:
            found.append(
                f"{_frames(self.missing_count)} without a timestamp; timed by the frame rate"
            )
        if self.disorder_count:
            found.append(
                f"{_frames(self.disorder_count)} with a timestamp not later than the one before; "
                "moved to half a frame after it"
            )
        return tuple(found)


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"
