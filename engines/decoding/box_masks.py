"""From a graph's rows to instances, for networks that give a small mask for each box."""

from __future__ import annotations

import numpy as np

from maskstream.engines.decoding.prototypes import Selection, wanted_rows
from maskstream.engines.interface.backend import Outputs
from maskstream.engines.interface.fit import Fit
from maskstream.engines.interface.instances import Instances


def assemble(outputs: Outputs, index: int, fit: Fit, selection: Selection) -> Instances:
    """Return the instances of one frame of a batch.

    Args:
        outputs: `boxes`, `scores`, `class_ids` and `masks` (B, K, h, w), probabilities over each
            box in [0, 1].
        index: The frame's place in the batch.
        fit: How the frame was fitted into the network's input.
        selection: Which rows become instances.

    Source:
        Mask R-CNN, section 3: a mask is that of its box, whatever lies around it.
    """
    boxes = fit.to_frame(np.asarray(outputs["boxes"][index], np.float32))
    rows = wanted_rows(outputs, index, boxes, selection)
    if len(rows) == 0:
        return Instances.empty()
    extents = np.concatenate([np.floor(boxes[rows, :2]), np.ceil(boxes[rows, 2:])], axis=1)
    masks = np.asarray(outputs["masks"][index], np.float32)[rows]
    return Instances(
        boxes_xyxy_src=boxes[rows],
        scores=np.asarray(outputs["scores"][index], np.float32)[rows],
        class_ids=np.asarray(outputs["class_ids"][index], np.int32)[rows],
        extents_xyxy_src=extents.astype(np.int32),
        patches=tuple(np.rint(np.clip(mask, 0.0, 1.0) * 255.0).astype(np.uint8) for mask in masks),
    )
