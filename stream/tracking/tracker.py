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

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maskstream.engines.interface.instances import Instances
from maskstream.stream.tracking.appearance import Looks, likeness
from maskstream.stream.tracking.assignment import assign
from maskstream.stream.tracking.motion import BoxFilters, Floats, to_centers
from maskstream.stream.tracking.options import TrackOptions
from maskstream.stream.tracking.overlap import box_ious
from maskstream.stream.tracking.similarity import BUFFER, Frame, Track, clear_pairs, similarities

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
CLEAR_MISSES = 1
"""Frames that a track may have been missed in for a pair to be clear."""
LOOKS_EVERY = 4
"""Sightings from one description of a track's looks to the next."""
LOOKS_MEMORY = 0.7
"""Weight that a track's looks keep from one description to the next."""


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
        self,
        instances: Instances,
        time_s: float,
        describe: Callable[[int], Looks] | None = None,
    ) -> list[Sighting]:
        """Take in a frame.

        Args:
            instances: Of ``score_continue`` and more, highest score first.
            time_s: Presentation time; a step back or a standstill counts as no time.
            describe: Returns the looks of the instance at a row; None where they are unknown.

        Returns:
            Every track that is there: seen in this frame, or missed and not given up yet.
        """
        self._predict(time_s)
        frame = Frame(instances, describe)
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
        if not self._tracks or not len(frame.scores):
            return {}
        sure = (frame.scores >= self._options.score_begin) & ~frame.is_duplicate
        unsure = ~sure & ~frame.is_duplicate
        seen = self._clear(frame, sure)
        confirmed = [i for i, track in enumerate(self._tracks) if track.track_id]
        tentative = [i for i, track in enumerate(self._tracks) if not track.track_id]
        recent = [i for i in confirmed if self._tracks[i].misses <= self._options.hold_frames]
        for tracks, detections, least in (
            (confirmed, sure, SURE_LEAST),
            (recent, unsure, UNSURE_LEAST),
            (tentative, sure, TENTATIVE_LEAST),
            (tentative, unsure, UNSURE_LEAST),
        ):
            self._assign(frame, tracks, detections, least, seen)
        return seen | self._find_lost(frame, confirmed, sure, seen)

    def _clear(self, frame: Frame, sure: NDArray[np.bool_]) -> dict[int, int]:
        """Return the pairs that need no closer look: nobody else is near, and both are sure."""
        overlap = box_ious(self._filters.boxes_xyxy, frame.boxes, BUFFER)
        return {
            i: j
            for i, j in clear_pairs(overlap)
            if sure[j]
            and self._tracks[i].misses <= CLEAR_MISSES
            and self._tracks[i].class_id == frame.class_ids[j]
        }

    def _assign(
        self,
        frame: Frame,
        tracks: Sequence[int],
        detections: NDArray[np.bool_],
        least: float,
        seen: dict[int, int],
    ) -> None:
        """Add the best pairs of those tracks and detections to ``seen`` that are not in it."""
        taken = set(seen.values())
        tracks = [i for i in tracks if i not in seen]
        rows = [j for j in np.flatnonzero(detections).tolist() if j not in taken]
        if tracks and rows:
            boxes = self._filters.boxes_xyxy[tracks]
            chosen = [self._tracks[i] for i in tracks]
            score = similarities(chosen, boxes, frame, rows, self._options)
            seen |= {tracks[i]: rows[j] for i, j in assign(score, least)}

    def _find_lost(
        self,
        frame: Frame,
        confirmed: Sequence[int],
        sure: NDArray[np.bool_],
        seen: dict[int, int],
    ) -> dict[int, int]:
        """Return tracks that are found again by their looks, away from where they were expected."""
        taken = set(seen.values())
        lost = [i for i in confirmed if i not in seen and self._tracks[i].looks is not None]
        rows = [j for j in np.flatnonzero(sure).tolist() if j not in taken]
        if not lost or not rows or not frame.has_looks:
            return {}
        offset = to_centers(frame.boxes[rows])[None] - self._filters.position[lost][:, None]
        reach = REACH_SIGMAS * self._filters.deviation[lost][:, None]
        is_near = (np.abs(offset) <= reach).all(axis=2)
        score = np.zeros(is_near.shape)
        for i, j in np.argwhere(is_near).tolist():
            track = self._tracks[lost[i]]
            if track.misses and track.class_id == frame.class_ids[rows[j]]:
                assert track.looks is not None
                score[i, j] = likeness(track.looks, frame.looks(rows[j]))
        return {lost[i]: rows[j] for i, j in assign(score, REFOUND_LIKENESS)}

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
        """Bring a track's looks up to date now and then, where the sighting is sure."""
        is_due = track.looks is None or track.sightings % LOOKS_EVERY == 0
        if not frame.has_looks or not is_due or track.score < self._options.score_begin:
            return
        new = frame.looks(row)
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
