"""The four YOLACT losses.

Source: Bolya et al., "YOLACT", ICCV 2019, section 3, with the weights and the hard negative mining
of the released code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name that everybody reads

from engines.yolact.network import RawOutputs

BOX_WEIGHT = 1.5
MASK_WEIGHT = 6.125
NEGATIVES_PER_POSITIVE = 3
MIN_NEGATIVES = 16
"""Negatives taken from a picture without objects; the released code never shows it one."""


@dataclass(frozen=True, slots=True)
class Targets:
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

    def total(self) -> Tensor:
        """Return the sum."""
        return self.box + self.classes + self.mask + self.semantic


def yolact_losses(raw: RawOutputs, targets: Targets, *, max_masks: int = 100) -> Losses:
    """Compute the losses of a batch.

    Args:
        raw: Of a network in training.
        max_masks: Positives of one image that take part in the mask loss, drawn at random.
    """
    is_positive = targets.labels > 0
    # A batch without any object must not divide by zero.
    positive_count = is_positive.sum().clamp(min=1)
    box = F.smooth_l1_loss(
        raw.locations[is_positive].float(), targets.locations[is_positive], reduction="sum"
    )
    return Losses(
        box=BOX_WEIGHT * box / positive_count,
        classes=class_loss(raw.logits.float(), targets.labels) / positive_count,
        mask=MASK_WEIGHT * _mask_losses(raw, targets, max_masks) / positive_count,
        semantic=semantic_loss(raw.semantic, targets),
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


def _mask_losses(raw: RawOutputs, targets: Targets, max_masks: int) -> Tensor:
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
        total = total + scale * mask_loss(
            raw.prototypes[index],
            raw.coefficients[index, rows],
            masks[owners].float() / 255,
            targets.boxes_xyxy_rel[index][owners],
        )
    return total


def mask_loss(
    prototypes: Tensor, coefficients: Tensor, masks: Tensor, boxes_xyxy_rel: Tensor
) -> Tensor:
    """Return the summed mask loss of one image, each object's divided by its box's area.

    Args:
        prototypes: (Hp, Wp, M).
        coefficients: (n, M), one row a positive.
        masks: (n, Hp, Wp) in [0, 1], the positive's truth.
        boxes_xyxy_rel: (n, 4), the truth's box; what lies outside it does not count.
    """
    height, width, _ = prototypes.shape
    logits = torch.einsum("nm,hwm->nhw", coefficients, prototypes).float()
    inside = crop_masks(boxes_xyxy_rel, height, width)
    # The logits' form equals clamped BCE on sigmoids, and does not overflow in float32.
    loss = F.binary_cross_entropy_with_logits(logits, masks, reduction="none") * inside
    size = boxes_xyxy_rel[:, 2:] - boxes_xyxy_rel[:, :2]
    area_px = (size[:, 0] * width * size[:, 1] * height).clamp(min=1e-6)
    return (loss.sum(dim=(1, 2)) / area_px).sum()


def crop_masks(boxes_xyxy_rel: Tensor, height: int, width: int) -> Tensor:
    """Return (n, height, width) of 0 and 1: pixels in each box, with one pixel around it."""
    x = torch.arange(width, device=boxes_xyxy_rel.device)
    y = torch.arange(height, device=boxes_xyxy_rel.device)
    left, right = boxes_xyxy_rel[:, 0] * width - 1, boxes_xyxy_rel[:, 2] * width + 1
    top, bottom = boxes_xyxy_rel[:, 1] * height - 1, boxes_xyxy_rel[:, 3] * height + 1
    in_columns = (x >= left[:, None]) & (x < right[:, None])
    in_rows = (y >= top[:, None]) & (y < bottom[:, None])
    return (in_rows[:, :, None] & in_columns[:, None, :]).float()


def semantic_loss(semantic: Tensor | None, targets: Targets) -> Tensor:
    """Return the per-class segmentation loss on P3, over images whose masks are all known.

    Args:
        semantic: (B, classes, H3, W3) logits.

    Raises:
        ValueError: The network was not in training, so it gave no semantic map.
    """
    if semantic is None:
        raise ValueError("semantic map: none; the network must be in training.")
    batch, class_count, height, width = semantic.shape
    truth = torch.zeros_like(semantic, dtype=torch.float32)
    for index, masks in enumerate(targets.masks):
        if len(masks) == 0:
            continue
        small = F.interpolate(
            masks[None].float() / 255, (height, width), mode="bilinear", align_corners=False
        )[0]
        for class_id in range(class_count):
            of_class = small[targets.class_ids[index] == class_id]
            if len(of_class):
                truth[index, class_id] = (of_class > 0.5).any(dim=0).float()
    loss = F.binary_cross_entropy_with_logits(semantic.float(), truth, reduction="none")
    per_image = loss.sum(dim=(1, 2, 3)) / (height * width)
    return (per_image * targets.knows_all_masks).sum() / batch
