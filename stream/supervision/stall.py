"""Noticing that a line which should move does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from maskstream.stream.telemetry.reader import Subject


@dataclass(frozen=True, slots=True)
class Stall:
    """Which stage holds the line up."""

    label: str
    text: str


class HangWatch:
    """Watches each stage by itself. One that lives works, or looks for work every second or so."""

    def __init__(self, limit_s: float) -> None:
        """Call a stage hung after ``limit_s`` without a sign of life, or at one item."""
        self._limit_s = limit_s
        self._seen: dict[tuple[str, int], tuple[tuple[int, ...], float]] = {}

    def look(self, subject: Subject, now_s: float) -> str | None:
        """Returns what is wrong with a stage whose process is ready; None while all is well."""
        page = subject.page
        busy = page.busy_on()
        signs = (page.taken, page.given, page.turns, busy[1] if busy else 0)
        key = (subject.label, subject.pid)
        before, since_s = self._seen.get(key, ((), now_s))
        if signs != before:
            self._seen[key] = (signs, now_s)
            return None
        if now_s - since_s < self._limit_s:
            return None
        what = "no sign of life" if busy is None else f"at work on item {busy[0]}"
        return f"{subject.label}: {what} for over {self._limit_s:.0f} s; it is ended."


class StallWatch:
    """Watches the stages' counts. A stage without input is not stalled; a line at rest is.

    A line whose live source is away is not at rest: capture says again and again that it waits.

    The stage to blame is the one that has been at work on one item for longest; where none is at
    work, the last one in the frames' way that has not taken what was given to it.
    """

    def __init__(self, stall_s: float) -> None:
        """Call a line stalled after ``stall_s`` without any movement."""
        self._stall_s = stall_s
        self._counts: list[tuple[str, int, int, int]] | None = None
        self._moved_s = 0.0

    def look(self, subjects: Sequence[Subject], now_s: float) -> Stall | None:
        """Returns the stall, if there is one by now.

        Args:
            subjects: The stages that still run, in the frames' way.
            now_s: On the monotonic clock, as the pages' times are.
        """
        counts = [(s.label, s.page.taken, s.page.given, s.page.beats) for s in subjects]
        if counts != self._counts:
            self._counts, self._moved_s = counts, now_s
        if now_s - self._moved_s < self._stall_s:
            return None
        return self._blame(subjects)

    def _blame(self, subjects: Sequence[Subject]) -> Stall | None:
        busy = [(at, s) for s in subjects if (at := s.page.busy_on()) is not None]
        if busy:
            (item, _), subject = min(busy, key=lambda entry: entry[0][1])
            text = f"{subject.label}: at work on frame {item} for over {self._stall_s:.0f} s."
            return Stall(subject.label, text)
        if not subjects:
            return None
        # Nobody works and nobody has ended: somebody does not take what lies ready. Where nothing
        # does, all slots are free, and it is capture that does not fill them.
        idle = subjects[0]
        for giver, taker in pairwise(subjects):
            if giver.page.given > taker.page.taken:
                idle = taker
        return Stall(idle.label, f"{idle.label}: took nothing for over {self._stall_s:.0f} s.")
