"""The second stage: a mask for each box, from the full-resolution frame, all boxes at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from engines.backends.base import Backend
from engines.instances import Instances
from engines.planar_frame import CropBackend, DeviceFrame
from engines.yolo_fcn.crops import Picture, crop_extents

MAX_CROPS = 64
"""Boxes that are masked at once, unless another number is asked for."""


class CropMasker:
    """The network that looks into boxes.

    Args:
        backend: Holds the graph from ``crops`` to ``masks``; stays the caller's.
        crop_px: Side of the crops.
        crop_margin: As `crop_extents` takes it.
    """

    def __init__(self, backend: Backend, crop_px: int, crop_margin: float) -> None:
        self._backend = backend
        self._crop_px = crop_px
        self._crop_margin = crop_margin
        self.left_out_count = 0
        """Boxes so far that were more than could be masked at once."""
        # What a runtime puts off to its first batch is not for the first frame with a box in it.
        backend.infer(np.zeros((1, crop_px, crop_px, 3), np.uint8))

    def cuts_on(self, device: str) -> bool:
        """Return whether crops can be cut by the runtime, out of frames that lie on a device."""
        return bool(getattr(self._backend, "cuts_crops", False)) and self._backend.device == device

    def mask(
        self,
        boxed: Sequence[Instances],
        pictures: Sequence[Picture] | Sequence[DeviceFrame],
        sizes_px: Sequence[tuple[int, int]],
        max_crops: int,
    ) -> list[Instances]:
        """Return a batch's instances with masks of which no two share a pixel.

        Where two objects claim one it belongs to the likelier box.

        Args:
            boxed: The boxes of each frame.
            pictures: The frames; those that lie on a device only where `cuts_on` it.
            sizes_px: Their widths and heights.
            max_crops: Boxes of all frames together; of more the least likely are left out, and
                counted.
        """
        kept = self._within(boxed, max_crops)
        extents = [
            crop_extents(found.boxes_xyxy_src, self._crop_margin, width, height)
            for found, (width, height) in zip(kept, sizes_px, strict=True)
        ]
        patches = iter(self._patches(pictures, extents) if any(map(len, extents)) else ())
        return [
            replace(
                found,
                extents_xyxy_src=rectangles,
                patches=tuple(next(patches) for _ in rectangles),
                is_exclusive=True,
            )
            for found, rectangles in zip(kept, extents, strict=True)
        ]

    def _within(self, boxed: Sequence[Instances], max_crops: int) -> list[Instances]:
        """Return the likeliest boxes of a batch."""
        scores = np.concatenate([found.scores for found in boxed])
        excess = len(scores) - max_crops
        if excess <= 0:
            return list(boxed)
        self.left_out_count += excess
        is_kept = np.ones(len(scores), bool)
        is_kept[np.argsort(-scores, kind="stable")[max_crops:]] = False
        ends = np.cumsum([len(found) for found in boxed])[:-1]
        return [
            found.select(rows) for found, rows in zip(boxed, np.split(is_kept, ends), strict=True)
        ]

    def probabilities(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return (N, M, M) of (N, C, C, 3) crops, N from 1.

        As many go through at once as the runtime likes: that bounds its memory.
        """
        size = self._backend.preferred_batch
        parts = (crops[start : start + size] for start in range(0, len(crops), size))
        # Copied, as the backend's rows are ours only until its next call.
        masks = [np.array(self._backend.infer(part)["masks"], np.float32) for part in parts]
        return np.concatenate(masks)

    def _patches(
        self,
        pictures: Sequence[Picture] | Sequence[DeviceFrame],
        extents: Sequence[NDArray[np.int32]],
    ) -> list[NDArray[np.uint8]]:
        """Return a patch for each rectangle, of which there is one at least."""
        on_device = [picture for picture in pictures if isinstance(picture, DeviceFrame)]
        if on_device:
            found = cast(CropBackend, self._backend).infer_crops(on_device, extents)["masks"]
        else:
            crops = [
                cast(Picture, picture).cut(rectangles, self._crop_px)
                for picture, rectangles in zip(pictures, extents, strict=True)
                if len(rectangles)
            ]
            found = self.probabilities(np.concatenate(crops))
        masks = np.clip(np.asarray(found, np.float32), 0.0, 1.0)
        return list(np.rint(masks * 255.0).astype(np.uint8))
