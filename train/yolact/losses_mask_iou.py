"""What YOLACT++'s mask scorer learns from: how well the masks of the positives fit.

Source: Bolya et al., "YOLACT++", TPAMI 2020, section 6, with the weight and the smallest area of
the released code.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name that everybody reads

from maskstream.engines.networks.yolact.mask_scoring import MaskIouNet, inside_boxes

MASK_IOU_WEIGHT = 25.0
AREA_MIN_CELLS = 25
"""Truths of no more cells than this say too little about a mask."""


def mask_iou_loss(
    scorer: MaskIouNet, logits: Tensor, masks: Tensor, boxes_xyxy_rel: Tensor, class_ids: Tensor
) -> Tensor:
    """Return the summed error of one image's estimated mask IoUs.

    Args:
        logits: (n, Hp, Wp), one row a positive; they learn from it too.
        masks: (n, Hp, Wp) in [0, 1], the positive's truth.
        boxes_xyxy_rel: (n, 4), the truth's box, to which masks are cut.
        class_ids: (n,), 0-based.
    """
    likely = logits.sigmoid() * inside_boxes(boxes_xyxy_rel, *masks.shape[1:])
    found, true = likely > 0.5, masks > 0.5
    union = (found | true).sum(dim=(1, 2)).clamp(min=1)
    iou = (found & true).sum(dim=(1, 2)) / union
    guess = scorer(likely[:, None]).gather(1, class_ids[:, None]).squeeze(1)
    is_large = true.sum(dim=(1, 2)) > AREA_MIN_CELLS
    return F.smooth_l1_loss(guess[is_large], iou[is_large].to(guess.dtype), reduction="sum")
