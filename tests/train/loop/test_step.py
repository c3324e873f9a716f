"""Single steps: what they change, and what they leave alone."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from maskstream.engines.networks.yolact.network import Yolact
from maskstream.train.augment_options import NO_AUGMENTATION
from maskstream.train.errors import DivergedError
from maskstream.train.loop.ema import WeightAverage
from maskstream.train.loop.group import Group
from maskstream.train.loop.step import MAX_BAD_STEPS, Stepper, total_of
from maskstream.train.options import TrainOptions
from maskstream.train.samples.coco import read_coco
from maskstream.train.yolact.dataset import TrainingSet, collate
from maskstream.train.yolact.recipe import YolactRecipe
from tests.helpers.engines.tiny import tiny_config
from tests.helpers.shapes import write_shapes

PLAIN = TrainOptions(iterations=9, batch=4, optimizer="adamw", learning_rate=1e-2)


@pytest.fixture
def batch(tmp_path):
    return _batch(tmp_path, tiny_config())


def _batch(folder, config):
    dataset = read_coco(write_shapes(folder, 4))
    return collate([TrainingSet(dataset.images, config, NO_AUGMENTATION, 0)[i] for i in range(4)])


def _stepper(options=PLAIN, seed=0):
    torch.manual_seed(seed)
    return _make(tiny_config(), options)


def _make(config, options):
    recipe = YolactRecipe(config, ("circle", "square", "star"), options)
    network = recipe.make_network()
    return network, Stepper(recipe, network, WeightAverage(network, 0.9), Group())


def _copy(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


@pytest.mark.parametrize(
    "precision", ["fp32", "bf16", pytest.param("fp16", marks=pytest.mark.slow)]
)
def test_losses_fall_in_each_precision(batch, precision):
    _, stepper = _stepper(replace(PLAIN, precision=precision))
    losses = [float(total_of(stepper.step(*batch, iteration))) for iteration in range(600, 612)]
    if precision == "fp16":  # its first steps overflow until the scale is found
        assert 0 < stepper.skipped < 12
        losses += [float(total_of(stepper.step(*batch, i))) for i in range(612, 624)]
    assert losses[-1] < 0.8 * losses[0]
    assert np.isfinite(losses).all()


def test_the_scale_of_fp16_is_kept_and_taken_up_again(batch):
    options = replace(PLAIN, precision="fp16")
    _, stepper = _stepper(options)
    stepper.step(*batch, 600)
    stepper._scaler.update(123.0)
    _, other = _stepper(options)
    other.restore(stepper.state())
    assert other._scaler.get_scale() == 123.0


def test_a_checkpoint_of_version_0_1_holds_the_optimiser_alone(batch):
    _, stepper = _stepper()
    stepper.step(*batch, 0)
    _, other = _stepper()
    other.restore({"optimizer": stepper.state()["optimizer"]})
    assert other.skipped == 0


def test_frozen_batch_norms_keep_statistics_and_weights(batch):
    network, stepper = _stepper(replace(PLAIN, freeze_bn=True))
    before = _copy(network)
    stepper.step(*batch, 600)
    norms = {
        f"{name}.{part}"
        for name, module in network.named_modules()
        if isinstance(module, nn.BatchNorm2d)
        for part in module.state_dict()
    }
    assert norms
    changed = {
        name for name, value in network.state_dict().items() if not value.equal(before[name])
    }
    assert not changed & norms
    assert "semantic_seg_conv.weight" in changed


def test_a_frozen_body_keeps_everything_it_holds(batch):
    network, stepper = _stepper(replace(PLAIN, freeze_body=True))
    before = _copy(network)
    stepper.step(*batch, 600)
    changed = {
        name for name, value in network.state_dict().items() if not value.equal(before[name])
    }
    assert changed
    assert not any(name.startswith("backbone.") for name in changed)


def test_a_step_that_is_not_finite_changes_nothing_and_is_counted(batch):
    network, stepper = _stepper()
    frames, targets = batch
    before = _copy(network)
    targets.locations[targets.labels > 0] = float("inf")
    losses = stepper.step(frames, targets, 600)
    assert not torch.isfinite(losses["box"])
    assert torch.isfinite(losses["classes"])
    assert stepper.skipped == 1
    for name, parameter in network.named_parameters():
        assert parameter.equal(before[name])


def test_too_many_of_them_in_a_row_end_the_run_with_a_diagnosis(batch):
    _, stepper = _stepper()
    frames, targets = batch
    bad = replace(targets, locations=torch.full_like(targets.locations, float("nan")))
    for iteration in range(MAX_BAD_STEPS):
        stepper.step(frames, bad, iteration)
    stepper.step(frames, targets, MAX_BAD_STEPS)  # a good one, so the count begins anew
    for iteration in range(MAX_BAD_STEPS):
        stepper.step(frames, bad, iteration)
    with pytest.raises(DivergedError) as caught:
        stepper.step(frames, bad, 77)
    text = str(caught.value)
    assert text.startswith("iteration 77: 21 steps in a row were not finite (the box loss 21 times")
    assert "the weights are finite; learning rate " in text
    assert "--clip-norm" in text


def test_the_diagnosis_names_a_weight_that_is_not_finite(batch):
    network, stepper = _stepper()
    with torch.no_grad():
        network.semantic_seg_conv.bias.fill_(float("nan"))
    for iteration in range(MAX_BAD_STEPS):
        stepper.step(*batch, iteration)
    with pytest.raises(DivergedError, match=r"semantic_seg_conv\.bias holds values"):
        stepper.step(*batch, MAX_BAD_STEPS)


def test_a_step_teaches_the_mask_scorer(tmp_path):
    torch.manual_seed(0)
    config = replace(tiny_config(), has_mask_scoring=True, input_size=256)
    network, stepper = _make(config, PLAIN)
    scorer = network.maskiou_net
    assert scorer is not None
    last: Any = scorer.maskiou_net[10]
    torch.nn.init.ones_(last.bias)  # off, so that there is something to learn
    before = {name: value.clone() for name, value in scorer.state_dict().items()}
    frames, targets = _batch(tmp_path, config)
    stepper.step(frames, targets, 600)
    for name, value in scorer.state_dict().items():
        assert not value.equal(before[name]), name


def test_losses_of_context_are_learned_from(batch):
    options = replace(PLAIN, contextual_weight=1.0, neighbor_weight=1.0)
    _, stepper = _stepper(options)
    losses = [float(stepper.step(*batch, iteration)["context"]) for iteration in range(600, 612)]
    assert losses[0] > 0
    assert losses[-1] < losses[0]
    _, without = _stepper()
    assert "context" not in without.step(*batch, 600)


def test_a_compiled_network_is_asked_to_be_compiled(monkeypatch):
    asked = []
    monkeypatch.setattr(Yolact, "compile", lambda self: asked.append(self))
    network, _ = _stepper(replace(PLAIN, is_compiled=True))
    assert asked == [network]
