"""The overlay's time for a frame, beside other ways of drawing the same masks."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from maskstream.engines.interface.instances import Instances
from maskstream.stream.memory.frame import Planes, planes_of
from maskstream.stream.pixels.colors import palette
from maskstream.stream.pixels.painter import DrawStyle, Painter
from maskstream.tools.measuring.timing import medians_ms, one_opencv_thread

OPACITY = 0.45
PERSON_SIDES = (180, 480)
"""Width and height of a person in a 1080p frame, in pixels."""


@dataclass(frozen=True, slots=True)
class OverlayFigures:
    """Median times for one frame, all on one core in one run."""

    width: int
    height: int
    instance_count: int
    overlay_ms: float
    """Ours in full: masks, boxes and labels, from mask patches into the planes."""
    masks_only_ms: float
    """Ours without boxes and labels."""
    float_masks_ms: float
    """Masks only, as (N, H, W) float32 over an RGB frame; made before the clock starts."""
    supervision_ms: float | None
    """Masks only, by supervision's MaskAnnotator over BGR from (N, H, W) bool made before the clock
    starts; None where the package is not installed."""

    @property
    def times_float_masks(self) -> float:
        """How many of our full overlays fit in the time of float masks."""
        return self.float_masks_ms / self.overlay_ms

    @property
    def times_supervision(self) -> float | None:
        """How many of our full overlays fit in the time of supervision's masks."""
        return None if self.supervision_ms is None else self.supervision_ms / self.overlay_ms


def measure_overlay(
    *, width: int = 1920, height: int = 1080, instance_count: int = 10, repeats: int = 40
) -> OverlayFigures:
    """Return the overlay's figures for one frame size.

    The others are given their masks at full size and only have to mix them; ours starts from the
    patches that an engine delivers, and writes text as well.
    """
    instances = people(width, height, instance_count)
    bgr = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    planes = _planes(bgr)
    style = DrawStyle(class_names=("person",), color_by="instance", opacity=OPACITY)
    bare = DrawStyle(
        class_names=("person",), color_by="instance", opacity=OPACITY, boxes=False, labels=False
    )
    full = Painter(style, width, height, 0, 1)
    masks_only = Painter(bare, width, height, 0, 1)
    masks = _full_frame_masks(instances, width, height)
    calls: dict[str, Callable[[], object]] = {
        "overlay": lambda: full.draw(planes, instances, None),
        "masks_only": lambda: masks_only.draw(planes, instances, None),
        "float_masks": _float_composite(bgr, masks),
    }
    if importlib.util.find_spec("supervision") is not None:
        calls["supervision"] = _supervision(bgr, masks, instances)
    with one_opencv_thread():
        taken_ms = medians_ms(calls, repeats=repeats)
    return OverlayFigures(
        width=width,
        height=height,
        instance_count=instance_count,
        overlay_ms=taken_ms["overlay"],
        masks_only_ms=taken_ms["masks_only"],
        float_masks_ms=taken_ms["float_masks"],
        supervision_ms=taken_ms.get("supervision"),
    )


def people(width: int, height: int, count: int) -> Instances:
    """Return ``count`` upright ellipses the size of people, spread over the frame.

    Patches have the resolution of a network with 138 x 138 prototypes.
    """
    random = np.random.default_rng(count)
    size = np.array(PERSON_SIDES) * (width / 1920, height / 1080)
    corners = random.uniform(0, np.array([width, height]) - size, (count, 2))
    boxes = np.concatenate([corners, corners + size], axis=1).astype(np.float32)
    columns, rows = np.maximum(2, np.round(size / (width, height) * 138)).astype(int)
    y = ((np.arange(rows) + 0.5) / rows * 2 - 1)[:, None]
    x = ((np.arange(columns) + 0.5) / columns * 2 - 1)[None, :]
    patch = np.clip(255 * (1.5 - (x * x + y * y)), 0, 255).astype(np.uint8)
    return Instances(
        boxes_xyxy_src=boxes,
        scores=np.linspace(0.99, 0.31, count).astype(np.float32),
        class_ids=np.zeros(count, np.int32),
        extents_xyxy_src=np.concatenate(
            [np.floor(boxes[:, :2]), np.ceil(boxes[:, 2:])], axis=1
        ).astype(np.int32),
        patches=(patch,) * count,
    )


def _planes(bgr: NDArray[np.uint8]) -> Planes:
    height, width = bgr.shape[:2]
    i420 = cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420).astype(np.uint8, copy=False)
    return planes_of(i420.reshape(-1), width, height)


def _full_frame_masks(instances: Instances, width: int, height: int) -> NDArray[np.bool_]:
    """Return (N, height, width) masks."""
    masks = np.zeros((len(instances), height, width), bool)
    for index, (left, top, right, bottom) in enumerate(instances.extents_xyxy_src):
        masks[index, top:bottom, left:right] = instances.mask(index)
    return masks


def _float_composite(
    bgr: NDArray[np.uint8], masks: NDArray[np.bool_]
) -> Callable[[], NDArray[np.uint8]]:
    """Return a call that mixes full-frame float masks, one after the other.

    Kinder than the original, which also holds a colour picture for each mask: (N, H, W, 3).

    Source:
        Bolya et al., "YOLACT", 2019: img * (1 - alpha m) + alpha m colour, highest score on top.
    """
    weights = masks.astype(np.float32)[..., None] * np.float32(OPACITY)  # (N, H, W, 1)
    colors = [np.array(rgb[::-1], np.float32) for rgb in palette()]

    def composite() -> NDArray[np.uint8]:
        picture = bgr.astype(np.float32)
        for index in range(len(weights) - 1, -1, -1):
            weight = weights[index]
            picture = picture * (1 - weight) + weight * colors[index % len(colors)]
        return picture.astype(np.uint8)

    return composite


def _supervision(
    bgr: NDArray[np.uint8], masks: NDArray[np.bool_], instances: Instances
) -> Callable[[], object]:
    """Return a call that draws with supervision, in place as it does."""
    import supervision

    detections = supervision.Detections(
        xyxy=instances.boxes_xyxy_src,
        mask=masks,
        confidence=instances.scores,
        class_id=instances.class_ids,
    )
    annotator = supervision.MaskAnnotator(
        opacity=OPACITY, color_lookup=supervision.ColorLookup.INDEX
    )
    scene = bgr.copy()
    return lambda: annotator.annotate(scene, detections)
