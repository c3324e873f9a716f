"""Every family in the one training loop."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from maskstream.engines.networks.fcn.network import NEW_LAYERS
from maskstream.train.errors import TrainError
from maskstream.train.fcn.recipe import HISTOGRAM_NAME, FcnRecipe
from maskstream.train.loop.checkpoint import CHECKPOINT_NAME
from maskstream.train.loop.recipes import FAMILIES, get_recipe
from maskstream.train.loop.trainer import Trainer
from maskstream.train.options import TrainOptions
from maskstream.train.samples.coco import read_coco
from maskstream.train.yolo.recipe import YoloRecipe, drawn_size
from tests.helpers.shapes import write_shapes

PLAIN = TrainOptions(
    iterations=3, batch=2, workers=0, validate_every=0, optimizer="adamw", learning_rate=1e-3
)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    return read_coco(write_shapes(tmp_path_factory.mktemp("shapes"), 4))


def _trainer(family, folder, dataset, validation=None, **changes):
    recipe = get_recipe(family)
    size = 64 if family == "yolov3" else None
    config = recipe.choose_config(recipe.default_network, class_count=3, input_size=size)
    return Trainer(
        recipe(config, dataset.class_names, replace(PLAIN, **changes)),
        list(dataset.images),
        validation,
        folder,
    )


def _losses(folder):
    lines = (folder / "log.jsonl").read_text().splitlines()
    return [list(json.loads(line)["losses"].values()) for line in lines]


def test_a_batch_that_norms_can_learn_nothing_from_is_refused(tmp_path, shapes):
    config = YoloRecipe.choose_config("yolo-light", class_count=3, input_size=32)
    recipe = YoloRecipe(config, shapes.class_names, replace(PLAIN, batch=1))
    with pytest.raises(TrainError, match="--batch: one picture of 32 pixels"):
        Trainer(recipe, list(shapes.images), None, tmp_path).run()


@pytest.mark.parametrize(("family", "changes"), [("yolov3", {"is_multi_scale": True}), ("fcn", {})])
def test_a_resumed_run_has_the_losses_of_one_that_was_not_interrupted(
    tmp_path, shapes, family, changes
):
    _trainer(family, tmp_path / "whole", shapes, iterations=4, **changes).run()
    _trainer(family, tmp_path / "parts", shapes, iterations=2, **changes).run()
    second = _trainer(family, tmp_path / "parts", shapes, iterations=4, **changes)
    second.resume(tmp_path / "parts" / CHECKPOINT_NAME)
    second.run()
    np.testing.assert_allclose(_losses(tmp_path / "parts"), _losses(tmp_path / "whole"), rtol=1e-4)


@pytest.mark.parametrize(
    ("family", "figure"), [("yolov3", ("bbox", "AP")), ("fcn", ("crops", "mean IoU"))]
)
def test_a_run_is_validated_and_its_best_kept(tmp_path, shapes, family, figure):
    trainer = _trainer(family, tmp_path, shapes, shapes, iterations=1)
    metrics = trainer.run()
    kind, name = figure
    assert 0 <= metrics[kind][name] <= 1
    assert (tmp_path / "best.pt").is_file()


def test_losses_fall(tmp_path, shapes):
    _trainer("fcn", tmp_path / "fcn", shapes, iterations=8).run()
    _trainer("yolov3", tmp_path / "yolo", shapes, iterations=8).run()
    for name in ("fcn", "yolo"):
        totals = [sum(losses) for losses in _losses(tmp_path / name)]
        assert min(totals[-3:]) < totals[0]


def test_an_fcns_histogram_is_drawn(tmp_path, shapes):
    trainer = _trainer("fcn", tmp_path, shapes)
    (path,) = trainer.recipe.draw(trainer.average.network, shapes, tmp_path)
    assert path.name == HISTOGRAM_NAME
    picture = cv2.imread(str(path))
    assert picture is not None
    assert picture.std() > 10


def test_the_recipe_for_two_classes_trains_10886_numbers():
    # score_fr 8194, score_pool4 1026, score_pool3 514, upscore2 and upscore_pool4 64, upscore8 1024
    config = FcnRecipe.choose_config("fcn8s", class_count=20, input_size=None)
    recipe = FcnRecipe(config, ("object",), replace(PLAIN, freeze_body=True))
    with torch.device("meta"):
        network = recipe.make_network()
    frozen = {id(p) for part in recipe.body(network) for p in part.parameters()}
    free = {name: p for name, p in network.named_parameters() if id(p) not in frozen}
    assert sum(p.numel() for p in free.values()) == 10_886
    assert {name.split(".")[0] for name in free} == set(NEW_LAYERS)
    assert all(p.requires_grad for p in free.values())


def test_sizes_are_darknets_and_change_every_ten_iterations():
    sizes = [drawn_size(416, 0, iteration) for iteration in range(3000)]
    assert set(sizes) == set(range(320, 609, 32))
    for start in range(0, 3000, 10):
        assert len(set(sizes[start : start + 10])) == 1
    assert sizes == [drawn_size(416, 0, iteration) for iteration in range(3000)]


def test_an_untold_family_is_refused_with_the_known_ones():
    with pytest.raises(TrainError, match=f"retina: no such family; {', '.join(FAMILIES)}"):
        get_recipe("retina")


@pytest.mark.parametrize(
    ("recipe", "name", "size", "reason"),
    [
        (YoloRecipe, "yolov9", None, "yolov9 is no detector; use one of yolo-light"),
        (YoloRecipe, "yolov3", 100, "--input-size: 100 was given; it must be 32, 64"),
        (FcnRecipe, "fcn32s", None, "fcn32s is no FCN; use one of fcn-light"),
        (FcnRecipe, "fcn-light", 100, "crops of fcn-light have a multiple of 16, from 32 on"),
    ],
)
def test_networks_that_there_are_not_are_refused(recipe, name, size, reason):
    with pytest.raises(TrainError, match=reason):
        recipe.choose_config(name, class_count=1, input_size=size)


def test_an_fcn_alone_is_no_engine(shapes):
    config = FcnRecipe.choose_config("fcn-light", class_count=1, input_size=None)
    recipe = FcnRecipe(config, ("object",), PLAIN)
    with pytest.raises(TrainError, match="maskstream export DETECTOR --crops FCN"):
        recipe.manifest()


def test_a_detector_for_other_classes_begins_with_what_fits(tmp_path, shapes):
    _trainer("yolov3", tmp_path, shapes, iterations=1).run()
    config = YoloRecipe.choose_config("yolo-light", class_count=2, input_size=64)
    recipe = YoloRecipe(config, ("a", "b"), PLAIN)
    network = recipe.make_network()
    dropped = recipe.load_weights(network, tmp_path / CHECKPOINT_NAME)
    assert dropped == [
        f"body.heads.{head}.10.{part}" for head in range(3) for part in ("weight", "bias")
    ]


def test_the_body_of_a_light_yolact_can_be_begun_with(tmp_path, shapes):
    config = get_recipe("yolact").choose_config("yolact-light", class_count=3, input_size=64)
    recipe = get_recipe("yolact")(config, shapes.class_names, PLAIN)
    trainer = Trainer(recipe, list(shapes.images), None, tmp_path)
    trainer.save(tmp_path / "y.pt")
    for family, backbone in (("yolov3", "body.backbone."), ("fcn", "backbone.")):
        other = _trainer(family, tmp_path / family, shapes)
        other.recipe.fill_backbone(other.network, tmp_path / "y.pt")
        ours = other.network.state_dict()
        for name, value in trainer.average.network.backbone.state_dict().items():
            torch.testing.assert_close(ours[backbone + name], value)
    (tmp_path / "junk.pt").write_bytes(b"junk")
    with pytest.raises(TrainError, match=r"junk\.pt: cannot be read"):
        other.recipe.fill_backbone(other.network, tmp_path / "junk.pt")
