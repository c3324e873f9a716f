"""COCO average precision of an engine, boxes and masks."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from maskstream.engines.decoding.crops import RgbPicture
from maskstream.engines.engine import Engine
from maskstream.engines.interface.fit import fitted
from maskstream.engines.interface.instances import Instances, to_rle
from maskstream.train.errors import TrainError
from maskstream.train.samples.coco import CocoSet, LabelledImage

SCORE_MIN = 0.05
"""Rows below this do not count; YOLACT's evaluation threshold."""
TOP_K = 100
METRIC_NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl")
KINDS = ("bbox", "segm")
KIND_TITLES = {"bbox": "box", "segm": "mask", "crops": "crop"}
"""What people call the kinds of figures."""
MAIN_METRICS = ("AP", "AP50", "mean IoU", "object IoU")
"""What is told of each validation, of all that is measured."""
FILE_NAMES = {"bbox": "bbox_detections.json", "segm": "mask_detections.json"}
"""What YOLACT calls the two files of results."""

Metrics = dict[str, dict[str, float]]
"""``{"bbox": {"AP": ..., ...}, "segm": {...}}``, fractions of 1; -1 where nothing counts.

A network that only fills crops has ``{"crops": {"mean IoU": ..., "object IoU": ...}}``.
"""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The instances of one image."""

    image: LabelledImage
    instances: Instances


@dataclass(frozen=True, slots=True)
class Scores:
    """What an evaluation says.

    Attributes:
        overall: Over all classes.
        by_class: ``{"person": {"bbox": {...}, "segm": {...}}}`` with AP and AP50.
    """

    overall: Metrics
    by_class: dict[str, Metrics]


def evaluate(
    engine: Engine,
    dataset: CocoSet,
    *,
    batch: int = 4,
    watch: Callable[[Prediction], None] = lambda _: None,
) -> Metrics:
    """Return the average precision of an engine on a labelled set.

    Args:
        batch: Pictures at once.
        watch: Called after each picture.

    Raises:
        TrainError: The set has no masks, or not the engine's classes.
    """
    category_ids = class_map(engine, dataset)
    results = coco_results(engine, dataset, category_ids, batch=batch, watch=watch)
    return score(dataset, results, category_ids).overall


def coco_results(
    engine: Engine,
    dataset: CocoSet,
    category_ids: Sequence[int],
    *,
    batch: int,
    watch: Callable[[Prediction], None] = lambda _: None,
    kinds: Sequence[str] = KINDS,
) -> list[dict[str, Any]]:
    """Return what an engine sees in a set, in COCO's results form; arguments as of `evaluate`."""
    results = []
    for prediction in predict(engine, dataset.images, batch):
        results += image_results(prediction, category_ids, has_masks="segm" in kinds)
        watch(prediction)
    return results


def predict(engine: Engine, images: Sequence[LabelledImage], batch: int) -> Iterator[Prediction]:
    """Run an engine over images, in their order."""
    size, fit = engine.manifest.input_size, engine.manifest.fit
    for start in range(0, len(images), batch):
        part = images[start : start + batch]
        pictures = [RgbPicture(image.read()) for image in part]
        frames = np.stack([fitted(picture.rgb, size, fit) for picture in pictures])
        found = engine.detect(
            frames,
            [(image.width, image.height) for image in part],
            score_min=SCORE_MIN,
            top_k=TOP_K,
            pictures=pictures,
            max_crops=batch * TOP_K,
        )
        for image, instances in zip(part, found, strict=True):
            yield Prediction(image, instances)


def image_results(
    prediction: Prediction, category_ids: Sequence[int], *, has_masks: bool = True
) -> list[dict[str, Any]]:
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
            **(
                {"segmentation": to_rle(instances, row, image.height, image.width)}
                if has_masks
                else {}
            ),
            "score": float(instances.scores[row]),
        }
        for row in range(len(instances))
    ]


def results_of(kind: str, results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what a file of one kind holds: boxes alone, or masks alone.

    pycocotools takes an entry's area from its box where it has one, so masks go without.
    """
    needed, unused = ("bbox", "segmentation") if kind == "bbox" else ("segmentation", "bbox")
    return [
        {key: entry[key] for key in entry if key != unused} for entry in results if needed in entry
    ]


def read_results(folder: Path) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Return what the files of results in a folder hold, and which kinds there are.

    Raises:
        TrainError: There is none, or one cannot be read.
    """
    kinds = tuple(kind for kind in KINDS if (folder / FILE_NAMES[kind]).is_file())
    if not kinds:
        raise TrainError(f"{folder}: holds no {' and no '.join(FILE_NAMES.values())}.")
    results: list[dict[str, Any]] = []
    for kind in kinds:
        path = folder / FILE_NAMES[kind]
        try:
            results += json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError) as exc:
            raise TrainError(f"{path}: cannot be read as COCO results ({exc}).") from exc
    return results, kinds


def class_map(engine: Engine, dataset: CocoSet) -> tuple[int, ...]:
    """Return the dataset's category id for each of the engine's classes, matched by name.

    Raises:
        TrainError: The dataset does not have one of the classes.
    """
    return category_ids_of(engine.manifest.class_names, dataset)


def category_ids_of(class_names: Sequence[str], dataset: CocoSet) -> tuple[int, ...]:
    """Return the dataset's category id for each class; as `class_map`."""
    by_name = dict(zip(dataset.class_names, dataset.category_ids, strict=True))
    missing = [name for name in class_names if name not in by_name]
    if missing:
        raise TrainError(
            f"{dataset.path}: has no class {', '.join(missing)}; it has "
            f"{', '.join(dataset.class_names)}."
        )
    return tuple(by_name[name] for name in class_names)


def score(
    dataset: CocoSet,
    results: Sequence[dict[str, Any]],
    category_ids: Sequence[int] | None = None,
    kinds: Sequence[str] = KINDS,
) -> Scores:
    """Return box and mask AP of results in COCO's form, by pycocotools.

    Args:
        dataset: Only its images count, which may be some of its file's.
        results: As `coco_results` gives them.
        category_ids: Only these count; all of the set if None.
        kinds: Of "bbox" and "segm".

    Raises:
        TrainError: Masks are to be scored and objects of the set have none, or results are of
            other images.
    """
    _check_masks(dataset, kinds)
    strangers = {entry["image_id"] for entry in results} - {i.image_id for i in dataset.images}
    if strangers:
        raise TrainError(
            f"{dataset.path}: results are for image {min(strangers)}, which is not among its "
            f"{len(dataset.images)}; the set that they were made of is needed."
        )
    ids = dataset.category_ids if category_ids is None else tuple(category_ids)
    names = dict(zip(dataset.category_ids, dataset.class_names, strict=True))
    scores = Scores({}, {names[category_id]: {} for category_id in ids})
    with contextlib.redirect_stdout(io.StringIO()):  # the library prints its progress
        truth = _truth(dataset.path)
        for kind in kinds:
            of_kind = results_of(kind, results)
            found = truth.loadRes(of_kind) if of_kind else COCO()
            run = COCOeval(truth, found, kind)
            run.params.imgIds = sorted(image.image_id for image in dataset.images)
            run.params.catIds = sorted(ids)
            run.evaluate()
            run.accumulate()
            run.summarize()
            scores.overall[kind] = {
                name: float(value) for name, value in zip(METRIC_NAMES, run.stats[:6], strict=True)
            }
            # (thresholds, recalls, classes, areas, counts): all areas, the largest count
            precision = run.eval["precision"][:, :, :, 0, -1]
            for row, category_id in enumerate(run.params.catIds):
                scores.by_class[names[category_id]][kind] = {
                    "AP": _mean(precision[:, :, row]),
                    "AP50": _mean(precision[0, :, row]),
                }
    return scores


def _check_masks(dataset: CocoSet, kinds: Sequence[str]) -> None:
    if "segm" not in kinds:
        return
    count = sum(
        annotation.rle is None for image in dataset.images for annotation in image.annotations
    )
    if count:
        raise TrainError(
            f"{dataset.path}: {count} of its objects have no mask; masks are needed, or "
            "--detect-only, which scores boxes alone."
        )


def _truth(path: Path) -> COCO:
    """Return a file's annotations, with what COCO's own files always have.

    The library takes an annotation with the id 0 for none at all, so they are numbered anew.
    """
    document = json.loads(path.read_text(encoding="utf-8-sig"))
    for number, entry in enumerate(document["annotations"], 1):
        entry["id"] = number
        entry["iscrowd"] = int(entry.get("iscrowd") or 0)
        if entry.get("area") is None:
            entry["area"] = entry["bbox"][2] * entry["bbox"][3]
    truth = COCO()
    truth.dataset = {"info": {}, **document}
    truth.createIndex()
    return truth


def _mean(precision: NDArray[np.float64]) -> float:
    counted = precision[precision > -1]
    return float(counted.mean()) if counted.size else -1.0
