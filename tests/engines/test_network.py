"""YOLACT networks against published sizes."""

import pytest
import torch

from engines.yolact.config import CONFIGS, get_config
from engines.yolact.network import Yolact
from engines.yolact.priors import make_priors
from tests.engines.tiny import tiny_config

PARAMETER_COUNTS = {
    "yolact-resnet50": 31_164_943,
    "yolact-base": 50_157_071,
    "yolact-darknet53": 47_783_087,
    "yolact-resnet50-pascal": 30_734_623,
}


@pytest.mark.parametrize("name", PARAMETER_COUNTS)
def test_parameter_count_is_the_published_one(name):
    with torch.device("meta"):
        network = Yolact(get_config(name))
    assert sum(p.numel() for p in network.parameters()) == PARAMETER_COUNTS[name]


@pytest.mark.parametrize(
    ("key", "shape"),
    [
        ("backbone.conv1.weight", (64, 3, 7, 7)),
        ("backbone.layers.1.0.downsample.0.weight", (512, 256, 1, 1)),
        ("fpn.lat_layers.0.weight", (256, 2048, 1, 1)),
        ("fpn.downsample_layers.1.bias", (256,)),
        ("proto_net.8.weight", (256, 256, 3, 3)),
        ("proto_net.10.weight", (32, 256, 1, 1)),
        ("prediction_layers.0.upfeature.0.weight", (256, 256, 3, 3)),
        ("prediction_layers.0.conf_layer.weight", (243, 256, 3, 3)),
        ("semantic_seg_conv.weight", (80, 256, 1, 1)),
    ],
)
def test_parameters_have_the_names_of_the_released_weights(key, shape):
    with torch.device("meta"):
        state = Yolact(get_config("yolact-resnet50")).state_dict()
    assert tuple(state[key].shape) == shape


def test_light_network_stays_below_three_gigaflops():
    network = Yolact(get_config("yolact-light")).eval()
    multiply_adds = 0

    def count(module, _, output):
        nonlocal multiply_adds
        multiply_adds += output.numel() * module.weight[0].numel()

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(count)
    with torch.inference_mode():
        network(torch.zeros((1, 416, 416, 3), dtype=torch.uint8))
    assert 2 * multiply_adds <= 3e9


@pytest.mark.parametrize("name", ["yolact-light", "yolact-resnet50"])
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
