"""What is shown of tracks: single misses filled, single sightings left out, labels that stay.

Live, a frame is shown at once: a track that is missed keeps its mask for some frames, moved on. In
files a few later frames are known before one is shown, so gaps are filled between two sightings
only where there is a second one, and a track is shown from its first sighting on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from maskstream.engines.interface.instances import Instances, Origin
from maskstream.stream.tracking.motion import Floats
from maskstream.stream.tracking.options import TrackOptions
from maskstream.stream.tracking.overlap import Shape
from maskstream.stream.tracking.similarity import Track
from maskstream.stream.tracking.tracker import Sighting

_INSIDE_LEAST = 0.3
"""A box of which less lies in the frame has left it; it is not held."""

Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class _Pose:
    """A track in one frame, as it is shown."""

    track: Track
    box: Floats
    score: float
    shape: Shape
    origin: Origin
    age: int


@dataclass(frozen=True, slots=True)
class _Record(Generic[Key]):
    """A frame that waits to be shown."""

    key: Key
    time_s: float
    instances: Instances
    sightings: dict[int, Sighting]
    """By the track's identity, as most tracks have no id when they are first seen."""


class Mender(Generic[Key]):
    """Turns the tracks of each frame into the instances that are shown."""

    def __init__(self, options: TrackOptions, *, width: int, height: int, delay: int = 0) -> None:
        """Start with no frame waiting.

        Args:
            options: How to follow and hold.
            width: Of the frames, in pixels.
            height: Of the frames, in pixels.
            delay: Frames that are known before one is shown; 0 live.
        """
        self._options = options
        self._width, self._height = width, height
        self._delay = delay
        self._waiting: deque[_Record[Key]] = deque()
        self._last_seen: dict[int, tuple[_Record[Key], Sighting]] = {}

    def add(
        self, key: Key, time_s: float, instances: Instances, sightings: list[Sighting]
    ) -> Iterator[tuple[Key, Instances]]:
        """Take in a frame; yield the frames that can be shown now, in order.

        Args:
            key: Comes back with what is shown.
            time_s: Presentation time.
            instances: As the tracker got them; kept until the frame is shown.
            sightings: What the tracker made of them.
        """
        by_track = {id(sighting.track): sighting for sighting in sightings}
        self._waiting.append(_Record(key, time_s, instances, by_track))
        while len(self._waiting) > self._delay:
            yield self._show()

    def flush(self) -> Iterator[tuple[Key, Instances]]:
        """Yield the frames that still wait, in order."""
        while self._waiting:
            yield self._show()

    def _show(self) -> tuple[Key, Instances]:
        record = self._waiting.popleft()
        poses = [
            pose
            for sighting in record.sightings.values()
            if sighting.track.track_id and (pose := self._pose(record, sighting)) is not None
        ]
        self._last_seen = {
            track: seen for track, seen in self._last_seen.items() if track in record.sightings
        }
        for track, sighting in record.sightings.items():
            if sighting.row is not None:
                self._last_seen[track] = (record, sighting)
        poses.sort(key=lambda pose: -pose.score)
        return record.key, self._instances(poses, record.instances.is_exclusive)

    def _pose(self, record: _Record[Key], sighting: Sighting) -> _Pose | None:
        """Return how a confirmed track is shown in a frame; None where it is not."""
        if sighting.row is not None:
            return _seen(record, sighting)
        before = self._last_seen.get(id(sighting.track))
        if before is None:
            return None
        last_record, last = before
        assert last.row is not None
        shape = Shape(
            last_record.instances.patches[last.row],
            last_record.instances.extents_xyxy_src[last.row],
        )
        box = self._box_between(record, sighting, last_record, last)
        if box is None or not self._is_inside(box):
            return None
        score = float(last_record.instances.scores[last.row])
        return _Pose(
            sighting.track, box, score, shape.moved(last.box, box), Origin.HELD, sighting.misses
        )

    def _box_between(
        self,
        record: _Record[Key],
        sighting: Sighting,
        last_record: _Record[Key],
        last: Sighting,
    ) -> Floats | None:
        """Return the box of a track that is missed in a frame; None where it is given up there."""
        if not self._delay:
            return sighting.box if sighting.misses <= self._options.hold_frames else None
        for ahead, later in enumerate(self._waiting):
            again = later.sightings.get(id(sighting.track))
            if again is not None and again.row is not None:
                if sighting.misses + ahead > self._options.hold_frames:
                    return None
                whole_s = later.time_s - last_record.time_s
                part = (record.time_s - last_record.time_s) / whole_s if whole_s > 0 else 0.5
                return np.asarray(last.box + part * (again.box - last.box))
        return None

    def _is_inside(self, box: Floats) -> bool:
        """Whether enough of a box lies in the frame for it to be shown."""
        inside = np.minimum(box[2:], (self._width, self._height)) - np.maximum(box[:2], 0)
        area = float(np.prod(box[2:] - box[:2]))
        return bool(inside.min() > 0 and np.prod(inside) >= _INSIDE_LEAST * area)

    def _instances(self, poses: list[_Pose], is_exclusive: bool) -> Instances:
        """Return what is shown of a frame; masks that reach out of it are cut."""
        kept, patches, extents = [], [], []
        for pose in poses:
            cut = pose.shape.inside(self._width, self._height)
            if cut is not None:
                kept.append(pose)
                patches.append(cut.patch)
                extents.append(cut.extent)
        return Instances(
            boxes_xyxy_src=np.array([pose.box for pose in kept], np.float32).reshape(-1, 4),
            scores=np.array([pose.score for pose in kept], np.float32),
            class_ids=np.array([pose.track.class_id for pose in kept], np.int32),
            extents_xyxy_src=np.array(extents, np.int32).reshape(-1, 4),
            patches=tuple(patches),
            track_ids=np.array([pose.track.track_id for pose in kept], np.int32),
            origins=np.array([pose.origin for pose in kept], np.uint8),
            ages=np.array([pose.age for pose in kept], np.int32),
            is_exclusive=is_exclusive,
        )


def _seen(record: _Record[Key], sighting: Sighting) -> _Pose:
    """Return a track as the network saw it in a frame."""
    score = float(record.instances.scores[sighting.row])
    shape = _shape_of(record, sighting)
    return _Pose(sighting.track, sighting.box, score, shape, Origin.NETWORK, 0)


def _shape_of(record: _Record[Key], sighting: Sighting) -> Shape:
    """Return the mask of a sighting in the frame that it is of."""
    assert sighting.row is not None
    instances = record.instances
    return Shape(instances.patches[sighting.row], instances.extents_xyxy_src[sighting.row])
