"""The losses of YOLACT and YOLACT++, and those of context beside them.

Source: Bolya et al., "YOLACT", ICCV 2019, section 3, with the weights and the hard negative mining
of the released code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name that everybody reads

from maskstream.engines.networks.yolact.mask_scoring import MaskIouNet, inside_boxes
from maskstream.engines.networks.yolact.network import RawOutputs
from maskstream.train.samples.targets import BatchTargets
from maskstream.train.yolact.losses_context import class_context_loss, neighbor_loss
from maskstream.train.yolact.losses_mask_iou import MASK_IOU_WEIGHT, mask_iou_loss
from maskstream.train.yolact.losses_semantic import semantic_loss, true_class_maps

BOX_WEIGHT = 1.5
MASK_WEIGHT = 6.125
NEGATIVES_PER_POSITIVE = 3
MIN_NEGATIVES = 16
"""Negatives taken from a picture without objects; the released code never shows it one."""


@dataclass(frozen=True, slots=True)
class Targets(BatchTargets):
    """What one batch has to learn.

    Attributes:
        labels: (B, P), class + 1, 0 for background, -1 for neither.
        locations: (B, P, 4), encoded boxes of the positives.
        owners: (B, P), row of the positive's truth.
        boxes_xyxy_rel: B tensors (N, 4).
        class_ids: B tensors (N,).
        masks: B tensors (N, Hp, Wp), coverage of each cell by the object, 0..255.
        has_mask: B tensors (N,) of bool.
        knows_all_masks: (B,), every object in the picture has a mask, so the semantic map is known.
    """

    labels: Tensor
    locations: Tensor
    owners: Tensor
    boxes_xyxy_rel: list[Tensor]
    class_ids: list[Tensor]
    masks: list[Tensor]
    has_mask: list[Tensor]
    knows_all_masks: Tensor


class Losses(NamedTuple):
    """Each loss with its weight applied; their sum is what is minimised."""

    box: Tensor
    classes: Tensor
    mask: Tensor
    semantic: Tensor
    context: Tensor

    def total(self) -> Tensor:
        """Return the sum."""
        return torch.stack(self).sum()


def yolact_losses(
    raw: RawOutputs,
    targets: Targets,
    *,
    max_masks: int = 100,
    dice_weight: float = 0.0,
    contextual_weight: float = 0.0,
    neighbor_weight: float = 0.0,
    scorer: MaskIouNet | None = None,
    positive_count: int | None = None,
    image_count: int | None = None,
) -> Losses:
    """Compute the losses of a batch, or of a part of one.

    Args:
        raw: Of a network in training.
        max_masks: Positives of one image that take part in the mask loss, drawn at random.
        dice_weight: Of the Dice loss in the mask loss, beside `MASK_WEIGHT` of the cross-entropy;
            YOLACT has none.
        contextual_weight: Of the contextual loss between class maps; YOLACT has none.
        neighbor_weight: Of the loss between neighbours' prototypes, likewise.
        scorer: YOLACT++'s, which learns here; what it learns from counts as mask loss.
        positive_count: Positives of the whole batch; those of ``targets`` if None.
        image_count: Pictures of the whole batch, likewise.

    Raises:
        ValueError: The network was not in training, so it gave no semantic map.
    """
    if raw.semantic is None:
        raise ValueError("semantic map: none; the network must be in training.")
    is_positive = targets.labels > 0
    positives = int(is_positive.sum()) if positive_count is None else positive_count
    # A batch without any object must not divide by zero.
    positives = max(positives, 1)
    share = 1.0 if image_count is None else len(targets.labels) / image_count
    box = F.smooth_l1_loss(
        raw.locations[is_positive].float(), targets.locations[is_positive], reduction="sum"
    )
    class_maps = true_class_maps(targets.masks, targets.class_ids, raw.semantic)
    context = _context_losses(raw, targets, class_maps, contextual_weight, neighbor_weight)
    return Losses(
        box=BOX_WEIGHT * box / positives,
        classes=class_loss(raw.logits.float(), targets.labels) / positives,
        mask=_mask_losses(raw, targets, max_masks, dice_weight, scorer) / positives,
        semantic=share * semantic_loss(raw.semantic, class_maps, targets.knows_all_masks),
        context=share * context.mean(),
    )


def class_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the summed cross-entropy of positives and of the hardest negatives, three to one.

    Args:
        logits: (B, P, 1 + classes), background first.
        labels: (B, P) as in `Targets`.
    """
    entropy = F.cross_entropy(
        logits.flatten(0, 1), labels.clamp(min=0).flatten(), reduction="none"
    ).view_as(labels)
    is_positive = labels > 0
    # How hard a negative is: minus the log of its background probability.
    hardness = torch.where(labels == 0, entropy.detach(), entropy.new_full((), -1.0))
    wanted = (NEGATIVES_PER_POSITIVE * is_positive.sum(1)).clamp(min=MIN_NEGATIVES)
    wanted = torch.minimum(wanted, (labels == 0).sum(1))  # (B,)
    most = max(int(wanted.max()), 1)
    order = hardness.topk(most, dim=1).indices  # (B, most)
    is_taken = torch.arange(most, device=labels.device) < wanted[:, None]
    is_negative = torch.zeros_like(is_positive).scatter(1, order, is_taken)
    return (entropy * (is_positive | is_negative)).sum()


def _mask_losses(
    raw: RawOutputs,
    targets: Targets,
    max_masks: int,
    dice_weight: float,
    scorer: MaskIouNet | None,
) -> Tensor:
    total = raw.prototypes.new_zeros((), dtype=torch.float32)
    for index, masks in enumerate(targets.masks):
        rows = (targets.labels[index] > 0).nonzero()[:, 0]
        rows = rows[targets.has_mask[index][targets.owners[index, rows]]]
        if len(rows) == 0:
            continue
        scale = 1.0
        if len(rows) > max_masks:
            scale = len(rows) / max_masks
            rows = rows[torch.randperm(len(rows), device=rows.device)[:max_masks]]
        owners = targets.owners[index, rows]
        logits = torch.einsum(
            "nm,hwm->nhw", raw.coefficients[index, rows], raw.prototypes[index]
        ).float()
        truth, boxes = masks[owners].float() / 255, targets.boxes_xyxy_rel[index][owners]
        loss = MASK_WEIGHT * mask_loss(logits, truth, boxes)
        if dice_weight:
            loss = loss + dice_weight * dice_loss(logits, truth, boxes)
        if scorer is not None:
            class_ids = targets.class_ids[index][owners]
            loss = loss + MASK_IOU_WEIGHT * mask_iou_loss(scorer, logits, truth, boxes, class_ids)
        total = total + scale * loss
    return total


def _context_losses(
    raw: RawOutputs,
    targets: Targets,
    class_maps: Tensor,
    contextual_weight: float,
    neighbor_weight: float,
) -> Tensor:
    """Return (B,), of each picture the sum of the losses that have a weight."""
    total = raw.prototypes.new_zeros(len(class_maps), dtype=torch.float32)
    if contextual_weight and raw.semantic is not None:
        contextual = class_context_loss(raw.semantic, class_maps) * targets.knows_all_masks
        total = total + contextual_weight * contextual
    if neighbor_weight:
        masks = [m[has] for m, has in zip(targets.masks, targets.has_mask, strict=True)]
        total = total + neighbor_weight * neighbor_loss(raw.prototypes.float(), masks)
    return total


def mask_loss(logits: Tensor, masks: Tensor, boxes_xyxy_rel: Tensor) -> Tensor:
    """Return the summed cross-entropy of one image's masks, each divided by its box's area.

    Args:
        logits: (n, Hp, Wp), one row a positive.
        masks: (n, Hp, Wp) in [0, 1], the positive's truth.
        boxes_xyxy_rel: (n, 4), the truth's box; what lies outside it does not count.
    """
    height, width = masks.shape[1:]
    inside = inside_boxes(boxes_xyxy_rel, height, width)
    # The logits' form equals clamped BCE on sigmoids, and does not overflow in float32.
    loss = F.binary_cross_entropy_with_logits(logits, masks, reduction="none") * inside
    size = boxes_xyxy_rel[:, 2:] - boxes_xyxy_rel[:, :2]
    area_px = (size[:, 0] * width * size[:, 1] * height).clamp(min=1e-6)
    return (loss.sum(dim=(1, 2)) / area_px).sum()


def dice_loss(logits: Tensor, masks: Tensor, boxes_xyxy_rel: Tensor) -> Tensor:
    """Return the summed Dice losses of one image's masks, each between 0 and 1.

    It rises with the overlap whatever the object's size, where cross-entropy counts cells. The
    arguments are those of `mask_loss`.

    Source:
        Milletari et al., "V-Net", 3DV 2016, with squares in the denominator.
    """
    inside = inside_boxes(boxes_xyxy_rel, *masks.shape[1:])
    likely, truth = logits.sigmoid() * inside, masks * inside
    overlap = (likely * truth).sum(dim=(1, 2))
    size = (likely.square() + truth.square()).sum(dim=(1, 2)).clamp(min=1e-6)
    return (1 - 2 * overlap / size).sum()
