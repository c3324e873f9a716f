"""What the semantic map on P3 learns: which classes each cell holds.

Source: Bolya et al., "YOLACT", ICCV 2019, section 4.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name that everybody reads


def true_class_maps(
    masks: Sequence[Tensor], class_ids: Sequence[Tensor], semantic: Tensor
) -> Tensor:
    """Return what a semantic map should be: (B, classes, H, W) of 0 and 1.

    Args:
        masks: B tensors (N, Hp, Wp), coverage of each cell by the object, 0..255.
        class_ids: B tensors (N,).
        semantic: (B, classes, H, W), the map that it is compared with.
    """
    truth = torch.zeros_like(semantic, dtype=torch.float32)
    for index, of_image in enumerate(masks):
        if len(of_image) == 0:
            continue
        small = F.interpolate(
            of_image[None].float() / 255, semantic.shape[2:], mode="bilinear", align_corners=False
        )[0]
        for class_id in set(class_ids[index].tolist()):
            of_class = small[class_ids[index] == class_id]
            truth[index, class_id] = (of_class > 0.5).any(dim=0).float()
    return truth


def semantic_loss(semantic: Tensor, truth: Tensor, is_known: Tensor) -> Tensor:
    """Return the per-class cross-entropy of a cell, over the pictures whose truth is known.

    Args:
        semantic: (B, classes, H, W) logits.
        truth: Of the same shape, of 0 and 1.
        is_known: (B,) of 0 and 1.
    """
    batch, _, height, width = semantic.shape
    loss = F.binary_cross_entropy_with_logits(semantic.float(), truth, reduction="none")
    per_image = loss.sum(dim=(1, 2, 3)) / (height * width)
    return (per_image * is_known).sum() / batch
