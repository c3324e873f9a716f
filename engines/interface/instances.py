"""What leaves an engine for one frame: instances with small mask patches, and their exports.

A mask is kept as a probability map at the network's own resolution, over the rectangle of the frame
that it covers. It is scaled up only where it is drawn or written, so a frame's instances cost some
ten kilobytes and never an (N, height, width) array.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TypedDict

import cv2
import numpy as np
from numpy.typing import NDArray

MASK_THRESHOLD = 128
"""Patch values from here on belong to the object; 128 of 255 is a probability of one half."""


class Origin(IntEnum):
    """Where an instance comes from."""

    NETWORK = 0
    """The network saw it in this frame."""
    MOVED = 1
    """The frame was not looked at; the instance was moved along its track."""
    HELD = 2
    """The frame was looked at and the network missed it; its track goes on."""


Region = tuple[slice, slice]
"""Rows and columns of a mask."""


class Rle(TypedDict):
    """A mask in COCO's compressed run-length form: ``size`` is [height, width] in pixels."""

    size: list[int]
    counts: str


@dataclass(frozen=True, slots=True)
class Instances:
    """The instances of one frame, highest score first.

    Attributes:
        boxes_xyxy_src: (N, 4), left, top, right, bottom edges in pixels of the source frame.
        scores: (N,), in [0, 1], descending.
        class_ids: (N,), 0-based.
        extents_xyxy_src: (N, 4), the rectangle of whole frame pixels that patch i covers; right and
            bottom are exclusive; inside the frame and never empty.
        patches: N maps of their own (h, w), 0..255 for a probability of 0..1.
        track_ids: (N,), or None when nothing is tracked.
        origins: (N,) of `Origin`, or None when all come from the network.
        ages: (N,) frames since the network saw each, or None when it saw all in this one.
        is_exclusive: A pixel that several patches claim belongs to the first of them alone.
    """

    boxes_xyxy_src: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int32]
    extents_xyxy_src: NDArray[np.int32]
    patches: tuple[NDArray[np.uint8], ...]
    track_ids: NDArray[np.int32] | None = None
    origins: NDArray[np.uint8] | None = None
    ages: NDArray[np.int32] | None = None
    is_exclusive: bool = False

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def empty(cls) -> Instances:
        """Return the result "nothing was seen"."""
        return cls(
            boxes_xyxy_src=np.zeros((0, 4), np.float32),
            scores=np.zeros(0, np.float32),
            class_ids=np.zeros(0, np.int32),
            extents_xyxy_src=np.zeros((0, 4), np.int32),
            patches=(),
        )

    def copy(self) -> Instances:
        """Return the same instances in memory of their own."""
        return replace(
            self,
            boxes_xyxy_src=self.boxes_xyxy_src.copy(),
            scores=self.scores.copy(),
            class_ids=self.class_ids.copy(),
            extents_xyxy_src=self.extents_xyxy_src.copy(),
            patches=tuple(patch.copy() for patch in self.patches),
            track_ids=None if self.track_ids is None else self.track_ids.copy(),
            origins=None if self.origins is None else self.origins.copy(),
            ages=None if self.ages is None else self.ages.copy(),
        )

    def mask(self, index: int) -> NDArray[np.uint8]:
        """Return instance ``index``'s mask over its extents.

        Returns:
            (extents height, extents width) of 0 and 1: the patch scaled bilinearly, then cut at one
            half, so that the outline is smooth at the frame's resolution.
        """
        mask = self._claim(index)
        if self.is_exclusive:
            for better in range(index):
                shared = self._shared(index, better)
                if shared is not None:
                    ours, theirs = shared
                    mask[ours] &= 1 - self._claim(better)[theirs]
        return mask

    def _claim(self, index: int) -> NDArray[np.uint8]:
        """Return a mask as if there were no others."""
        left, top, right, bottom = (int(edge) for edge in self.extents_xyxy_src[index])
        scaled = cv2.resize(
            self.patches[index], (right - left, bottom - top), interpolation=cv2.INTER_LINEAR
        )
        return cv2.threshold(scaled, MASK_THRESHOLD - 1, 1, cv2.THRESH_BINARY)[1].astype(
            np.uint8, copy=False
        )

    def _shared(self, index: int, other: int) -> tuple[Region, Region] | None:
        """Return where two extents meet, in each of them; None where they do not."""
        mine, theirs = self.extents_xyxy_src[index], self.extents_xyxy_src[other]
        left, top = (int(edge) for edge in np.maximum(mine[:2], theirs[:2]))
        right, bottom = (int(edge) for edge in np.minimum(mine[2:], theirs[2:]))
        if left >= right or top >= bottom:
            return None
        return (
            (slice(top - mine[1], bottom - mine[1]), slice(left - mine[0], right - mine[0])),
            (
                slice(top - theirs[1], bottom - theirs[1]),
                slice(left - theirs[0], right - theirs[0]),
            ),
        )

    def select(
        self, keep: NDArray[np.bool_] | NDArray[np.intp] | Sequence[int] | slice
    ) -> Instances:
        """Return the instances at ``keep``, a boolean row mask, a list of rows or a slice."""
        chosen = keep if isinstance(keep, slice) else np.asarray(keep)
        rows = np.arange(len(self))[chosen] if len(self) else np.zeros(0, np.intp)
        return replace(
            self,
            boxes_xyxy_src=self.boxes_xyxy_src[rows],
            scores=self.scores[rows],
            class_ids=self.class_ids[rows],
            extents_xyxy_src=self.extents_xyxy_src[rows],
            patches=tuple(self.patches[row] for row in rows),
            track_ids=None if self.track_ids is None else self.track_ids[rows],
            origins=None if self.origins is None else self.origins[rows],
            ages=None if self.ages is None else self.ages[rows],
        )


def to_rle(instances: Instances, index: int, height: int, width: int) -> Rle:
    """Return instance ``index``'s mask as COCO run-length code of a whole frame.

    Args:
        height: Of the frame, in pixels.
        width: Of the frame, in pixels.

    Source:
        The format is that of COCO's mask API: runs down the columns, beginning with zeros, each
        written as the difference to the run two before in 5-bit groups with a continuation bit.
    """
    left, top, _, _ = (int(edge) for edge in instances.extents_xyxy_src[index])
    counts = _column_runs(instances.mask(index), left, top, height, width)
    return Rle(size=[height, width], counts=_pack_counts(counts))


def _column_runs(
    mask: NDArray[np.uint8], left: int, top: int, height: int, width: int
) -> NDArray[np.int64]:
    """Return run lengths of a frame that is zero outside ``mask``, placed at (left, top)."""
    columns, rows = mask.shape[1], mask.shape[0]
    fenced = np.zeros((columns, rows + 2), np.int8)
    fenced[:, 1:-1] = mask.T
    steps = np.diff(fenced, axis=1)  # (columns, rows + 1)
    begin_column, begin_row = np.nonzero(steps == 1)
    end_column, end_row = np.nonzero(steps == -1)
    begins = (begin_column + left).astype(np.int64) * height + begin_row + top
    ends = (end_column + left).astype(np.int64) * height + end_row + top
    # A run that reaches the frame's bottom goes on at the top of the next column.
    is_cut = np.concatenate(([True], begins[1:] != ends[:-1])) if len(begins) else np.zeros(0, bool)
    begins, ends = begins[is_cut], ends[np.roll(is_cut, -1)]
    edges = np.empty(2 * len(begins) + 2, np.int64)
    edges[0], edges[1:-1:2], edges[2:-1:2], edges[-1] = 0, begins, ends, height * width
    counts = np.diff(edges)
    return counts[:-1] if len(counts) > 1 and counts[-1] == 0 else counts


def _pack_counts(counts: NDArray[np.int64]) -> str:
    """Return run lengths as COCO's printable string."""
    values = counts.copy()
    values[3:] -= counts[1:-2]
    groups: list[NDArray[np.uint8]] = []
    is_open = np.ones(len(values), bool)
    live: list[NDArray[np.bool_]] = []
    while is_open.any():
        low = values & 0x1F
        values >>= 5
        # The last group is the one whose sign bit already says what the rest would.
        is_last = np.where(low & 0x10, values == -1, values == 0)
        groups.append((low | np.where(is_last, 0, 0x20)).astype(np.uint8) + 48)
        live.append(is_open.copy())
        is_open &= ~is_last
    table, used = np.stack(groups, axis=1), np.stack(live, axis=1)  # (runs, groups)
    return table[used].tobytes().decode("ascii")
