"""Average precision, with engines that say the truth, a half of it, or nothing."""

import json

import numpy as np
import pytest

from engines.assemble import Selection
from engines.engine import Engine
from engines.instances import Instances
from engines.manifest import Manifest
from tests.train.shapes import write_shapes
from train.coco import read_coco
from train.errors import TrainError
from train.evaluate import METRIC_NAMES, evaluate


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
        assert Selection(**selection).top_k == 100
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
