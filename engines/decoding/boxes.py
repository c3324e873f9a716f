"""From a graph's rows to instances whose masks are their boxes: for detectors without masks."""

from __future__ import annotations

import numpy as np

from maskstream.engines.decoding.prototypes import Selection, wanted_rows
from maskstream.engines.interface.backend import Outputs
from maskstream.engines.interface.fit import Fit
from maskstream.engines.interface.instances import Instances

_ALL_OF_IT = np.full((1, 1), 255, np.uint8)


def assemble(outputs: Outputs, index: int, fit: Fit, selection: Selection) -> Instances:
    """Return the instances of one frame of a batch.

    Args:
        outputs: `boxes`, `scores` and `class_ids`.
        index: The frame's place in the batch.
        fit: How the frame was fitted into the network's input.
        selection: Which rows become instances.
    """
    boxes = fit.to_frame(np.asarray(outputs["boxes"][index], np.float32))
    rows = wanted_rows(outputs, index, boxes, selection)
    if len(rows) == 0:
        return Instances.empty()
    extents = np.concatenate([np.floor(boxes[rows, :2]), np.ceil(boxes[rows, 2:])], axis=1)
    return Instances(
        boxes_xyxy_src=boxes[rows],
        scores=np.asarray(outputs["scores"][index], np.float32)[rows],
        class_ids=np.asarray(outputs["class_ids"][index], np.int32)[rows],
        extents_xyxy_src=extents.astype(np.int32),
        patches=(_ALL_OF_IT,) * len(rows),
    )
