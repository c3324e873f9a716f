"""Pictures with their objects, at the network's size: seen through a window, pasted, joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maskstream.train.samples.coco import LabelledImage
from maskstream.train.samples.window import Window, render

VISIBLE_SHARE_MIN = 0.1
"""An object of which a pasted one leaves less than this is neither taught nor background."""
BOX_SHARE_MIN = 0.5
"""The same for an object without a mask, of which nobody knows where in its box it is."""

_VISIBLE_MIN_PX = 1e-3


@dataclass(frozen=True, slots=True)
class SeenObject:
    """One object in view.

    Attributes:
        class_id: 0-based.
        box_xyxy_net: (4,) in pixels of the view; tight around the mask where there is one.
        mask: (H, W) uint8, how much of each pixel the object covers, 0..255; None where only the
            box is known.
    """

    class_id: int
    box_xyxy_net: NDArray[np.float64]
    mask: NDArray[np.uint8] | None


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture at the network's size, or a part of it, with its truth.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        objects: What can be learnt.
        ignored_xyxy_net: Boxes of what is neither taught nor background, in pixels of the view.
        is_exhaustive: What is not labelled is background.
    """

    image: NDArray[np.uint8]
    objects: tuple[SeenObject, ...]
    ignored_xyxy_net: tuple[NDArray[np.float64], ...]
    is_exhaustive: bool


def see(
    labelled: LabelledImage,
    window: Window,
    width_px: int,
    height_px: int,
    fill_rgb: tuple[float, float, float],
) -> Scene:
    """Read a picture and show what ``window`` shows, scaled to ``width_px`` x ``height_px``.

    Objects whose centre is out of view are ignored; those without a pixel in view are left out.
    """
    clipped = window.to_view(boxes_of(labelled), width_px, height_px)
    objects, ignored = [], []
    for annotation, box in zip(labelled.annotations, clipped, strict=True):
        if min(box[2] - box[0], box[3] - box[1]) < _VISIBLE_MIN_PX:
            continue
        left, top, width, height = annotation.box_xywh_src
        if annotation.is_crowd or not window.contains(left + width / 2, top + height / 2):
            ignored.append(box)
        elif annotation.rle is None:
            objects.append(SeenObject(annotation.class_id, box, None))
        else:
            mask = render(annotation.mask() * np.uint8(255), window, width_px, height_px, (0.0,))
            tight = tight_box(mask)
            if tight is None:
                ignored.append(box)
            else:
                objects.append(SeenObject(annotation.class_id, tight, mask))
    image = render(labelled.read(), window, width_px, height_px, fill_rgb)
    return Scene(image, tuple(objects), tuple(ignored), labelled.is_exhaustive)


def boxes_of(labelled: LabelledImage) -> NDArray[np.float64]:
    """Return the (N, 4) corner boxes of all annotations, in pixels of the picture."""
    xywh = np.array([a.box_xywh_src for a in labelled.annotations], np.float64).reshape(-1, 4)
    return np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)


def tight_box(mask: NDArray[np.uint8]) -> NDArray[np.float64] | None:
    """Return the corners around the pixels of 128 and more, or None where there are none."""
    is_set = mask >= 128
    columns, rows = np.flatnonzero(is_set.any(axis=0)), np.flatnonzero(is_set.any(axis=1))
    if len(columns) == 0:
        return None
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float64)


def paste(scene: Scene, source: Scene, rows: Sequence[int]) -> Scene:
    """Lay objects of one picture over another, where they are in their own.

    What they cover is cut off the masks and boxes below; an object that is wholly hidden is gone.
    The pasted ones bring nothing else along, so ``scene`` stays as exhaustively labelled as it was.

    Args:
        scene: Below.
        source: Of the same size.
        rows: Of the source's objects; each has a mask.

    Source:
        Ghiasi et al., "Simple Copy-Paste is a Strong Data Augmentation Method for Instance
        Segmentation", CVPR 2021, section 3.
    """
    pasted = [source.objects[row] for row in rows]
    cover = np.max([thing.mask for thing in pasted if thing.mask is not None], axis=0)
    share = (cover.astype(np.float32) / 255)[..., None]
    image = np.rint(scene.image * (1 - share) + source.image * share).astype(np.uint8)
    objects, ignored = [], list(scene.ignored_xyxy_net)
    for thing in scene.objects:
        left, visible_share, least = _uncovered(thing, cover)
        if left is None:
            continue
        if visible_share < least:
            ignored.append(left.box_xyxy_net)
        else:
            objects.append(left)
    return Scene(image, (*objects, *pasted), tuple(ignored), scene.is_exhaustive)


def _uncovered(
    thing: SeenObject, cover: NDArray[np.uint8]
) -> tuple[SeenObject | None, float, float]:
    """Return what is left of an object, its share of the object, and the least share to teach."""
    if thing.mask is None:
        # The box stands in for the mask: what sticks out of the pasted object keeps its edges.
        x0, y0, x1, y1 = thing.box_xyxy_net
        columns, rows = slice(int(x0), int(np.ceil(x1))), slice(int(y0), int(np.ceil(y1)))
        free = 255 - cover[rows, columns]
        tight = tight_box(free)
        if tight is None:
            return None, 0.0, 0.0
        moved = tight + [columns.start, rows.start] * 2
        box = np.concatenate(
            [np.maximum(moved[:2], thing.box_xyxy_net[:2]), np.minimum(moved[2:], [x1, y1])]
        )
        return SeenObject(thing.class_id, box, None), float(free.mean()) / 255, BOX_SHARE_MIN
    mask = np.minimum(thing.mask, 255 - cover)
    tight = tight_box(mask)
    if tight is None:
        return None, 0.0, 0.0
    visible_share = float(mask.sum(dtype=np.int64) / thing.mask.sum(dtype=np.int64))
    return SeenObject(thing.class_id, tight, mask), visible_share, VISIBLE_SHARE_MIN


def join(tiles: Sequence[Scene]) -> Scene:
    """Lay four scenes side by side: upper left and right, lower left and right.

    The whole is exhaustively labelled if all tiles are.

    Source:
        Bochkovskiy et al., "YOLOv4", 2020, section 3.3 (mosaic).
    """
    upper_left, upper_right, lower_left, lower_right = (tile.image for tile in tiles)
    image = np.concatenate(
        [
            np.concatenate([upper_left, upper_right], axis=1),
            np.concatenate([lower_left, lower_right], axis=1),
        ]
    )
    middle_y, middle_x = upper_left.shape[:2]
    objects, ignored = [], []
    for tile, (x, y) in zip(
        tiles, ((0, 0), (middle_x, 0), (0, middle_y), (middle_x, middle_y)), strict=True
    ):
        offset = np.array([x, y, x, y], np.float64)
        ignored += [box + offset for box in tile.ignored_xyxy_net]
        for thing in tile.objects:
            mask = None
            if thing.mask is not None:
                mask = np.zeros(image.shape[:2], np.uint8)
                height, width = thing.mask.shape
                mask[y : y + height, x : x + width] = thing.mask
            objects.append(SeenObject(thing.class_id, thing.box_xyxy_net + offset, mask))
    is_exhaustive = all(tile.is_exhaustive for tile in tiles)
    return Scene(image, tuple(objects), tuple(ignored), is_exhaustive)
