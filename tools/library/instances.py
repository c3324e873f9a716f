"""The instances of a frame or a picture, as programs get them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import cv2
import numpy as np
from numpy.typing import NDArray

from maskstream.engines.interface.instances import Instances as Rows
from maskstream.engines.interface.instances import Origin, Rle, to_rle
from maskstream.errors import MaskstreamError

if TYPE_CHECKING:
    import supervision

Polygon = list[tuple[int, int]]
"""Corners (x, y) in pixels, in order."""


class FrameOverError(MaskstreamError, RuntimeError):
    """A frame, or something of it, was used after its time; `Frame.copy` keeps one."""


@dataclass(slots=True)
class Lease:
    """Whether what lies in shared memory may still be read."""

    is_over: bool = False

    def check(self) -> None:
        """Raise where the memory belongs to somebody else.

        Raises:
            FrameOverError: It does.
        """
        if self.is_over:
            raise FrameOverError("frame: its turn is over; call frame.copy() to keep one.")


class Instances(Sequence["Instance"]):
    """The instances of one frame, highest score first.

    As long as the frame that they are of: `copy` keeps them.
    """

    def __init__(
        self,
        rows: Rows,
        *,
        class_names: Sequence[str],
        width: int,
        height: int,
        lease: Lease | None = None,
    ) -> None:
        """Wrap what an engine found.

        Args:
            rows: In pixels of the frame.
            class_names: By class id.
            width: Of the frame, in pixels.
            height: Of the frame, in pixels.
            lease: Of the memory that ``rows`` lies in; None where it is theirs.
        """
        self._rows = rows
        self._class_names = tuple(class_names)
        self._lease = lease or Lease()
        self.width, self.height = width, height

    def __len__(self) -> int:
        self._lease.check()
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Instance: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Instance]: ...

    def __getitem__(self, index: int | slice) -> Instance | Sequence[Instance]:
        places = range(len(self))[index]
        if isinstance(places, int):
            return Instance(self, places)
        return [Instance(self, place) for place in places]

    def __iter__(self) -> Iterator[Instance]:
        for place in range(len(self)):
            yield Instance(self, place)

    @property
    def rows(self) -> Rows:
        """The arrays behind this view.

        Raises:
            FrameOverError: The frame is over.
        """
        self._lease.check()
        return self._rows

    @property
    def boxes(self) -> NDArray[np.float32]:
        """(N, 4) left, top, right, bottom in pixels of the frame."""
        return self.rows.boxes_xyxy_src

    @property
    def scores(self) -> NDArray[np.float32]:
        """(N,) in [0, 1], descending."""
        return self.rows.scores

    @property
    def class_ids(self) -> NDArray[np.int32]:
        """(N,) 0-based."""
        return self.rows.class_ids

    @property
    def class_names(self) -> list[str]:
        """The class of each instance."""
        return [self._class_names[class_id] for class_id in self.class_ids.tolist()]

    @property
    def track_ids(self) -> NDArray[np.int32] | None:
        """(N,) numbers of their tracks; None where nothing is tracked."""
        return self.rows.track_ids

    def masks(self) -> NDArray[np.bool_]:
        """Return (N, height, width) whole-frame masks; made for this call, N bytes a pixel."""
        out = np.zeros((len(self), self.height, self.width), bool)
        for place, instance in enumerate(self):
            left, top, right, bottom = instance.extent
            out[place, top:bottom, left:right] = self.rows.mask(place)
        return out

    def rles(self) -> list[Rle]:
        """Return each mask as COCO's compressed run-length code of a whole frame."""
        return [to_rle(self.rows, place, self.height, self.width) for place in range(len(self))]

    def copy(self) -> Instances:
        """Return the same instances, to keep."""
        return Instances(
            self.rows.copy(),
            class_names=self._class_names,
            width=self.width,
            height=self.height,
        )

    def to_supervision(self) -> supervision.Detections:
        """Return a `supervision.Detections` with boxes, masks, scores, classes and track ids.

        Raises:
            ImportError: The package supervision is not installed.
        """
        import supervision

        data: dict[str, Any] = {"class_name": np.array(self.class_names)}
        track_ids = self.track_ids
        return supervision.Detections(
            xyxy=self.boxes.copy(),
            mask=self.masks() if len(self) else None,
            confidence=self.scores.copy(),
            class_id=self.class_ids.astype(int),
            tracker_id=None if track_ids is None else track_ids.astype(int),
            data=data,
        )


class Instance:
    """One object in one frame."""

    __slots__ = ("_all", "_place")

    def __init__(self, instances: Instances, place: int) -> None:
        """See the instance at ``place`` of ``instances``."""
        self._all = instances
        self._place = place

    def __repr__(self) -> str:
        box = ", ".join(f"{edge:.0f}" for edge in self.box)
        track = "" if self.track_id is None else f" #{self.track_id}"
        return f"<{self.class_name}{track} {self.score:.2f} at ({box})>"

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom in pixels of the frame."""
        left, top, right, bottom = self._all.boxes[self._place].tolist()
        return left, top, right, bottom

    @property
    def score(self) -> float:
        """In [0, 1]."""
        return float(self._all.scores[self._place])

    @property
    def class_id(self) -> int:
        """0-based."""
        return int(self._all.class_ids[self._place])

    @property
    def class_name(self) -> str:
        """As the engine calls it."""
        return self._all.class_names[self._place]

    @property
    def track_id(self) -> int | None:
        """The number of its track, never given twice in a run; None where nothing is tracked."""
        ids = self._all.track_ids
        return None if ids is None else int(ids[self._place])

    @property
    def origin(self) -> str:
        """``network`` where it was seen in this frame, ``held`` where its track goes on without."""
        origins = self._all.rows.origins
        return Origin(0 if origins is None else int(origins[self._place])).name.lower()

    @property
    def age_frames(self) -> int:
        """Frames since the network saw it; 0 where it did in this one."""
        ages = self._all.rows.ages
        return 0 if ages is None else int(ages[self._place])

    @property
    def extent(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of the whole pixels that `mask_patch` covers."""
        left, top, right, bottom = self._all.rows.extents_xyxy_src[self._place].tolist()
        return left, top, right, bottom

    def mask(self) -> NDArray[np.bool_]:
        """Return its (height, width) mask in the whole frame."""
        out = np.zeros((self._all.height, self._all.width), bool)
        left, top, right, bottom = self.extent
        out[top:bottom, left:right] = self.mask_patch()
        return out

    def mask_patch(self) -> NDArray[np.bool_]:
        """Return its mask in `extent` alone, which is quicker."""
        return self._all.rows.mask(self._place).astype(bool)

    def rle(self) -> Rle:
        """Return its mask as COCO's compressed run-length code of a whole frame."""
        return to_rle(self._all.rows, self._place, self._all.height, self._all.width)

    def polygons(self) -> list[Polygon]:
        """Return the outlines of its mask, the largest first; holes are left out."""
        left, top, _, _ = self.extent
        found, _ = cv2.findContours(
            self.mask_patch().astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
        )
        found = sorted(found, key=cv2.contourArea, reverse=True)
        return [
            [(int(x) + left, int(y) + top) for x, y in outline.reshape(-1, 2)] for outline in found
        ]
