"""Tracking inside the overlay's process: frames in, the same frames out with tracks for instances.

A frame of a file is held back until a few later ones are known, so that single misses can be
filled between two sightings; a live frame goes on at once. Tracking shares overlay's process
because it takes less than handing a slot to a process of its own and back would.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from maskstream.engines.interface.instances import Instances
from maskstream.stream.memory.slot import Slot
from maskstream.stream.tracking.appearance import Looks, describe
from maskstream.stream.tracking.mending import Mender
from maskstream.stream.tracking.options import TrackOptions
from maskstream.stream.tracking.tracker import Tracker


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowSettings:
    """How the objects of one source are followed."""

    track: TrackOptions
    width: int
    """Of the frames, in pixels."""
    height: int
    """Of the frames, in pixels."""
    delay: int
    """Frames that are known before one is shown; 0 live."""
    top_k: int
    """Most instances that are shown of a frame."""
    id_step: int
    """How many sources share the numbers, each taking every so many."""
    first_id: int


class Follower:
    """Follows the objects of one source through its slots."""

    def __init__(self, settings: FollowSettings, next_id: int = 0) -> None:
        """Start without tracks.

        Args:
            settings: How to follow.
            next_id: Of the process before this one, 0 for none: no id is given twice in a run.
        """
        self._settings = settings
        self._tracker = Tracker(
            settings.track, first_id=next_id or settings.first_id, id_step=settings.id_step
        )
        self._mender: Mender[Slot] = Mender(
            settings.track, width=settings.width, height=settings.height, delay=settings.delay
        )

    @property
    def next_id(self) -> int:
        """The id that the next track will get."""
        return self._tracker.next_id

    def follow(self, slot: Slot) -> Iterator[Slot]:
        """Take in a slot; yield those whose instances are final, in order."""
        # Copied, as tracks keep masks longer than the slot is ours.
        instances = slot.instances().copy()
        header = slot.header

        def looks(row: int) -> Looks:
            return describe(slot.planes, instances.patches[row], instances.extents_xyxy_src[row])

        sightings = self._tracker.update(instances, header.pts_s, looks)
        yield from map(self._finished, self._mender.add(slot, header.pts_s, instances, sightings))

    def flush(self) -> Iterator[Slot]:
        """Yield the slots that are held back, in order."""
        yield from map(self._finished, self._mender.flush())

    def _finished(self, shown: tuple[Slot, Instances]) -> Slot:
        slot, instances = shown
        slot.write_instances(instances.select(slice(None, self._settings.top_k)))
        return slot
