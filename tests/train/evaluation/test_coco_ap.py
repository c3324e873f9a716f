"""Average precision, with engines that say the truth, a half of it, or nothing."""

import contextlib
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from maskstream.engines.engine import Engine
from maskstream.engines.files.manifest import Manifest
from maskstream.engines.interface.instances import Instances
from maskstream.train.errors import TrainError
from maskstream.train.evaluation.coco_ap import (
    METRIC_NAMES,
    Prediction,
    evaluate,
    image_results,
    results_of,
    score,
)
from maskstream.train.samples.coco import read_coco
from tests.helpers.shapes import write_shapes


class TellingEngine(Engine):
    """Says what the annotations say, all or every second object, in the images' order."""

    def __init__(self, dataset, *, share=1, class_names=("circle", "square", "star")):
        self.manifest = Manifest(
            family="yolact",
            name="teller",
            input_size=32,
            class_names=class_names,
            patch_px=96,
            metrics={},
            tools={},
        )
        self._images = iter(dataset.images)
        self._share = share

    def detect(self, frames, sizes_px, **selection):
        assert frames.shape[1:] == (32, 32, 3)
        assert selection["top_k"] == 100
        return [self._instances(next(self._images)) for _ in sizes_px]

    def _instances(self, image):
        told = image.annotations[:: self._share]
        if not told:
            return Instances.empty()
        extent = [[0, 0, image.width, image.height]] * len(told)
        boxes = np.array([a.box_xywh_src for a in told], np.float32)
        boxes[:, 2:] += boxes[:, :2]
        return Instances(
            boxes_xyxy_src=boxes,
            scores=np.linspace(0.9, 0.8, len(told)).astype(np.float32),
            class_ids=np.array([a.class_id for a in told], np.int32),
            extents_xyxy_src=np.array(extent, np.int32),
            patches=tuple(a.mask() * np.uint8(255) for a in told),
        )


@pytest.fixture
def dataset(tmp_path):
    return read_coco(write_shapes(tmp_path, 10))


def test_the_truth_scores_one(dataset):
    metrics = evaluate(TellingEngine(dataset), dataset)
    assert metrics["segm"]["AP"] == pytest.approx(1.0)
    assert metrics["bbox"]["AP"] == pytest.approx(1.0)
    assert set(metrics["segm"]) == set(METRIC_NAMES)


def test_missing_objects_cost_their_share(dataset):
    told = sum((len(image.annotations) + 1) // 2 for image in dataset.images)
    total = sum(len(image.annotations) for image in dataset.images)
    metrics = evaluate(TellingEngine(dataset, share=2), dataset)
    assert metrics["segm"]["AP50"] == pytest.approx(told / total, abs=0.1)
    assert metrics["segm"]["AP50"] < 0.95


def test_silence_scores_zero(dataset):
    class Silent(TellingEngine):
        def _instances(self, image):
            return Instances.empty()

    assert evaluate(Silent(dataset), dataset)["segm"]["AP"] == 0.0


def test_classes_are_matched_by_name_not_by_number(dataset, tmp_path):
    document = json.loads((tmp_path / "shapes.json").read_text())
    swapped = {3: 70, 7: 1, 9: 2}
    for category in document["categories"]:
        category["id"] = swapped[category["id"]]
    for annotation in document["annotations"]:
        annotation["category_id"] = swapped[annotation["category_id"]]
    (tmp_path / "swapped.json").write_text(json.dumps(document))
    other = read_coco(tmp_path / "swapped.json")
    assert other.class_names == ("square", "star", "circle")
    told = TellingEngine(other, class_names=other.class_names)
    assert evaluate(told, other)["segm"]["AP"] == pytest.approx(1.0)


def test_a_class_that_the_set_lacks_is_named(dataset):
    with pytest.raises(TrainError, match="dragon"):
        evaluate(TellingEngine(dataset, class_names=("circle", "dragon")), dataset)


def test_each_picture_is_watched(dataset):
    watched: list[Prediction] = []
    evaluate(TellingEngine(dataset), dataset, batch=3, watch=watched.append)
    assert [p.image.image_id for p in watched] == [image.image_id for image in dataset.images]


def test_only_the_pictures_of_the_set_count(dataset):
    some = replace(dataset, images=dataset.images[5:2:-1])
    assert evaluate(TellingEngine(some), some)["segm"]["AP"] == pytest.approx(1.0)
    # The same three among all ten: the others' objects are then missing.
    assert evaluate(TellingEngine(some), replace(some, images=dataset.images[:3]))["segm"]["AP"] < 1


def _truth_as_results(dataset, engine=None):
    teller = engine or TellingEngine(dataset)
    return [
        entry
        for image in dataset.images
        for entry in image_results(
            Prediction(image, teller._instances(image)), dataset.category_ids
        )
    ]


def test_classes_are_scored_apart(dataset):
    circles = [entry for entry in _truth_as_results(dataset) if entry["category_id"] == 3]
    by_class = score(dataset, circles).by_class
    assert by_class["circle"]["segm"] == pytest.approx({"AP": 1.0, "AP50": 1.0})
    assert by_class["square"]["segm"] == pytest.approx({"AP": 0.0, "AP50": 0.0})
    assert by_class["star"]["bbox"] == {"AP": -1, "AP50": -1}  # there is none


def test_classes_that_the_engine_does_not_know_do_not_count(dataset):
    circles = [entry for entry in _truth_as_results(dataset) if entry["category_id"] == 3]
    assert score(dataset, circles).overall["segm"]["AP"] == pytest.approx(0.5)
    scores = score(dataset, circles, category_ids=[3])
    assert scores.overall["segm"]["AP"] == pytest.approx(1.0)
    assert list(scores.by_class) == ["circle"]


def test_boxes_are_scored_without_masks_and_masks_are_not(dataset, tmp_path):
    document = json.loads((tmp_path / "shapes.json").read_text())
    for number, annotation in enumerate(document["annotations"]):
        del annotation["segmentation"], annotation["area"], annotation["iscrowd"]
        annotation["id"] = number  # the library alone would take the id 0 for no object
    (tmp_path / "boxes.json").write_text(json.dumps(document))
    boxes = read_coco(tmp_path / "boxes.json")
    scores = score(boxes, _truth_as_results(dataset), kinds=["bbox"])
    assert scores.overall["bbox"]["AP"] == pytest.approx(1.0)
    assert list(scores.overall) == ["bbox"]
    with pytest.raises(TrainError, match="have no mask"):
        score(boxes, [], kinds=["segm"])


def _unsure(dataset, random):
    """Results as of a mediocre network: moved, missed, doubled, of wrong classes, unsure."""
    for image in dataset.images:
        for annotation in image.annotations:
            for _ in range(int(random.integers(0, 3))):
                is_right = random.random() < 0.8
                left, top, width, height = annotation.box_xywh_src
                moved = random.normal(0, 0.08, 4) * [width, height, width, height]
                mask = np.roll(annotation.mask(), tuple(random.integers(-6, 7, 2)), (0, 1))
                instances = Instances(
                    boxes_xyxy_src=(
                        np.array([[left, top, left + width, top + height]]) + moved
                    ).astype(np.float32),
                    scores=np.array([random.random()], np.float32),
                    class_ids=np.array(
                        [annotation.class_id if is_right else random.integers(80)], np.int32
                    ),
                    extents_xyxy_src=np.array([[0, 0, image.width, image.height]], np.int32),
                    patches=(mask * np.uint8(255),),
                )
                yield from image_results(Prediction(image, instances), dataset.category_ids)


def test_figures_of_300_pictures_agree_with_pycocotools_used_by_itself(shared_dir, tmp_path):
    path = shared_dir / "data" / "coco80" / "train.json"
    dataset = read_coco(path)
    assert len(dataset.images) == 300
    results = list(_unsure(dataset, np.random.default_rng(0)))
    scores = score(dataset, results)
    assert 0.05 < scores.overall["segm"]["AP"] < 0.95
    for kind in ("bbox", "segm"):
        file = tmp_path / f"{kind}.json"
        file.write_text(json.dumps(results_of(kind, results)))
        with contextlib.redirect_stdout(io.StringIO()):
            truth = COCO(str(path))
            run = COCOeval(truth, truth.loadRes(str(file)), kind)
            run.evaluate()
            run.accumulate()
            run.summarize()
        ours = [scores.overall[kind][name] for name in METRIC_NAMES]
        np.testing.assert_allclose(ours, run.stats[:6], atol=1e-6)
        counted = [c[kind]["AP"] for c in scores.by_class.values() if c[kind]["AP"] > -1]
        assert np.mean(counted) == pytest.approx(run.stats[0], abs=1e-6)
