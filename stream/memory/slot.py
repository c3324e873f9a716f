"""What lies in a slot: header, I420 planes and the instances found in the frame.

A slot is a tray that is carried down the line. Its parts lie one after the other, page by page::

    header      4096 bytes                      FrameHeader
    pixels      width * height * 3 / 2 bytes    y, then u, then v, no padding
    instances   fixed arrays, then an arena     InstanceHeader, boxes ..., mask patches

Nothing here copies pixels and nothing locks: whoever holds the slot's index owns the slot.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cached_property
from mmap import mmap
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from maskstream.engines.interface.instances import Instances
from maskstream.stream.memory.frame import FrameHeader, planes_of

HEADER_BYTES = 4096
_PAGE_BYTES = 4096
_HAS_TRACK_IDS = 1
_IS_EXCLUSIVE = 2


class InstanceHeader(ctypes.Structure):
    """What infer says about the instances of one frame."""

    _fields_: ClassVar[Any] = [
        ("count", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
    ]
    count: int
    flags: int


def _page_aligned(byte_count: int) -> int:
    return -(-byte_count // _PAGE_BYTES) * _PAGE_BYTES


@dataclass(frozen=True)
class SlotLayout:
    """Where the parts of a slot lie. Equal in every process of a run.

    Raises:
        ValueError: A side is odd or not positive, or there is no room for any instance.
    """

    width: int
    """Of the frame, even, in pixels."""
    height: int
    """Of the frame, even, in pixels."""
    top_k: int
    """Most instances a frame can carry."""
    patch_px: int
    """Longest side of a mask patch; the arena holds ``top_k`` patches of this side squared."""

    def __post_init__(self) -> None:
        if min(self.width, self.height) < 2 or self.width % 2 or self.height % 2:
            raise ValueError(
                f"slot: {self.width}x{self.height} pixels; both sides must be even and positive."
            )
        if self.top_k < 1 or self.patch_px < 1:
            raise ValueError(
                f"slot: top_k={self.top_k}, patch_px={self.patch_px}; both must be at least 1."
            )

    @cached_property
    def pixel_offset(self) -> int:
        """Where the luma plane starts, from the start of the slot."""
        return HEADER_BYTES

    @cached_property
    def pixel_bytes(self) -> int:
        """Bytes of the three planes."""
        return self.width * self.height * 3 // 2

    @cached_property
    def instance_offset(self) -> int:
        """Where the instance region starts, from the start of the slot."""
        return HEADER_BYTES + _page_aligned(self.pixel_bytes)

    @cached_property
    def arena_offset(self) -> int:
        """Where the arena of mask patches starts, from the start of the slot."""
        return self.instance_offset + ctypes.sizeof(InstanceHeader) + self.top_k * _ROW.itemsize

    @cached_property
    def arena_bytes(self) -> int:
        """Bytes of the arena of mask patches."""
        return self.top_k * self.patch_px * self.patch_px

    @cached_property
    def slot_bytes(self) -> int:
        """Bytes of one slot, a whole number of pages."""
        return _page_aligned(self.arena_offset + self.arena_bytes)


# One row an instance. Structured, so that all fields of an instance lie in one or two cache lines.
_ROW = np.dtype(
    [
        ("box", np.float32, (4,)),
        ("extent", np.int32, (4,)),
        ("score", np.float32),
        ("class_id", np.int32),
        ("track_id", np.int32),
        ("age", np.int32),
        ("origin", np.int32),
        ("patch_height", np.int32),
        ("patch_width", np.int32),
        ("patch_offset", np.int32),
    ]
)


class Slot:
    """Views of one slot's parts. Cheap to keep: made once per slot and process."""

    def __init__(self, buffer: mmap, layout: SlotLayout, index: int) -> None:
        """Lay views over slot ``index`` of ``buffer``, a writable mapping of the whole pool."""
        start = index * layout.slot_bytes
        whole: NDArray[np.uint8] = np.frombuffer(
            buffer, np.uint8, count=layout.slot_bytes, offset=start
        )
        self.index = index
        self.layout = layout
        self.header = FrameHeader.from_buffer(buffer, start)
        self.pixels = whole[layout.pixel_offset : layout.pixel_offset + layout.pixel_bytes]
        self.planes = planes_of(self.pixels, layout.width, layout.height)
        self.found = InstanceHeader.from_buffer(buffer, start + layout.instance_offset)
        rows_start = layout.instance_offset + ctypes.sizeof(InstanceHeader)
        self._rows = whole[rows_start : layout.arena_offset].view(_ROW)
        self._arena = whole[layout.arena_offset : layout.arena_offset + layout.arena_bytes]

    def write_instances(self, instances: Instances) -> None:
        """Copy ``instances`` into the slot; what was there before is gone.

        Raises:
            ValueError: There are more than ``layout.top_k``, or their patches exceed the arena.
        """
        count = len(instances)
        if count > self.layout.top_k:
            raise ValueError(
                f"slot {self.index}: {count} instances; at most {self.layout.top_k} fit."
            )
        rows = self._rows[:count]
        rows["box"] = instances.boxes_xyxy_src
        rows["extent"] = instances.extents_xyxy_src
        rows["score"] = instances.scores
        rows["class_id"] = instances.class_ids
        if instances.track_ids is not None:
            rows["track_id"] = instances.track_ids
            rows["age"] = 0 if instances.ages is None else instances.ages
            rows["origin"] = 0 if instances.origins is None else instances.origins
        self._write_patches(rows, instances.patches)
        has_track_ids = instances.track_ids is not None
        self.found.flags = _HAS_TRACK_IDS * has_track_ids | _IS_EXCLUSIVE * instances.is_exclusive
        self.found.count = count

    def copy_from(self, other: Slot) -> None:
        """Copy header, pixels and instances of ``other``, whose layout is the same."""
        ctypes.memmove(
            ctypes.addressof(self.header),
            ctypes.addressof(other.header),
            ctypes.sizeof(FrameHeader),
        )
        for plane, theirs in zip(self.planes, other.planes, strict=True):
            np.copyto(plane, theirs)
        self.write_instances(other.instances())

    def instances(self) -> Instances:
        """Returns the instances as views into the slot, valid until the slot is given on."""
        rows = self._rows[: self.found.count]
        has_track_ids = bool(self.found.flags & _HAS_TRACK_IDS)
        return Instances(
            boxes_xyxy_src=rows["box"],
            scores=rows["score"],
            class_ids=rows["class_id"],
            extents_xyxy_src=rows["extent"],
            patches=tuple(self._patch(row) for row in rows),
            track_ids=rows["track_id"] if has_track_ids else None,
            origins=rows["origin"].astype(np.uint8) if has_track_ids else None,
            ages=rows["age"] if has_track_ids else None,
            is_exclusive=bool(self.found.flags & _IS_EXCLUSIVE),
        )

    def _write_patches(self, rows: NDArray[Any], patches: tuple[NDArray[np.uint8], ...]) -> None:
        offset = 0
        for row, patch in zip(rows, patches, strict=True):
            end = offset + patch.size
            if end > self._arena.size:
                raise ValueError(
                    f"slot {self.index}: mask patches of more than {self._arena.size} bytes; "
                    f"a patch may be {self.layout.patch_px} pixels a side."
                )
            self._arena[offset:end].reshape(patch.shape)[...] = patch
            row["patch_height"], row["patch_width"] = patch.shape
            row["patch_offset"] = offset
            offset = end

    def _patch(self, row: Any) -> NDArray[np.uint8]:
        height, width = int(row["patch_height"]), int(row["patch_width"])
        offset = int(row["patch_offset"])
        return self._arena[offset : offset + height * width].reshape(height, width)
