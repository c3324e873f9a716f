"""The second stage: a mask for each box, from the full-resolution frame, all boxes at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from maskstream.engines.decoding.crops import Picture, crop_extents
from maskstream.engines.interface.backend import Backend
from maskstream.engines.interface.instances import Instances
from maskstream.engines.interface.planar_frame import CropBackend, DeviceFrame

Pictures = Sequence[Picture] | Sequence[DeviceFrame]
"""The frames of a batch at their full resolution; on a device, or not."""


def sure_crops(max_crops: int, frame_count: int) -> int:
    """Return how many small boxes of each frame are masked anew whatever the others hold."""
    return max_crops // frame_count


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
        pictures: Pictures,
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
        rows = _likeliest(boxed, [np.ones(len(found), bool) for found in boxed], max_crops)
        self.left_out_count += sum(int((~taken).sum()) for taken in rows)
        kept = [found.select(taken) for found, taken in zip(boxed, rows, strict=True)]
        filled = self._filled(kept, pictures, sizes_px)
        return [replace(found, is_exclusive=True) for found in filled]

    def refine(
        self,
        masked: Sequence[Instances],
        pictures: Pictures,
        sizes_px: Sequence[tuple[int, int]],
        max_crops: int,
        share_max: float,
    ) -> list[Instances]:
        """Return a batch's instances with new masks in small boxes.

        A network that masks whole frames has a few cells for a small object; a crop has as many for
        it as for a large one, but sees less around it.

        Args:
            masked: The instances of each frame.
            pictures: As `mask` takes them.
            sizes_px: As `mask` takes them.
            max_crops: Boxes of all frames together; of more the least likely keep their masks, but
                for the best `sure_crops` of a frame.
            share_max: Boxes that cover more than this share of their frame keep their masks.
        """
        small = [
            _areas(found.boxes_xyxy_src) <= share_max * width * height
            for found, (width, height) in zip(masked, sizes_px, strict=True)
        ]
        rows = _likeliest(masked, small, max_crops, sure_crops(max_crops, len(masked)))
        parts = [found.select(taken) for found, taken in zip(masked, rows, strict=True)]
        filled = self._filled(parts, pictures, sizes_px)
        return [
            _with_masks(found, taken, part)
            for found, taken, part in zip(masked, rows, filled, strict=True)
        ]

    def _filled(
        self,
        boxed: Sequence[Instances],
        pictures: Pictures,
        sizes_px: Sequence[tuple[int, int]],
    ) -> list[Instances]:
        """Return instances with the masks that the network sees in their boxes."""
        extents = [
            crop_extents(found.boxes_xyxy_src, self._crop_margin, width, height)
            for found, (width, height) in zip(boxed, sizes_px, strict=True)
        ]
        patches = iter(self._patches(pictures, extents) if any(map(len, extents)) else ())
        return [
            replace(
                found,
                extents_xyxy_src=rectangles,
                patches=tuple(next(patches) for _ in rectangles),
            )
            for found, rectangles in zip(boxed, extents, strict=True)
        ]

    def probabilities(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return (N, M, M) of (N, C, C, 3) crops, N from 1."""
        # Copied, as the backend's rows are ours only until its next call.
        return np.array(self._backend.infer(crops)["masks"], np.float32)

    def _patches(
        self,
        pictures: Pictures,
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


def _areas(boxes_xyxy_src: NDArray[np.float32]) -> NDArray[np.float32]:
    areas: NDArray[np.float32] = np.prod(boxes_xyxy_src[:, 2:] - boxes_xyxy_src[:, :2], axis=1)
    return areas


def _likeliest(
    boxed: Sequence[Instances],
    asked: Sequence[NDArray[np.bool_]],
    count_max: int,
    sure_count: int = 0,
) -> list[NDArray[np.bool_]]:
    """Return which of a batch's boxes that are ``asked`` for are among the likeliest so many.

    The first ``sure_count`` of a frame, which come by falling score, go before all others.
    """
    scores = np.concatenate([found.scores for found in boxed])
    is_taken = np.concatenate(asked)
    is_sure = np.concatenate([np.cumsum(rows) <= sure_count for rows in asked])
    order = np.argsort(-np.where(is_taken, scores + is_sure, -1.0), kind="stable")
    is_taken[order[count_max:]] = False
    return np.split(is_taken, np.cumsum([len(found) for found in boxed])[:-1])


def _with_masks(masked: Instances, rows: NDArray[np.bool_], part: Instances) -> Instances:
    """Return instances of which those at ``rows`` have the masks of ``part``."""
    extents = masked.extents_xyxy_src.copy()
    extents[rows] = part.extents_xyxy_src
    new = iter(part.patches)
    patches = tuple(
        next(new) if taken else patch for taken, patch in zip(rows, masked.patches, strict=True)
    )
    return replace(masked, extents_xyxy_src=extents, patches=patches)
