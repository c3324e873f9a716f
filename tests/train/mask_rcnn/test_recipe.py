"""Mask R-CNN trained for real, on a picture or two."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from torchvision.models import resnet50

from maskstream.engines.errors import EngineError, WeightsError
from maskstream.engines.networks.mask_rcnn.network import MaskRcnn
from maskstream.train.augment_options import NO_AUGMENTATION, AugmentOptions
from maskstream.train.errors import TrainError
from maskstream.train.loop.checkpoint import CHECKPOINT_NAME
from maskstream.train.loop.log import read_log
from maskstream.train.loop.recipes import get_recipe
from maskstream.train.loop.trainer import Trainer
from maskstream.train.mask_rcnn.recipe import MaskRcnnRecipe
from maskstream.train.mask_rcnn.validate import true_box_mask_iou
from maskstream.train.options import TrainOptions
from maskstream.train.samples.coco import read_coco
from tests.helpers.engines.tiny_mask_rcnn import tiny_config
from tests.helpers.shapes import write_shapes

OPTIONS = TrainOptions(
    iterations=100,
    batch=2,
    optimizer="adamw",
    schedule="constant-decay",
    learning_rate=2e-3,
    weight_decay=0.0,
    clip_norm=10.0,
    ema_decay=0.9,
    augment=NO_AUGMENTATION,
    workers=0,
    validate_every=0,
)


def trainer(folder, dataset, options, validation=None):
    recipe = MaskRcnnRecipe(tiny_config(channels=32), dataset.class_names, options)
    return Trainer(recipe, list(dataset.images), validation, folder)


@pytest.mark.slow
def test_one_picture_is_learnt_by_heart(tmp_path):
    dataset = read_coco(write_shapes(tmp_path, 1, side=96, seed=1))
    assert len(dataset.images[0].annotations) >= 2
    run = trainer(tmp_path / "run", dataset, OPTIONS, dataset)
    metrics = run.run()
    assert metrics is not None
    assert metrics["bbox"]["AP50"] >= 0.95
    assert metrics["segm"]["AP50"] >= 0.95
    assert metrics["hits"]["accuracy"] >= 0.5
    losses = [sum(step.losses.values()) for step in read_log(tmp_path / "run" / "log.jsonl")]
    assert metrics["loss"]["total"] < 0.3 * losses[0]
    network = run.average.network.eval()
    assert isinstance(network, MaskRcnn)
    assert true_box_mask_iou(network, dataset, [0, 1, 2]) > 0.8


def test_a_resumed_run_has_the_losses_of_one_that_was_not_interrupted(tmp_path):
    dataset = read_coco(write_shapes(tmp_path, 3))
    options = replace(OPTIONS, augment=AugmentOptions())
    trainer(tmp_path / "whole", dataset, replace(options, iterations=4)).run()
    trainer(tmp_path / "parts", dataset, replace(options, iterations=2)).run()
    second = trainer(tmp_path / "parts", dataset, replace(options, iterations=4))
    second.resume(tmp_path / "parts" / CHECKPOINT_NAME)
    second.run()
    for whole, parts in zip(
        read_log(tmp_path / "whole" / "log.jsonl"),
        read_log(tmp_path / "parts" / "log.jsonl"),
        strict=True,
    ):
        assert parts.losses == pytest.approx(whole.losses, rel=1e-4)


def recipe(name="mask-rcnn-resnet50", class_count=3):
    config = MaskRcnnRecipe.choose_config(name, class_count=class_count, input_size=96)
    return MaskRcnnRecipe(config, ("a", "b", "c")[:class_count], OPTIONS)


def test_the_family_is_trained_by_its_name():
    assert get_recipe("mask-rcnn") is MaskRcnnRecipe


def test_a_checkpoint_for_other_classes_gives_all_but_the_predictors(tmp_path):
    dataset = read_coco(write_shapes(tmp_path, 2))
    trainer(tmp_path / "run", dataset, replace(OPTIONS, iterations=1)).run()
    other = MaskRcnnRecipe(tiny_config(channels=32, class_count=5), tuple("abcde"), OPTIONS)
    network = other.make_network()
    dropped = other.load_weights(network, tmp_path / "run" / CHECKPOINT_NAME)
    assert {name.split("_predictor.")[1].split(".")[0] for name in dropped} == {
        "cls_score", "bbox_pred", "mask_fcn_logits",
    }  # fmt: skip


def test_a_backbone_file_is_read_and_another_refused(tmp_path):
    torch.save(resnet50(weights=None).state_dict(), tmp_path / "resnet50.pth")
    torch.save({"x": torch.zeros(1)}, tmp_path / "other.pth")
    ours = recipe()
    network = ours.make_network()
    ours.fill_backbone(network, tmp_path / "resnet50.pth")
    for name in ("other.pth", "absent.pth"):
        with pytest.raises(TrainError, match="ResNet-50"):
            ours.fill_backbone(network, tmp_path / name)


def test_a_light_network_begins_with_the_body_of_a_detector(tmp_path):
    ours = recipe("mask-rcnn-light")
    given = {
        name: value
        for name, value in ours.make_network().body.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    torch.save(given, tmp_path / "nanodet.pth")
    network = ours.make_network()
    ours.fill_backbone(network, tmp_path / "nanodet.pth")
    filled = network.body.state_dict()
    # Its first layer takes BGR.
    assert torch.equal(filled["conv1.0.weight"], given["conv1.0.weight"].flip(1))
    assert torch.equal(filled["stage4.3.branch2.0.weight"], given["stage4.3.branch2.0.weight"])
    torch.save(resnet50(weights=None).state_dict(), tmp_path / "resnet50.pth")
    with pytest.raises(TrainError, match="shufflenet"):
        ours.fill_backbone(network, tmp_path / "resnet50.pth")


def test_a_mini_network_says_that_there_are_no_released_weights():
    ours = recipe("mask-rcnn-mini")
    with pytest.raises(WeightsError, match="no released weights"):
        ours.load_weights(ours.make_network(), Path("coco"))


@pytest.mark.parametrize("side", [32, 100])
def test_an_impossible_size_is_refused(side):
    with pytest.raises(TrainError, match="--input-size"):
        MaskRcnnRecipe.choose_config("mask-rcnn-mini", class_count=1, input_size=side)
    with pytest.raises(EngineError, match="no such network"):
        MaskRcnnRecipe.choose_config("mask-rcnn", class_count=1, input_size=None)


def test_a_card_gives_the_configuration_back():
    for name in ("mask-rcnn-mini+agnostic", "mask-rcnn-light"):
        config = recipe(name).config
        plain = json.loads(json.dumps(asdict(config)))  # lists in place of tuples
        assert MaskRcnnRecipe.read_config(plain) == config
