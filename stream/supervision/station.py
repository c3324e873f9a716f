"""A stage for the length of a run: one page, and one process after the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from maskstream.stream.memory.counters import StagePage
from maskstream.stream.memory.frame import Holder
from maskstream.stream.processes.backoff import Backoff
from maskstream.stream.stages.views import ViewReceiver, ViewSender
from maskstream.stream.supervision.topology import Ends, Place, StageRow
from maskstream.stream.telemetry.reader import Subject

if TYPE_CHECKING:
    from maskstream.stream.supervision.worker import Worker

SHORT_LIFE_S = 5.0
"""A process that lived for longer makes the waits begin anew."""
FRUITLESS_LIVES_MAX = 3
"""So many short lives in a row in which no frame was given on, and a stage is given up."""


class Station:
    """What is known of a stage, whether its process runs or not."""

    def __init__(self, row: StageRow, label: str, source_ids: tuple[int, ...]) -> None:
        """Make the stage's page; it has no process yet."""
        self.row = row
        self.label = label
        self.source_ids = source_ids
        self.place: Place | None = None
        """In the line; None for a viewer."""
        self.page = StagePage.create()
        self.subject = Subject(label, row.holder, source_ids, 0, self.page, kind=row.kind)
        self.worker: Worker | None = None
        """The latest process; None before the first and while the next one is not started."""
        self.ends = Ends()
        """What the next process starts with."""
        self.shown: dict[str, ViewSender] = {}
        """By the viewer's label; for a sink's next process."""
        self.views: dict[int, ViewReceiver] = {}
        """By source id; for a viewer's next process."""
        self.start_count = 0
        self.due_s = 0.0
        """When the next process may be started."""
        self._backoff = Backoff()
        self._was_short = False
        self._begun_s = 0.0
        self._fruitless_lives = 0
        self._given_before = 0

    @classmethod
    def at(cls, place: Place) -> Station:
        """Returns the station at ``place``."""
        station = cls(place.row, place.label, place.source_ids)
        station.place = place
        return station

    @property
    def is_viewer(self) -> bool:
        """Whether it only looks on."""
        return self.place is None

    @property
    def is_capture(self) -> bool:
        """Whether it reads a source."""
        return self.row.holder == Holder.CAPTURE

    @property
    def is_pending(self) -> bool:
        """Whether its next process is to be started."""
        return self.worker is None

    @property
    def is_alive(self) -> bool:
        """Whether its process runs."""
        return self.worker is not None and self.worker.is_alive

    @property
    def is_hopeless(self) -> bool:
        """Whether another process would die of its start too. A source is never given up."""
        is_given_up = self._fruitless_lives >= FRUITLESS_LIVES_MAX
        return is_given_up and not (self.is_capture or self.is_viewer)

    def begin(self, make: Callable[[], Worker]) -> None:
        """Start the next process with the ends at hand."""
        self.start_count += 1
        self._begun_s = time.monotonic()
        self._given_before = self.page.given
        self.worker = make()
        self.close_ends()
        self.subject.pid = self.worker.pid
        self.subject.state = "starting"
        self.subject.restarts = self.start_count - 1

    def mark_ready(self) -> None:
        """Note that the process waits for frames."""
        self._begun_s = time.monotonic()
        self.subject.state = "running"

    def note_death(self, now_s: float) -> None:
        """Note that the process died, and when the next one is due."""
        is_short = now_s - self._begun_s < SHORT_LIFE_S
        is_fruitless = is_short and self.page.given == self._given_before
        self._fruitless_lives = self._fruitless_lives + 1 if is_fruitless else 0
        # One short life is bad luck; the waits grow from the second in a row on.
        if not (is_short and self._was_short):
            self._backoff.reset()
        self._was_short = is_short
        self.due_s = now_s + self._backoff.next_s()

    def part(self) -> None:
        """Put the dead process away."""
        if self.worker is not None:
            self.worker.close()
        self.worker = None
        self.page.take_over()
        self.subject.state = "restarting"

    def close_ends(self) -> None:
        """Close the copies of the ends; a process that was spawned with them keeps its own."""
        self.ends.close()
        for sender in self.shown.values():
            sender.close()
        for receiver in self.views.values():
            receiver.close()
        self.shown.clear()
        self.views.clear()

    def close(self) -> None:
        """End what still runs, and release all that belongs to the stage."""
        if self.worker is not None:
            if self.worker.is_alive:
                self.worker.kill()
                self.worker.reap()
            self.worker.close()
        self.close_ends()
        self.page.close()
