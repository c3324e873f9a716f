"""Which anchors and regions Mask R-CNN learns from, and what each of them should say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torchvision.ops import box_area, box_iou

from maskstream.train.mask_rcnn.data import Truths

IGNORED_SHARE_MAX = 0.5
"""A box of which more lies in something ignored is no background."""

NEITHER = -1
"""The label of a box that is neither an object nor background."""


@dataclass(frozen=True, slots=True)
class Regions:
    """The regions of a batch that are learnt from; of each list an entry a picture.

    Attributes:
        boxes: (n, 4) corners in pixels.
        labels: (n,), class + 1, 0 for background.
        owners: (n,), row of the truth; any for background.
        mask_rows: (m,), rows of ``boxes`` whose mask is known.
    """

    boxes: list[Tensor]
    labels: list[Tensor]
    owners: list[Tensor]
    mask_rows: list[Tensor]

    @property
    def mask_boxes(self) -> list[Tensor]:
        """The boxes whose masks are learnt."""
        return [boxes[rows] for boxes, rows in zip(self.boxes, self.mask_rows, strict=True)]


def choose_regions(heads: Any, proposals: Sequence[Tensor], truths: Truths) -> Regions:
    """Draw some objects and some background among proposals, and the true boxes themselves.

    Args:
        heads: torchvision's, for its thresholds and its sampler.
        proposals: B tensors (n, 4) in pixels.
    """
    chosen = Regions([], [], [], [])
    for index, proposed in enumerate(proposals):
        boxes = torch.cat([proposed, truths.boxes[index]])
        labels, owners = label_boxes(heads.proposal_matcher, boxes, truths, index)
        rows = sample_rows(heads.fg_bg_sampler, labels, int(truths.seeds[index]) + 1)
        labels, owners = labels[rows], owners[rows]
        is_taught = labels > 0
        is_taught[is_taught.clone()] &= truths.has_mask[index][owners[is_taught]]
        chosen.boxes.append(boxes[rows])
        chosen.labels.append(labels)
        chosen.owners.append(owners)
        chosen.mask_rows.append(torch.where(is_taught)[0])
    return chosen


def label_boxes(matcher: Any, boxes: Tensor, truths: Truths, index: int) -> tuple[Tensor, Tensor]:
    """Return (n,) labels and (n,) owners of boxes in one picture.

    A label is that of the object which the box overlaps enough, 0 for background, `NEITHER` else:
    where the overlap is middling, in what is ignored, and, where not every object is labelled,
    away from those that are.
    """
    true_boxes = truths.boxes[index]
    if len(true_boxes):
        overlaps = box_iou(true_boxes, boxes)
        matched = matcher(overlaps)  # row, -1 below the thresholds, -2 between them
        owners = matched.clamp(min=0)
        labels = torch.where(matched >= 0, truths.labels[index][owners], matched + 1)
        is_apart = overlaps.amax(dim=0) == 0
    else:
        owners = torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device)
        labels, is_apart = owners.clone(), torch.ones_like(owners, dtype=torch.bool)
    is_unknown = _share_inside(boxes, truths.ignored[index]) > IGNORED_SHARE_MAX
    if not bool(truths.is_exhaustive[index]):
        is_unknown |= is_apart
    labels[is_unknown & (labels == 0)] = NEITHER
    return labels, owners


def sample_rows(sampler: Any, labels: Tensor, seed: int) -> Tensor:
    """Draw rows with a label, so that objects are at most a share of them.

    torchvision's sampler draws from the process's generator, so what it draws for a picture would
    depend on the pictures before it.

    Args:
        sampler: torchvision's, which says how many rows, and the share.
        labels: (n,), as `label_boxes` returns them.
        seed: Of the draw.
    """
    generator = torch.Generator().manual_seed(seed)
    objects, background = torch.where(labels > 0)[0], torch.where(labels == 0)[0]
    wanted_count = sampler.batch_size_per_image
    object_count = min(len(objects), int(wanted_count * sampler.positive_fraction))
    taken = []
    for rows, count in ((objects, object_count), (background, wanted_count - object_count)):
        order = torch.randperm(len(rows), generator=generator)[:count]
        taken.append(rows[order.to(rows.device)])
    return torch.cat(taken).sort().values


def _share_inside(boxes: Tensor, others: Tensor) -> Tensor:
    """Return (n,) the largest share of each box that one of the others covers."""
    if len(others) == 0:
        return torch.zeros(len(boxes), device=boxes.device)
    first = torch.maximum(boxes[:, None, :2], others[None, :, :2])
    last = torch.minimum(boxes[:, None, 2:], others[None, :, 2:])
    common = (last - first).clamp(min=0).prod(dim=-1)
    share: Tensor = common.amax(dim=1) / box_area(boxes).clamp(min=1e-6)
    return share
