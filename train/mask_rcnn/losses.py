"""The losses of Mask R-CNN.

Source: He et al., "Mask R-CNN", ICCV 2017, sections 3 and 4.1 (mask losses); Ren et al., "Faster
R-CNN", NeurIPS 2015, section 3.1.2; sampling and the smooth L1's bend are torchvision's.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name that everybody reads
from torchvision.ops import roi_align

from maskstream.engines.networks.mask_rcnn.config import MaskRcnnConfig
from maskstream.engines.networks.mask_rcnn.network import Looked, MaskRcnn, RawOutputs
from maskstream.train.mask_rcnn.data import Truths
from maskstream.train.mask_rcnn.regions import Regions, choose_regions, label_boxes, sample_rows

SMOOTH_L1_BEND = 1 / 9
LOSS_NAMES = ("objectness", "proposals", "classes", "box", "mask")


def mask_rcnn_losses(
    model: MaskRcnn, forward: Any, frames: Tensor, truths: Truths, totals: Sequence[int]
) -> dict[str, Tensor]:
    """Compute the losses of a batch or a part of one, each a mean over the batch's pictures.

    Args:
        forward: The network as it is to be called.
        frames: (B, S, S, 3) uint8 RGB.
        totals: Of the whole batch, as `counts` gives them.
    """
    heads = model.network.roi_heads
    raw: RawOutputs = forward(frames, partial(choose_regions, heads, truths=truths))
    image_count, masked_count = (max(int(total), 1) for total in totals)
    objectness, proposals = proposal_losses(model, raw.looked, truths)
    classes, box = region_losses(heads, raw, truths)
    masks = mask_losses(raw, truths, model.config)
    sums = (objectness, proposals, classes, box)
    losses = {name: sum_ / image_count for name, sum_ in zip(LOSS_NAMES, sums, strict=False)}
    return losses | {"mask": masks / masked_count}


def counts(frames: Tensor, truths: Truths) -> list[int]:
    """Return the pictures, and those with a mask."""
    return [len(frames), sum(bool(has_mask.any()) for has_mask in truths.has_mask)]


def proposal_losses(
    model: MaskRcnn, looked: Sequence[Looked], truths: Truths
) -> tuple[Tensor, Tensor]:
    """Return the summed losses of "is it an object" and of the proposals' boxes."""
    rpn: Any = model.network.rpn
    logits = torch.cat([level.logits for level in looked], dim=1)
    shifts = torch.cat([level.shifts for level in looked], dim=1)
    anchors = torch.cat([level.anchors for level in looked])
    objectness, boxes = logits.sum() * 0, logits.sum() * 0
    for index in range(len(logits)):
        labels, owners = label_boxes(rpn.proposal_matcher, anchors, truths, index)
        labels = labels.clamp(max=1)
        rows = sample_rows(rpn.fg_bg_sampler, labels, int(truths.seeds[index]))
        if len(rows) == 0:
            continue
        objectness = objectness + F.binary_cross_entropy_with_logits(
            logits[index, rows], labels[rows].float()
        )
        positive = rows[labels[rows] > 0]
        true = truths.boxes[index][owners[positive]]
        wanted = rpn.box_coder.encode([true], [anchors[positive]])[0]
        boxes = boxes + _smooth_l1(shifts[index, positive], wanted) / len(rows)
    return objectness, boxes


def region_losses(heads: Any, raw: RawOutputs, truths: Truths) -> tuple[Tensor, Tensor]:
    """Return the summed losses of the regions' classes and boxes."""
    chosen: Regions = raw.chosen
    sizes = [len(labels) for labels in chosen.labels]
    all_logits = torch.split(raw.class_logits.float(), sizes)
    all_shifts = torch.split(raw.shifts.float().view(-1, raw.class_logits.shape[1], 4), sizes)
    classes, boxes = raw.class_logits.float().sum() * 0, raw.shifts.float().sum() * 0
    for index, labels in enumerate(chosen.labels):
        if len(labels) == 0:
            continue
        classes = classes + F.cross_entropy(all_logits[index], labels)
        positive = torch.where(labels > 0)[0]
        of_class = all_shifts[index][positive, labels[positive]]
        true = truths.boxes[index][chosen.owners[index][positive]]
        wanted = heads.box_coder.encode([true], [chosen.boxes[index][positive]])[0]
        boxes = boxes + _smooth_l1(of_class, wanted) / len(labels)
    return classes, boxes


def mask_losses(raw: RawOutputs, truths: Truths, config: MaskRcnnConfig) -> Tensor:
    """Return the pictures' mean mask losses, summed."""
    chosen: Regions = raw.chosen
    logits = torch.split(raw.mask_logits.float(), [len(rows) for rows in chosen.mask_rows])
    total = raw.mask_logits.float().sum() * 0
    for index, rows in enumerate(chosen.mask_rows):
        if len(rows) == 0:
            continue
        boxes, owners = chosen.boxes[index][rows], chosen.owners[index][rows]
        wanted = true_masks(truths.masks[index], boxes, owners, logits[index].shape[-1])
        total = total + mask_loss(logits[index], wanted, chosen.labels[index][rows], config)
    return total


def true_masks(masks: Tensor, boxes: Tensor, owners: Tensor, cells: int) -> Tensor:
    """Return (n, cells, cells) in [0, 1]: of each box's owner the part that the box shows.

    Args:
        masks: (N, S, S) uint8, 0..255.
        boxes: (n, 4) in pixels of the masks.
        owners: (n,), rows of ``masks``.
    """
    regions = torch.cat([owners[:, None].to(boxes.dtype), boxes], dim=1)
    seen: Tensor = roi_align(masks[:, None].to(boxes.dtype), regions, (cells, cells), 1.0)
    return seen[:, 0] / 255


def mask_loss(logits: Tensor, wanted: Tensor, labels: Tensor, config: MaskRcnnConfig) -> Tensor:
    """Return the mean loss of masks.

    Args:
        logits: (n, channels, h, w).
        wanted: (n, h, w), in [0, 1].
        labels: (n,), class + 1.
        config: Says what the channels mean: with a sigmoid each is learnt by itself, and only the
            true class's is; with a softmax they compete for each pixel.
    """
    channels = labels if config.mask_classes == "per-class" else torch.ones_like(labels)
    if config.mask_activation == "softmax":
        classes = channels[:, None, None] * (wanted >= 0.5)
        return F.cross_entropy(logits, classes)
    if config.mask_classes == "agnostic":
        channels = torch.zeros_like(labels)
    rows = torch.arange(len(labels), device=labels.device)
    return F.binary_cross_entropy_with_logits(logits[rows, channels], wanted)


def _smooth_l1(shifts: Tensor, wanted: Tensor) -> Tensor:
    return F.smooth_l1_loss(shifts, wanted, beta=SMOOTH_L1_BEND, reduction="sum")
