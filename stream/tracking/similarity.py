"""How well each track goes with each instance of a frame: boxes, looks, and masks where needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from maskstream.engines.interface.instances import Instances
from maskstream.stream.tracking.appearance import Looks, likeness
from maskstream.stream.tracking.motion import Floats
from maskstream.stream.tracking.options import TrackOptions
from maskstream.stream.tracking.overlap import Shape, box_ious, mask_iou, mask_share

BUFFER = 0.3
"""How far boxes are grown on every side to be compared, in their own sides."""
OVERLAP_LEAST = 0.1
"""Overlap of grown boxes from which a pair is looked at."""
CLEAR_LEAST = 0.5
"""Overlap of grown boxes from which a pair without rivals is taken as it is."""
OTHER_CLASS_SHARE = 0.6
"""What similarity is worth between a track and a detection of another class."""
LOST_PENALTY = 0.1
"""What a track loses of its similarity by the end of ``lost_s``: who is in view goes first."""
MASK_WEIGHT = 0.3
"""Of the masks' overlap in the similarity of an ambiguous pair."""
AMBIGUOUS_LEAST = 0.25
"""Of pairs that are worth comparing masks."""
MASK_MARGIN = 0.3
"""A pair is ambiguous where another one of its track or of its detection comes this close."""
LOOKS_WEIGHT = 0.4
"""Of the looks in the similarity of a pair, where they are known."""
LOOKS_RANGE = (0.75, 0.97)
"""Likenesses that count as nothing in common, and as the same. On a street clip the median of one
person in consecutive frames was 0.98, twenty frames apart 0.95, of two people 0.79."""
DUPLICATE_SHARE = 0.7
"""A mask of which this share lies in a likelier one of its class is that object once more."""
_CLASS_MEMORY = 0.9
"""Weight that a track's votes for its class keep from one sighting to the next."""


@dataclass(slots=True, eq=False)
class Track:
    """One object over time."""

    track_id: int
    """Given when the track is confirmed, and never again; 0 before."""
    shape: Shape
    """Its mask when it was last seen."""
    box: Floats
    """(4,) corners of its box then, as it was detected."""
    score: float
    """Of its last sighting."""
    best_score: float
    sightings: int = 1
    misses: int = 0
    """Frames since it was seen."""
    unseen_s: float = 0.0
    looks: Looks | None = None
    votes: dict[int, float] = field(default_factory=dict)
    """Scores of its sightings by class id, the older the less."""

    @property
    def class_id(self) -> int:
        """The class that most of its sightings vote for."""
        return max(self.votes, key=self.votes.__getitem__)

    def vote(self, class_id: int, score: float) -> None:
        """Count a sighting's class."""
        for voted in self.votes:
            self.votes[voted] *= _CLASS_MEMORY
        self.votes[class_id] = self.votes.get(class_id, 0.0) + score


class Frame:
    """A frame's instances in the form that association needs.

    Attributes:
        boxes: (N, 4) corners.
        scores: (N,).
        class_ids: (N,).
        shapes: N masks.
        is_duplicate: (N,) whether an instance is a second mask of a likelier one's object.
    """

    def __init__(self, instances: Instances, describe: Callable[[int], Looks] | None) -> None:
        """Take in the instances.

        Args:
            instances: Highest score first.
            describe: Returns the looks of the instance at a row; asked where boxes do not tell.
        """
        self.boxes: Floats = instances.boxes_xyxy_src.astype(np.float64)
        self.scores: Floats = instances.scores.astype(np.float64)
        self.class_ids = instances.class_ids
        self.shapes = tuple(
            Shape(patch, extent)
            for patch, extent in zip(instances.patches, instances.extents_xyxy_src, strict=True)
        )
        self.is_duplicate = find_duplicates(self.boxes, self.class_ids, self.shapes)
        self._describe = describe
        self._looks: dict[int, Looks] = {}

    @property
    def has_looks(self) -> bool:
        """Whether looks can be asked for."""
        return self._describe is not None

    def looks(self, row: int) -> Looks:
        """Return the looks of the instance at ``row``; described when first asked for."""
        assert self._describe is not None
        if row not in self._looks:
            self._looks[row] = self._describe(row)
        return self._looks[row]


def clear_pairs(overlap: Floats) -> list[tuple[int, int]]:
    """Return the pairs that nobody else comes near, from (tracks, instances) overlaps."""
    is_near = overlap >= OVERLAP_LEAST
    alone = (is_near.sum(1) == 1)[:, None] & (is_near.sum(0) == 1)[None]
    return [(i, j) for i, j in np.argwhere(alone & (overlap >= CLEAR_LEAST)).tolist()]


def similarities(
    tracks: Sequence[Track],
    boxes: Floats,
    frame: Frame,
    rows: Sequence[int],
    options: TrackOptions,
) -> Floats:
    """Return (tracks, rows) how well each pair goes together, 0 to 1; 0 for those far apart.

    Args:
        tracks: Those that are asked for.
        boxes: (tracks, 4) corners of where each is expected.
        frame: What was seen.
        rows: Of the frame's instances that are asked for.
        options: Whether masks are compared.
    """
    overlap = box_ious(boxes, frame.boxes[rows], BUFFER)
    is_near = overlap >= OVERLAP_LEAST
    if not is_near.any():
        return np.zeros_like(overlap)
    score, weight = overlap.copy(), np.zeros(len(tracks))
    if frame.has_looks:
        weight[[track.looks is not None for track in tracks]] = LOOKS_WEIGHT
        least, most = LOOKS_RANGE
        for i, j in np.argwhere(is_near & (weight > 0)[:, None]).tolist():
            own = tracks[i].looks
            assert own is not None
            alike = (likeness(own, frame.looks(rows[j])) - least) / (most - least)
            score[i, j] += weight[i] * (min(max(alike, 0.0), 1.0) - overlap[i, j])
    score = _adjusted(tracks, frame.class_ids[rows], options, score)
    if options.uses_masks:
        for i, j in _ambiguous(np.where(is_near, score, 0.0)):
            moved = tracks[i].shape.moved(tracks[i].box, boxes[i])
            change = mask_iou(moved, frame.shapes[rows[j]]) - overlap[i, j]
            score[i, j] += (1 - weight[i]) * MASK_WEIGHT * change
    return np.asarray(np.where(is_near, score, 0.0))


def _adjusted(
    tracks: Sequence[Track], class_ids: NDArray[np.int32], options: TrackOptions, score: Floats
) -> Floats:
    """Return scores with what speaks against a pair: another class, a track long unseen."""
    classes = np.array([track.class_id for track in tracks], np.int64)
    score[classes[:, None] != class_ids[None]] *= OTHER_CLASS_SHARE
    unseen_s = np.array([track.unseen_s for track in tracks])
    return np.asarray(score - LOST_PENALTY * np.minimum(unseen_s / options.lost_s, 1)[:, None])


def _ambiguous(score: Floats) -> list[tuple[int, int]]:
    """Return the pairs that another one of their track or their instance comes close to."""
    possible = score >= AMBIGUOUS_LEAST
    if np.count_nonzero(possible) <= 1:
        return []
    worth = np.where(possible, score, -1.0)
    rival = np.maximum(_best_rival(worth, 0), _best_rival(worth, 1))
    return [(i, j) for i, j in np.argwhere(possible & (rival > score - MASK_MARGIN)).tolist()]


def _best_rival(worth: Floats, axis: int) -> Floats:
    """Return for each pair the best of the others along ``axis``."""
    if worth.shape[axis] < 2:
        return np.full_like(worth, -1.0)
    ranked = np.sort(worth, axis=axis)
    best, second = (np.take(ranked, [place], axis=axis) for place in (-1, -2))
    return np.where(worth == best, second, best)


def find_duplicates(
    boxes: Floats, class_ids: NDArray[np.int32], shapes: tuple[Shape, ...]
) -> NDArray[np.bool_]:
    """Return (N,) which masks lie in a likelier one of the same class."""
    is_duplicate = np.zeros(len(boxes), bool)
    sides = np.maximum(
        np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
        - np.maximum(boxes[:, None, :2], boxes[None, :, :2]),
        0,
    )
    areas = np.maximum(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), 1e-9)
    # (N, N): the share of the row's box that lies in the column's; only likelier ones count.
    inside = sides[..., 0] * sides[..., 1] / areas[:, None]
    candidates = np.tril(inside >= DUPLICATE_SHARE, -1) & (class_ids[:, None] == class_ids[None])
    for row, likelier in np.argwhere(candidates).tolist():
        if not is_duplicate[likelier] and not is_duplicate[row]:
            is_duplicate[row] = mask_share(shapes[row], shapes[likelier]) >= DUPLICATE_SHARE
    return is_duplicate
