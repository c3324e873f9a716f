"""Made-up frames for tests of tracking: boxes whose masks fill them, at known places and times."""

import numpy as np

from maskstream.engines.interface.instances import Instances


def instances_of(*rows, scores=None, class_ids=None):
    """Instances at boxes (left, top, right, bottom), each with a mask that fills it."""
    boxes = np.array(rows, np.float32).reshape(-1, 4)
    count = len(boxes)
    return Instances(
        boxes_xyxy_src=boxes,
        scores=np.full(count, 0.9, np.float32) if scores is None else np.array(scores, np.float32),
        class_ids=np.zeros(count, np.int32) if class_ids is None else np.array(class_ids, np.int32),
        extents_xyxy_src=np.rint(boxes).astype(np.int32),
        patches=tuple(np.full((8, 8), 255, np.uint8) for _ in range(count)),
    )


def walker(left, top=100.0, width=40.0, height=100.0):
    """The box of somebody whose left edge is at ``left``."""
    return (left, top, left + width, top + height)
