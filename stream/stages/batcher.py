"""When to run a batch, and of which frames: collect until it is full, or waiting longer would hurt.

Pure bookkeeping, with the clock handed in: nothing here waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(slots=True)
class _Lane(Generic[Item]):
    """The frames of one source that wait, with their arrival times."""

    is_live: bool
    share_max: int
    waiting: deque[tuple[float, Item]]
    is_open: bool = True


class Batcher(Generic[Item]):
    """Collects frames of one or several sources into batches.

    A batch is due as soon as one of these holds, and is short if need be:

    - it is full;
    - its oldest frame has waited for the deadline;
    - all sources that are still open are live, and each has given a frame;
    - a source that has ended has frames left, or no source is open any more.
    """

    def __init__(
        self,
        live_by_source: dict[int, bool],
        *,
        batch_max: int,
        per_source_max: Mapping[int, int] = MappingProxyType({}),
        deadline_s: float,
    ) -> None:
        """Collect for the sources named.

        Args:
            live_by_source: Source id -> whether its frames come at their own pace.
            batch_max: Most frames in a batch, at least 1.
            per_source_max: Source id -> most of its frames in a batch, at least 1; a source
                that is not named may fill it.
            deadline_s: Longest wait of a frame for others.
        """
        self._lanes: dict[int, _Lane[Item]] = {
            source_id: _Lane(is_live, per_source_max.get(source_id, batch_max), deque())
            for source_id, is_live in live_by_source.items()
        }
        self._order = deque(self._lanes)
        self._batch_max = batch_max
        self._deadline_s = deadline_s

    def add(self, source_id: int, item: Item, now_s: float) -> None:
        """Add a frame that arrived at ``now_s``."""
        self._lanes[source_id].waiting.append((now_s, item))

    def end(self, source_id: int) -> None:
        """Say that no frame of ``source_id`` will come any more."""
        self._lanes[source_id].is_open = False

    def has_waiting(self, source_id: int) -> bool:
        """Whether frames of ``source_id`` wait for a batch."""
        return bool(self._lanes[source_id].waiting)

    def due_in_s(self, now_s: float) -> float | None:
        """Returns how long to wait for more frames; 0 if a batch is due, None if none waits."""
        oldest_s = min((lane.waiting[0][0] for lane in self._filled()), default=None)
        if oldest_s is None:
            return None
        if self._is_full() or not self._is_waiting_worthwhile():
            return 0.0
        return max(0.0, oldest_s + self._deadline_s - now_s)

    def take(self) -> list[tuple[int, Item]]:
        """Returns (source id, frame) of the next batch, one source after the other in turns.

        The batch is taken whether due or not; ask ``due_in_s`` first. The source after the last one
        served begins the next batch, so that none is favoured.
        """
        batch: list[tuple[int, Item]] = []
        served = dict.fromkeys(self._lanes, 0)
        idle_turns = 0
        while len(batch) < self._batch_max and idle_turns < len(self._order):
            source_id = self._order[0]
            self._order.rotate(-1)
            lane = self._lanes[source_id]
            if lane.waiting and served[source_id] < lane.share_max:
                batch.append((source_id, lane.waiting.popleft()[1]))
                served[source_id] += 1
                idle_turns = 0
            else:
                idle_turns += 1
        return batch

    def _filled(self) -> Iterable[_Lane[Item]]:
        return (lane for lane in self._lanes.values() if lane.waiting)

    def _is_full(self) -> bool:
        takeable = sum(min(len(lane.waiting), lane.share_max) for lane in self._filled())
        return takeable >= self._batch_max

    def _is_waiting_worthwhile(self) -> bool:
        still_open = [lane for lane in self._lanes.values() if lane.is_open]
        if any(not lane.is_open for lane in self._filled()):
            return False
        all_live_gave = all(lane.is_live and lane.waiting for lane in still_open)
        return bool(still_open) and not all_live_gave
