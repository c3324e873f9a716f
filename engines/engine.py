"""An engine: a backend with a loaded graph, and the decoding of its family."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import cast

import numpy as np
from numpy.typing import NDArray

from maskstream.engines.decoding.crops import FittedPicture, Picture
from maskstream.engines.decoding.families import get_family
from maskstream.engines.decoding.mask_scores import weighed
from maskstream.engines.decoding.prototypes import Selection
from maskstream.engines.decoding.second_stage import CropMasker, Pictures, sure_crops
from maskstream.engines.errors import BackendError
from maskstream.engines.files.manifest import Manifest
from maskstream.engines.interface.backend import EVERYTHING, Backend, Outputs, PlanesBackend, Wanted
from maskstream.engines.interface.fit import make_fit
from maskstream.engines.interface.instances import Instances
from maskstream.engines.interface.planar_frame import PlanarFrame
from maskstream.engines.limits import MAX_CROPS, TOP_K

Frames = NDArray[np.uint8] | Sequence[PlanarFrame]
"""A batch: inputs that are ready, or frames as they came."""


class Engine:
    """Frames in, instances out.

    Args:
        backend: Owned: closing the engine closes it.
        manifest: Of the file that the backend has loaded.
        crop_backend: Holds the second graph of a file that has one; owned likewise.
        reason: Why this backend and no other, in a phrase; empty where it is what was asked for.

    Raises:
        EngineFileError: The manifest's family is unknown.
    """

    def __init__(
        self,
        backend: Backend,
        manifest: Manifest,
        *,
        crop_backend: Backend | None = None,
        reason: str = "",
    ) -> None:
        self._backend = backend
        self._crop_backend = crop_backend
        self._masker = None
        if crop_backend is not None and manifest.crop_px is not None:
            self._masker = CropMasker(crop_backend, manifest.crop_px, manifest.crop_margin)
        self.reason = reason
        self._assemble = get_family(manifest.family, where=manifest.name).assemble
        self.manifest = manifest

    @property
    def backend(self) -> str:
        """Name of the runtime."""
        return self._backend.name

    @property
    def device(self) -> str:
        """What the runtime runs on, such as "cpu"."""
        return self._backend.device

    @property
    def precision(self) -> str:
        """What the runtime computes in."""
        return self._backend.precision

    @property
    def crop_precision(self) -> str:
        """What the second graph is computed in; empty if there is none."""
        return "" if self._crop_backend is None else self._crop_backend.precision

    @property
    def preferred_batch(self) -> int:
        """Frames to give at once where nobody waits for them."""
        return self._backend.preferred_batch

    @property
    def takes_planes(self) -> bool:
        """Whether frames can be given as they came; the backend then scales them on its device."""
        return bool(getattr(self._backend, "takes_planes", False))

    @property
    def left_out_count(self) -> int:
        """Boxes so far that ``max_crops`` left out."""
        return 0 if self._masker is None else self._masker.left_out_count

    def detect(
        self,
        frames: Frames,
        sizes_px: Sequence[tuple[int, int]],
        *,
        score_min: float | None = None,
        top_k: int = TOP_K,
        class_ids: frozenset[int] | None = None,
        pictures: Sequence[Picture] | None = None,
        max_crops: int = MAX_CROPS,
    ) -> list[Instances]:
        """Return the instances of each frame of a batch.

        Args:
            frames: (B, S, S, 3) uint8 RGB, each fitted into the input as the manifest's ``fit``
                says; or, where `takes_planes`, B frames as they came.
            sizes_px: B pairs (width, height) of the frames before that.
            score_min: In [0, 1]; None for what the manifest says.
            top_k: Instances of a frame at most.
            class_ids: Only these classes; all if None.
            pictures: The B frames at their full resolution, for an engine whose manifest has
                ``crop_px``; None cuts its crops out of the inputs. Where frames are given as they
                came and both graphs are on one device, crops are cut there, and these not read.
            max_crops: Boxes of the batch that such an engine cuts out; the least likely of more
                keep the first graph's masks (but those that are among their frame's best B-th part
                of so many), or where it gives none are left out, and counted in `left_out_count`.
        """
        outputs = self.infer(
            frames, self.wanted(sizes_px, score_min=score_min, max_crops=max_crops)
        )
        return self.assemble(
            outputs,
            sizes_px,
            score_min=score_min,
            top_k=top_k,
            class_ids=class_ids,
            pictures=self._pictures(frames, sizes_px, pictures),
            max_crops=max_crops,
        )

    def _pictures(
        self,
        frames: Frames,
        sizes_px: Sequence[tuple[int, int]],
        given: Sequence[Picture] | None,
    ) -> Pictures | None:
        """Return what crops are cut out of: where frames lie on the crops' device, those."""
        if self._masker is None:
            return None
        if not isinstance(frames, np.ndarray):
            is_there = self._masker.cuts_on(self._backend.device)
            return getattr(self._backend, "device_frames", given) if is_there else given
        if given is not None:
            return given
        return [
            FittedPicture(frame, make_fit(self.manifest.fit, *size_px, frames.shape[1]))
            for frame, size_px in zip(frames, sizes_px, strict=False)
        ]

    def wanted(
        self,
        sizes_px: Sequence[tuple[int, int]],
        *,
        score_min: float | None = None,
        max_crops: int = MAX_CROPS,
    ) -> Wanted:
        """Return what `detect`, which takes the same, looks at of the first graph's outputs."""
        score_min, share_max = self._score_min(score_min), self.manifest.crop_share_max
        if self._masker is None or share_max is None or not sizes_px:
            return Wanted(score_min=score_min)
        side = self.manifest.input_size
        shares = [make_fit(self.manifest.fit, *size, side).share for size in sizes_px]
        return Wanted(
            score_min=score_min,
            mask_area_min=share_max * min(shares),
            small_count_max=sure_crops(max_crops, len(sizes_px)),
        )

    def infer(self, frames: Frames, wanted: Wanted = EVERYTHING) -> Outputs:
        """Return the first graph's outputs for a batch; the caller owns them until the next call.

        Args:
            frames: As `detect` takes them.
            wanted: What will be looked at; the rest may be zero.
        """
        if isinstance(frames, np.ndarray):
            return self._backend.infer(frames, wanted)
        return cast(PlanesBackend, self._backend).infer_planes(frames, wanted)

    def assemble(
        self,
        outputs: Outputs,
        sizes_px: Sequence[tuple[int, int]],
        *,
        score_min: float | None = None,
        top_k: int = TOP_K,
        class_ids: frozenset[int] | None = None,
        pictures: Pictures | None = None,
        max_crops: int = MAX_CROPS,
    ) -> list[Instances]:
        """Return the instances in the first graph's outputs.

        Args as of `detect`, but that without ``pictures`` nothing is cut out: masks are those of
        the first graph, or where it gives none the boxes.
        """
        selection = Selection(
            score_min=self._score_min(score_min),
            top_k=top_k,
            class_ids=class_ids,
        )
        fit, side = self.manifest.fit, self.manifest.input_size
        found = [
            self._assemble(outputs, index, make_fit(fit, width, height, side), selection)
            for index, (width, height) in enumerate(sizes_px)
        ]
        if self._masker is not None and pictures is not None:
            share_max = self.manifest.crop_share_max
            if share_max is None:
                found = self._masker.mask(found, pictures, sizes_px, max_crops)
            else:
                found = self._masker.refine(found, pictures, sizes_px, max_crops, share_max)
        if self.manifest.has_mask_scores:
            found = [weighed(instances, selection.score_min) for instances in found]
        return found

    def _score_min(self, asked: float | None) -> float:
        return self.manifest.score_min if asked is None else asked

    def mask_boxes(self, boxed: Instances, picture: Picture, size_px: tuple[int, int]) -> Instances:
        """Return instances of one frame with the masks that the second graph sees in their boxes.

        Args:
            boxed: Their masks are not looked at.
            picture: The frame.
            size_px: Its width and height.

        Raises:
            BackendError: The engine has no second graph.
        """
        return self._needed_masker().mask([boxed], [picture], [size_px], len(boxed))[0]

    def mask_crops(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the second graph's masks (N, M, M) of (N, C, C, 3) crops.

        Raises:
            BackendError: The engine has no second graph.
        """
        return self._needed_masker().probabilities(crops)

    def _needed_masker(self) -> CropMasker:
        if self._masker is None:
            raise BackendError(
                f"{self.manifest.name}: has one graph alone; an engine of two stages is needed."
            )
        return self._masker

    def close(self) -> None:
        """Give back the backend's resources; a second call does nothing."""
        self._backend.close()
        if self._crop_backend is not None:
            self._crop_backend.close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
