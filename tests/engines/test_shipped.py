"""The engines that come with the package are what their manifests and their model cards say."""

import re

import numpy as np
import pytest

from maskstream.engines import open_engine, read_manifest, resolve_engine
from maskstream.engines.files.zoo import SHIPPED_FOLDER, list_engines
from maskstream.engines.interface.instances import to_rle
from maskstream.train.evaluation.coco_ap import evaluate, predict
from maskstream.train.samples.coco import read_coco

NAMES = sorted(path.stem for path in SHIPPED_FOLDER.glob("*.onnx"))
OFTEN = ("person",)
"""Scored in every run of the tests: the one that a run takes when none is named."""
SIZE_MAX_BYTES = 12_000_000
AP_SLACK = 0.01
"""A processor without bfloat16 computes in float32, which moves a few detections."""


def test_every_shipped_engine_is_small_and_has_a_model_card():
    engines = [entry for entry in list_engines() if entry.path.parent == SHIPPED_FOLDER]
    families = {entry.name: entry.manifest.family for entry in engines}
    assert families == {
        "person": "yolact",
        "person-int8": "yolact",
        "person-light": "yolact",
        "person-light-int8": "yolact",
        "person-yolo-fcn": "yolo-fcn",
        "person-mask-rcnn": "mask-rcnn",
    }
    for entry in engines:
        assert entry.manifest.class_names == ("person",)
        assert entry.path.stat().st_size <= SIZE_MAX_BYTES
        card = entry.path.with_suffix(".md").read_text(encoding="utf-8")
        for metric in ("segm.AP", "segm.AP50", "bbox.AP", "bbox.AP50"):
            assert f"{100 * entry.manifest.metrics[metric]:.1f}" in card
        assert entry.manifest.licence
        assert entry.manifest.source


def test_nothing_but_engines_and_their_cards_is_shipped():
    assert {path.suffix for path in SHIPPED_FOLDER.iterdir()} == {".onnx", ".md"}


def test_the_card_has_what_repeating_the_training_needs():
    card = (SHIPPED_FOLDER / "person.md").read_text(encoding="utf-8")
    for word in ("maskstream train", "seed", "Credits", "Limits"):
        assert re.search(word, card, re.IGNORECASE)


@pytest.mark.parametrize("name", ["person-yolo-fcn", "person-mask-rcnn"])
def test_large_people_of_the_validation_set_are_masked(name, shared_dir):
    coco_mask = pytest.importorskip("pycocotools.mask")
    dataset = read_coco(shared_dir / "data/person/val.json")
    alone = [
        image
        for image in dataset.images
        if len(image.annotations) == 1 and image.annotations[0].box_xywh_src[3] > 200
    ][:8]
    assert len(alone) == 8
    ious = []
    with open_engine(name, threads=1) as engine:
        for prediction in predict(engine, alone, batch=4):
            image, found = prediction.image, prediction.instances
            masks = [to_rle(found, row, image.height, image.width) for row in range(len(found))]
            truth = [image.annotations[0].rle]
            ious.append(float(coco_mask.iou(masks, truth, [0]).max()) if masks else 0.0)
    assert np.median(ious) > 0.7, ious


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in OFTEN else pytest.mark.slow) for name in NAMES],
)
def test_each_engine_scores_what_its_manifest_says(name, shared_dir):
    manifest = read_manifest(resolve_engine(name))
    dataset = read_coco(shared_dir / "data" / "person" / "val.json")
    with open_engine(name, threads=2, batch=4) as engine:
        metrics = evaluate(engine, dataset)
    for kind in ("bbox", "segm"):
        for name in ("AP", "AP50"):
            told = manifest.metrics[f"{kind}.{name}"]
            assert metrics[kind][name] == pytest.approx(told, abs=AP_SLACK)
