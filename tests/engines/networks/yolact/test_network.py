"""YOLACT networks against published sizes."""

import pytest
import torch

from maskstream.engines.networks.yolact.config import CONFIGS, get_config
from maskstream.engines.networks.yolact.deform import DeformableConv
from maskstream.engines.networks.yolact.network import Yolact
from maskstream.engines.networks.yolact.priors import make_priors
from tests.helpers.engines.tiny import tiny_config

PARAMETER_COUNTS = {
    "yolact-resnet50": 31_164_943,
    "yolact-base": 50_157_071,
    "yolact-darknet53": 47_783_087,
    "yolact-resnet50-pascal": 30_734_623,
    "yolact-plus-resnet50": 33_766_460,
    "yolact-plus-base": 52_571_142,
}
GIGA_MULTIPLY_ADDS = {"yolact-resnet50": 59.1, "yolact-base": 82.3}
"""At 550 pixels."""


@pytest.mark.parametrize("name", PARAMETER_COUNTS)
def test_parameter_count_is_the_published_one(name):
    with torch.device("meta"):
        network = Yolact(get_config(name))
    assert sum(p.numel() for p in network.parameters()) == PARAMETER_COUNTS[name]


def multiply_adds(name):
    """Those of a network's convolutions on one frame; on the meta device nothing is computed."""
    config = get_config(name)
    count = 0

    def add(module, _, output):
        nonlocal count
        count += output.numel() * module.weight[0].numel()

    with torch.device("meta"):
        network = Yolact(config).eval()
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d | DeformableConv):
                module.register_forward_hook(add)
        network(torch.zeros((1, config.input_size, config.input_size, 3), dtype=torch.uint8))
    return count


@pytest.mark.parametrize("name", GIGA_MULTIPLY_ADDS)
def test_work_is_the_published_one(name):
    assert multiply_adds(name) / 1e9 == pytest.approx(GIGA_MULTIPLY_ADDS[name], abs=0.05)


@pytest.mark.parametrize("name", ["yolact-light", "yolact-se-light"])
def test_light_network_stays_below_three_gigaflops(name):
    assert 2 * multiply_adds(name) <= 3e9


@pytest.mark.parametrize("name", CONFIGS)
def test_outputs_fit_the_priors_and_prototypes(name):
    config = get_config(name)
    with torch.device("meta"):
        network = Yolact(config).eval()
        raw = network(torch.zeros((2, config.input_size, config.input_size, 3), dtype=torch.uint8))
    count = len(make_priors(config))
    assert raw.locations.shape == (2, count, 4)
    assert raw.logits.shape == (2, count, 1 + config.class_count)
    assert raw.coefficients.shape == (2, count, 32)
    assert raw.prototypes.shape == (2, config.prototype_size, config.prototype_size, 32)
    assert raw.semantic is None


def test_semantic_map_exists_in_training_only():
    network = Yolact(tiny_config())
    frames = torch.zeros((2, 64, 64, 3), dtype=torch.uint8)
    assert network.train()(frames).semantic.shape == (2, 3, 8, 8)
    assert network.eval()(frames).semantic is None


def test_unknown_configuration_is_an_error_that_lists_the_known():
    with pytest.raises(ValueError, match="yolact-im400"):
        get_config("yolact")
    assert all(config.name == name for name, config in CONFIGS.items())
