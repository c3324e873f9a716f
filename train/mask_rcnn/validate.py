"""What a Mask R-CNN is measured by beside average precision: its losses and its accuracy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from torch import Tensor

from maskstream.engines.engine import Engine
from maskstream.engines.interface.instances import to_rle
from maskstream.engines.networks.mask_rcnn.detect import mask_probabilities
from maskstream.engines.networks.mask_rcnn.network import MaskRcnn
from maskstream.train.augment_options import NO_AUGMENTATION
from maskstream.train.evaluation.coco_ap import Prediction, predict
from maskstream.train.mask_rcnn.data import MaskRcnnSet, Truths, collate
from maskstream.train.mask_rcnn.losses import LOSS_NAMES, counts, mask_rcnn_losses, true_masks
from maskstream.train.samples.coco import CocoSet, LabelledImage

SCORE_MIN = 0.5
IOU_MIN = 0.5
_BATCH = 4


def validation_losses(
    model: MaskRcnn, images: Sequence[LabelledImage], class_map: Sequence[int]
) -> dict[str, float]:
    """Return the mean losses over pictures as they are, and their sum as "total".

    What is drawn depends on the pictures alone, so two epochs differ by what was learnt.

    Args:
        model: In evaluation.
        class_map: The network's class of each of the pictures' classes.
    """
    sums = dict.fromkeys(LOSS_NAMES, 0.0)
    weights = np.zeros(2)
    with torch.no_grad():
        for frames, truths in _batches(model, images, class_map):
            losses = mask_rcnn_losses(model, model, frames, truths, [1, 1])
            for name, value in losses.items():
                sums[name] += float(value)
            weights += counts(frames, truths)
    means = {
        name: value / max(1.0, float(weights[int(name == "mask")])) for name, value in sums.items()
    }
    return means | {"total": sum(means.values())}


def true_box_mask_iou(model: MaskRcnn, dataset: CocoSet, class_map: Sequence[int]) -> float:
    """Return the mean IoU of masks in the true boxes of the true classes, at the masks' own size.

    So masks are compared however well objects are found.

    Args:
        model: In evaluation.
        class_map: The network's class of each of the set's classes.
    """
    heads, ious = model.network.roi_heads, []
    with torch.no_grad():
        for frames, truths in _batches(model, dataset.images, class_map):
            maps = heads.mask_roi_pool(model.pyramid(frames), truths.boxes)
            logits = heads.mask_predictor(heads.mask_head(maps)).float()
            class_ids = torch.cat(truths.labels) - 1
            found = mask_probabilities(logits, class_ids, model.config) >= 0.5
            wanted = torch.cat(
                [
                    true_masks(
                        masks, boxes, torch.arange(len(boxes), device=boxes.device), found.shape[-1]
                    )
                    for masks, boxes in zip(truths.masks, truths.boxes, strict=True)
                ]
            )
            wanted = wanted >= 0.5
            common = (found & wanted).sum(dim=(1, 2))
            whole = (found | wanted).sum(dim=(1, 2)).clamp(min=1)
            ious.append((common / whole)[torch.cat(truths.has_mask)])
    return float(torch.cat(ious).mean()) if ious else 0.0


def _batches(
    model: MaskRcnn, images: Sequence[LabelledImage], class_map: Sequence[int]
) -> Iterator[tuple[Tensor, Truths]]:
    """Yield pictures as they are, on the network's device."""
    items = MaskRcnnSet(images, model.config, NO_AUGMENTATION, 0, is_changed=False)
    device = str(next(model.parameters()).device)
    for start in range(0, len(items), _BATCH):
        rows = range(start, min(start + _BATCH, len(items)))
        frames, truths = collate([items[row] for row in rows])
        yield frames.to(device), truths.mapped(class_map).to(device)


def accuracy(engine: Engine, dataset: CocoSet, class_map: Sequence[int]) -> float:
    """Return hits over hits, misses and false alarms together, in [0, 1].

    A hit is an instance with a score of `SCORE_MIN` and more, of the right class, whose mask (or
    box, where no mask is known) overlaps that of an object by `IOU_MIN` and more. Crowds count
    neither way.

    Args:
        class_map: The network's class of each of the set's classes.
    """
    hits = misses = alarms = 0
    for prediction in predict(engine, dataset.images, _BATCH):
        found, missed, false = _match(prediction, class_map)
        hits, misses, alarms = hits + found, misses + missed, alarms + false
    return hits / max(1, hits + misses + alarms)


def _match(prediction: Prediction, class_map: Sequence[int]) -> tuple[int, int, int]:
    """Return hits, misses and false alarms in one picture; the best instances choose first."""
    instances, image = prediction.instances, prediction.image
    rows = np.flatnonzero(instances.scores >= SCORE_MIN)
    objects = image.annotations
    is_crowd = np.array([thing.is_crowd for thing in objects], bool)
    classes = np.array([class_map[thing.class_id] for thing in objects], int)
    free = ~is_crowd
    hits = alarms = 0
    overlaps = _overlaps(prediction, rows)
    for row, overlap in zip(rows, overlaps, strict=True):
        fits = (overlap >= IOU_MIN) & (classes == instances.class_ids[row])
        if (fits & free).any():
            free[int(np.argmax(np.where(fits & free, overlap, -1.0)))] = False
            hits += 1
        elif not (fits & is_crowd).any():
            alarms += 1
    return hits, int(free.sum()), alarms


def _overlaps(prediction: Prediction, rows: NDArray[np.intp]) -> Iterator[NDArray[np.float64]]:
    """Yield for each instance its IoU with every object; with a crowd, its share inside."""
    instances, image = prediction.instances, prediction.image
    crowds = [int(thing.is_crowd) for thing in image.annotations]
    boxes = [list(thing.box_xywh_src) for thing in image.annotations]
    rles = [thing.rle for thing in image.annotations]
    for row in rows:
        if not rles:
            yield np.zeros(0)
            continue
        left, top, right, bottom = (float(edge) for edge in instances.boxes_xyxy_src[row])
        by_box = coco_mask.iou([[left, top, right - left, bottom - top]], boxes, crowds)[0]
        mask = to_rle(instances, int(row), image.height, image.width)
        by_mask = [
            box_iou if rle is None else coco_mask.iou([mask], [rle], [crowd])[0, 0]
            for box_iou, rle, crowd in zip(by_box, rles, crowds, strict=True)
        ]
        yield np.array(by_mask, np.float64)
