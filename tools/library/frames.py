"""A frame of a run, in the hands of the program that asked for it."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from maskstream.stream.memory.frame import Planes
from maskstream.stream.memory.slot import Slot
from maskstream.stream.pixels.still import Still
from maskstream.stream.supervision.caller import CallerSource
from maskstream.tools.library.instances import Instances, Lease


class Frame:
    """One frame: its pixels, its time and its instances.

    What it shows lies in memory that is shared with the pipeline, until the next frame of its
    source is asked for. After that, every use raises `FrameOverError`; `copy` keeps a frame.
    """

    def __init__(self, slot: Slot, names: CallerSource) -> None:
        """See the frame in ``slot``, which belongs to the caller until `expire`."""
        header = slot.header
        self._lease = Lease()
        self._still = Still.of(slot)
        self._names = names
        self.sequence = int(header.sequence)
        """Number of the frame in its source, from 0; frames that were dropped have numbers too."""
        self.pts_s = header.pts_s
        """Presentation time on the source's own clock, in seconds."""
        self.time = datetime.fromtimestamp(header.wall_ns / 1e9, UTC)
        """When it was captured."""
        self.width, self.height = slot.layout.width, slot.layout.height
        self.instances = Instances(
            slot.instances(),
            class_names=names.class_names,
            width=self.width,
            height=self.height,
            lease=self._lease,
        )

    def __repr__(self) -> str:
        return f"<frame {self.sequence} of {self.source_name} at {self.pts_s:.3f} s>"

    @property
    def source(self) -> int:
        """Its source's place among the run's sources, from 0."""
        return self._names.source

    @property
    def source_name(self) -> str:
        """What people call its source."""
        return self._names.name

    @property
    def planes(self) -> Planes:
        """Y, U and V, read-only views of the shared memory: nothing is copied.

        Raises:
            FrameOverError: The frame is over.
        """
        self._lease.check()
        views = [plane.view() for plane in self._still.planes]
        for view in views:
            view.flags.writeable = False
        return Planes(*views)

    @property
    def bgr(self) -> NDArray[np.uint8]:
        """(height, width, 3) in OpenCV's order; made when it is asked for, and yours to keep.

        Raises:
            FrameOverError: The frame is over.
        """
        self._lease.check()
        return self._still.bgr()

    @property
    def image(self) -> NDArray[np.uint8]:
        """(height, width, 3) RGB; made when it is asked for, and yours to keep.

        Raises:
            FrameOverError: The frame is over.
        """
        return np.ascontiguousarray(self.bgr[..., ::-1])

    def copy(self) -> Frame:
        """Return the same frame in memory of its own, to keep.

        Raises:
            FrameOverError: The frame is over.
        """
        self._lease.check()
        kept: Frame = object.__new__(Frame)
        kept.__dict__.update(self.__dict__)
        kept._lease = Lease()
        kept._still = self._still.copy()
        kept.instances = self.instances.copy()
        return kept

    def expire(self) -> None:
        """Let nobody read the shared memory any more; the run calls it."""
        self._lease.is_over = True
