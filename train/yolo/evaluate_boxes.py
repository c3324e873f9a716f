"""The box AP of a detector that draws no masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from maskstream.engines.interface.fit import fitted, make_fit
from maskstream.engines.networks.yolov3.detect import YoloDetector
from maskstream.engines.networks.yolov3.network import Yolo
from maskstream.train.evaluation.coco_ap import SCORE_MIN, Metrics, category_ids_of, score
from maskstream.train.samples.coco import CocoSet

BATCH = 4


def evaluate_boxes(network: Yolo, class_names: tuple[str, ...], dataset: CocoSet) -> Metrics:
    """Return the average precision of a detector's boxes on a labelled set.

    Args:
        network: In evaluation.
        class_names: By class id.

    Raises:
        TrainError: The set does not have one of the classes.
    """
    category_ids = category_ids_of(class_names, dataset)
    detector, side = YoloDetector(network), network.input_size
    device = next(network.parameters()).device
    detector.to(device)
    results: list[dict[str, Any]] = []
    for start in range(0, len(dataset.images), BATCH):
        images = dataset.images[start : start + BATCH]
        frames = np.stack([fitted(image.read(), side, "letterbox") for image in images])
        with torch.inference_mode():
            found = detector(torch.from_numpy(frames).to(device))
        for index, image in enumerate(images):
            fit = make_fit("letterbox", image.width, image.height, side)
            boxes = fit.to_frame(found.boxes[index].cpu().numpy())
            for box, value, class_id in zip(
                boxes, found.scores[index].tolist(), found.class_ids[index].tolist(), strict=True
            ):
                if value < SCORE_MIN:
                    break  # they come by falling score
                left, top, right, bottom = box.tolist()
                results.append(
                    {
                        "image_id": image.image_id,
                        "category_id": category_ids[class_id],
                        "bbox": [left, top, right - left, bottom - top],
                        "score": value,
                    }
                )
    return score(dataset, results, category_ids, kinds=("bbox",)).overall
