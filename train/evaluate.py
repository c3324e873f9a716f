"""COCO average precision of an engine, boxes and masks."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from engines.engine import Engine
from engines.instances import Instances, to_rle
from train.coco import CocoSet, LabelledImage
from train.errors import TrainError

SCORE_MIN = 0.05
"""Rows below this do not count; YOLACT's evaluation threshold."""
TOP_K = 100
METRIC_NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl")

Metrics = dict[str, dict[str, float]]
"""``{"bbox": {"AP": ..., ...}, "segm": {...}}``, fractions of 1; -1 where nothing counts."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The instances of one image."""

    image: LabelledImage
    instances: Instances


def predict(engine: Engine, images: Sequence[LabelledImage], batch: int) -> Iterator[Prediction]:
    """Run an engine over images, in their order."""
    size = engine.manifest.input_size
    for start in range(0, len(images), batch):
        part = images[start : start + batch]
        frames = np.stack([squash(image.read(), size) for image in part])
        found = engine.detect(
            frames,
            [(image.width, image.height) for image in part],
            score_min=SCORE_MIN,
            top_k=TOP_K,
        )
        for image, instances in zip(part, found, strict=True):
            yield Prediction(image, instances)


def squash(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Scale an (H, W, 3) picture to ``size`` x ``size``, without keeping its aspect."""
    return np.asarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)


def coco_results(prediction: Prediction, category_ids: Sequence[int]) -> list[dict[str, Any]]:
    """Return an image's instances in COCO's results form, box and mask in one entry each."""
    image, instances = prediction.image, prediction.instances
    boxes = instances.boxes_xyxy_src
    return [
        {
            "image_id": image.image_id,
            "category_id": category_ids[int(instances.class_ids[row])],
            "bbox": [
                float(boxes[row, 0]),
                float(boxes[row, 1]),
                float(boxes[row, 2] - boxes[row, 0]),
                float(boxes[row, 3] - boxes[row, 1]),
            ],
            "segmentation": to_rle(instances, row, image.height, image.width),
            "score": float(instances.scores[row]),
        }
        for row in range(len(instances))
    ]


def class_map(engine: Engine, dataset: CocoSet) -> tuple[int, ...]:
    """Return the dataset's category id for each of the engine's classes, matched by name.

    Raises:
        TrainError: The dataset does not have one of the classes.
    """
    by_name = dict(zip(dataset.class_names, dataset.category_ids, strict=True))
    missing = [name for name in engine.manifest.class_names if name not in by_name]
    if missing:
        raise TrainError(
            f"{dataset.path}: has no class {', '.join(missing)}; it has "
            f"{', '.join(dataset.class_names)}."
        )
    return tuple(by_name[name] for name in engine.manifest.class_names)


def evaluate(engine: Engine, dataset: CocoSet, *, batch: int = 4) -> Metrics:
    """Return the average precision of an engine on a labelled set.

    Raises:
        TrainError: The set has no masks, or not the engine's classes.
    """
    category_ids = class_map(engine, dataset)
    results = [
        entry
        for prediction in predict(engine, dataset.images, batch)
        for entry in coco_results(prediction, category_ids)
    ]
    return score(dataset, results)


def score(dataset: CocoSet, results: list[dict[str, Any]]) -> Metrics:
    """Return box and mask AP of results in COCO's form, by pycocotools."""
    if not results:
        nothing = dict.fromkeys(METRIC_NAMES, 0.0)
        return {"bbox": dict(nothing), "segm": dict(nothing)}
    metrics: Metrics = {}
    with contextlib.redirect_stdout(io.StringIO()):  # the library prints its progress
        truth = COCO(str(dataset.path))
        for kind in ("bbox", "segm"):
            # The library takes an entry's area from its box where it has one, so masks go without.
            unused = {"bbox": "segmentation", "segm": "bbox"}[kind]
            found = truth.loadRes(
                [{key: entry[key] for key in entry if key != unused} for entry in results]
            )
            run = COCOeval(truth, found, kind)
            run.evaluate()
            run.accumulate()
            run.summarize()
            metrics[kind] = {
                name: float(value) for name, value in zip(METRIC_NAMES, run.stats[:6], strict=True)
            }
    return metrics
