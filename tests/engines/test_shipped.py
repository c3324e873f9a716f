"""The engine that comes with the package is what its manifest and its model card say."""

import re

import pytest

from engines import open_engine, read_manifest, resolve_engine
from engines.zoo import SHIPPED_FOLDER, list_engines
from train.coco import read_coco
from train.evaluate import evaluate

SIZE_MAX_BYTES = 12_000_000
AP_SLACK = 0.01
"""A processor without bfloat16 computes in float32, which moves a few detections."""


def test_every_shipped_engine_is_small_and_has_a_model_card():
    engines = list_engines()
    assert "person" in [entry.name for entry in engines]
    for entry in engines:
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


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_person_scores_what_its_manifest_says(shared_dir):
    manifest = read_manifest(resolve_engine("person"))
    dataset = read_coco(shared_dir / "data" / "person" / "val.json")
    with open_engine("person", threads=2, batch=4) as engine:
        metrics = evaluate(engine, dataset)
    for kind in ("bbox", "segm"):
        for name in ("AP", "AP50"):
            told = manifest.metrics[f"{kind}.{name}"]
            assert metrics[kind][name] == pytest.approx(told, abs=AP_SLACK)
