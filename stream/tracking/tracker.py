"""Tracks from detections: who of this frame is who of the frames before.

A frame is associated in three rounds, after ByteTrack: confirmed tracks with sure detections,
the rest of them with unsure ones, then tentative tracks with what is left. Similarity is the
overlap of boxes grown a little; where that leaves more than one answer, the overlap of the
moved masks decides, which costs nothing to have and tells people apart whose boxes cross.

Sources:
    Y. Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection Box" (ECCV
    2022), for the rounds; F. Yang et al. (WACV 2023) for the grown boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maskstream.engines.interface.instances import Instances
from maskstream.stream.tracking.appearance import Looks
from maskstream.stream.tracking.assignment import assign
from maskstream.stream.tracking.motion import BoxFilters, Floats, to_centers
from maskstream.stream.tracking.options import TrackOptions
from maskstream.stream.tracking.similarity import Frame, Track, likenesses, similarities

SURE_LEAST = 0.3
"""Similarity from which a sure detection may continue a track."""
UNSURE_LEAST = 0.6
"""The same for an unsure one."""
TENTATIVE_LEAST = 0.3
REFOUND_LIKENESS = 0.93
"""How alike a detection must look to a lost track that it does not overlap."""
REACH_SIGMAS = 2.0
"""How far from where it is expected a lost track may be found again, in standard deviations."""
TENTATIVE_MISSES = 1
"""Frames that a tentative track may be missed in."""
LOOKS_MEMORY = 0.9
"""Weight that a track's looks keep from one sure sighting to the next."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A track in one frame."""

    track: Track
    row: int | None
    """Of the frame's instances; None where it was not seen."""
    box: Floats
    """(4,) corners: as detected, else as predicted."""
    misses: int = 0
    """Frames since the network saw it, this one included; 0 where it is seen."""


class Tracker:
    """Follows the objects of one source."""

    def __init__(self, options: TrackOptions, *, first_id: int = 1, id_step: int = 1) -> None:
        """Start without tracks.

        Args:
            options: How to follow.
            first_id: The first track's.
            id_step: From one id to the next, so that several sources never give the same.
        """
        self._options = options
        self._filters = BoxFilters()
        self._tracks: list[Track] = []
        self._next_id = first_id
        self._id_step = id_step
        self._time_s: float | None = None

    @property
    def next_id(self) -> int:
        """The id that the next confirmed track will get."""
        return self._next_id

    def update(
        self, instances: Instances, time_s: float, looks: Sequence[Looks] | None = None
    ) -> list[Sighting]:
        """Take in a frame.

        Args:
            instances: Of ``score_continue`` and more, highest score first.
            time_s: Presentation time; a step back or a standstill counts as no time.
            looks: Of each instance; None where nobody described them.

        Returns:
            Every track that is there: seen in this frame, or missed and not given up yet.
        """
        self._predict(time_s)
        frame = Frame.of(instances, looks)
        seen = self._associate(frame)
        boxes = self._filters.boxes_xyxy
        self._correct(frame, seen)
        kept = self._give_up(seen)
        sightings = [
            Sighting(
                track,
                row=seen.get(index),
                box=frame.boxes[seen[index]] if index in seen else boxes[index],
                misses=track.misses,
            )
            for index, track in kept
        ]
        return sightings + self._begin(frame, set(seen.values()))

    def _predict(self, time_s: float) -> None:
        step_s = 0.0 if self._time_s is None else max(time_s - self._time_s, 0.0)
        self._time_s = time_s
        self._filters.predict(step_s, np.array([track.misses > 0 for track in self._tracks], bool))
        for track in self._tracks:
            track.unseen_s += step_s

    def _associate(self, frame: Frame) -> dict[int, int]:
        """Return the instances' row of each track that is seen in the frame, by the track's."""
        options = self._options
        sure = (frame.scores >= options.score_begin) & ~frame.is_duplicate
        unsure = ~sure & ~frame.is_duplicate
        confirmed = np.array([track.track_id > 0 for track in self._tracks], bool)
        recent = np.array([track.misses <= options.hold_frames for track in self._tracks], bool)
        similarity = similarities(self._tracks, self._filters.boxes_xyxy, frame, options)
        seen: dict[int, int] = {}
        for tracks, detections, least in (
            (confirmed, sure, SURE_LEAST),
            (confirmed & recent, unsure, UNSURE_LEAST),
            (~confirmed, sure, TENTATIVE_LEAST),
            (~confirmed, unsure, UNSURE_LEAST),
        ):
            free_tracks = [int(i) for i in np.flatnonzero(tracks) if i not in seen]
            taken = set(seen.values())
            free_rows = [int(i) for i in np.flatnonzero(detections) if i not in taken]
            if free_tracks and free_rows:
                part = similarity[np.ix_(free_tracks, free_rows)]
                seen |= {free_tracks[i]: free_rows[j] for i, j in assign(part, least)}
        return seen | self._find_lost(frame, confirmed, sure, seen)

    def _find_lost(
        self,
        frame: Frame,
        confirmed: NDArray[np.bool_],
        sure: NDArray[np.bool_],
        seen: dict[int, int],
    ) -> dict[int, int]:
        """Return tracks that are found again by their looks, away from where they were expected."""
        lost = [
            int(i)
            for i in np.flatnonzero(confirmed)
            if i not in seen and self._tracks[i].misses and self._tracks[i].looks is not None
        ]
        rows = [int(i) for i in np.flatnonzero(sure) if i not in seen.values()]
        if not lost or not rows or frame.looks is None:
            return {}
        likeness = likenesses(self._tracks, frame)[np.ix_(lost, rows)]
        offset = to_centers(frame.boxes[rows])[None] - self._filters.position[lost][:, None]
        reach = REACH_SIGMAS * self._filters.deviation[lost][:, None]
        is_near = (np.abs(offset) <= reach).all(axis=2)
        classes = np.array([self._tracks[i].class_id for i in lost])
        is_near &= classes[:, None] == frame.class_ids[rows][None]
        pairs = assign(np.where(is_near, likeness, 0.0), REFOUND_LIKENESS)
        return {lost[i]: rows[j] for i, j in pairs}

    def _correct(self, frame: Frame, seen: dict[int, int]) -> None:
        """Bring the tracks up to date with what was seen of them."""
        rows = list(seen.values())
        self._filters.correct(np.array(list(seen), np.intp), frame.boxes[rows], frame.scores[rows])
        for index, track in enumerate(self._tracks):
            row = seen.get(index)
            if row is None:
                track.misses += 1
                continue
            track.misses, track.unseen_s = 0, 0.0
            track.sightings += 1
            track.shape, track.box = frame.shapes[row], frame.boxes[row]
            track.score = float(frame.scores[row])
            self._learn_looks(track, frame, row)
            track.vote(int(frame.class_ids[row]), track.score)
            self._confirm(track)

    def _learn_looks(self, track: Track, frame: Frame, row: int) -> None:
        """Bring a track's looks up to date, where the sighting is sure."""
        if frame.looks is None or track.score < self._options.score_begin:
            return
        new = frame.looks[row]
        if track.looks is None:
            track.looks = new
        else:
            mixed = LOOKS_MEMORY * track.looks + (1 - LOOKS_MEMORY) * new
            track.looks = mixed * (np.sqrt(2.0) / max(float(np.linalg.norm(mixed)), 1e-6))

    def _confirm(self, track: Track) -> None:
        """Give a track its id once it has been seen often enough, and well enough."""
        track.best_score = max(track.best_score, track.score)
        options = self._options
        if (
            not track.track_id
            and track.sightings >= options.confirm_frames
            and track.best_score >= options.score_confirm
        ):
            track.track_id, self._next_id = self._next_id, self._next_id + self._id_step

    def _give_up(self, seen: dict[int, int]) -> list[tuple[int, Track]]:
        """Drop tracks that were missed too long; return the others with their rows before."""
        is_kept = np.array(
            [
                track.unseen_s <= self._options.lost_s
                if track.track_id
                else track.misses <= TENTATIVE_MISSES
                for track in self._tracks
            ],
            bool,
        )
        kept = [(index, track) for index, track in enumerate(self._tracks) if is_kept[index]]
        self._filters.keep(is_kept)
        self._tracks = [track for _, track in kept]
        return kept

    def _begin(self, frame: Frame, taken: set[int]) -> list[Sighting]:
        """Begin a track with each sure detection that belongs to none."""
        is_new = (frame.scores >= self._options.score_begin) & ~frame.is_duplicate
        rows = [int(row) for row in np.flatnonzero(is_new) if row not in taken]
        self._filters.add(frame.boxes[rows], frame.scores[rows])
        begun = []
        for row in rows:
            score = float(frame.scores[row])
            track = Track(0, frame.shapes[row], frame.boxes[row], score, score)
            track.vote(int(frame.class_ids[row]), score)
            self._learn_looks(track, frame, row)
            self._confirm(track)
            begun.append(Sighting(track, row, frame.boxes[row]))
        self._tracks += [sighting.track for sighting in begun]
        return begun
