"""The newest picture of each source, encoded once however many look, and only while one waits.

Frames come in the stage's main thread, which also encodes; viewers live in the server's event
loop. What passes between the two are single attributes that one side writes and the other reads.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from maskstream.stream.network.newest import Newest

FPS_MAX = 25.0
"""Pictures of a source a second, at most."""
TOTAL_FPS_MAX = 50.0
"""Pictures of all sources together: about a tenth of a core."""
_SEEN_S = 1.0
"""A source that nobody waited for in this time takes no share of the total."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One frame as it is sent."""

    captured_ns: int
    """When it left the decoder, monotonic; tells the frames of a source apart."""
    jpeg: bytes


@dataclass(slots=True)
class _Lane:
    """One source's way from the main thread to the viewers."""

    picture: Newest[Picture] = field(default_factory=Newest)
    frame_ns: int = 0
    """Of the newest frame, encoded or not. Written by the main thread."""
    encoded_ns: int = 0
    """Of the frame that was encoded last. Written by the main thread."""
    due_s: float = 0.0
    """The next picture is made no earlier. The main thread's own."""
    waiter_count: int = 0
    """Viewers that wait for a picture at this moment. Written by the event loop."""


class Pictures:
    """The newest picture of each source."""

    def __init__(self, source_ids: Iterable[int]) -> None:
        """Have a place for each of ``source_ids``."""
        self._lanes = {source_id: _Lane() for source_id in source_ids}

    # The main thread's side.

    def note_frame(self, source_id: int, captured_ns: int) -> None:
        """Say that a source has a new frame."""
        self._lanes[source_id].frame_ns = captured_ns

    def wanted(self, now_s: float) -> list[int]:
        """Return the sources whose newest frame somebody waits for and is due now."""
        seen_count = sum(lane.due_s > now_s - _SEEN_S for lane in self._lanes.values())
        interval_s = max(1 / FPS_MAX, seen_count / TOTAL_FPS_MAX)
        found = []
        for source_id, lane in self._lanes.items():
            is_new = lane.frame_ns != lane.encoded_ns
            if lane.waiter_count and is_new and now_s >= lane.due_s:
                # What a frame came late by is made good, so that the mean rate is the one asked.
                lane.due_s = max(lane.due_s + interval_s, now_s)
                lane.encoded_ns = lane.frame_ns
                found.append(source_id)
        return found

    # The event loop's side.

    def put(self, source_id: int, picture: Picture) -> None:
        """Hand a picture to all who wait for it."""
        self._lanes[source_id].picture.put(picture)

    async def after(self, source_id: int, seen: Picture | None) -> Picture:
        """Return the source's newest picture, once it is another one than ``seen``."""
        lane = self._lanes[source_id]
        newest = lane.picture.value
        if newest is not None and newest is not seen and newest.captured_ns == lane.frame_ns:
            return newest
        lane.waiter_count += 1
        try:
            # One that is there already shows an older frame: it is not waited for any more.
            return await lane.picture.after(newest)
        finally:
            lane.waiter_count -= 1

    def __contains__(self, source_id: object) -> bool:
        return source_id in self._lanes
