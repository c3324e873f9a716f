"""The mini bodies have the plan that they are named for."""

import pytest
import torch

from maskstream.engines.networks.mask_rcnn.bodies import make_mini_body

# Weights of three convolutions (1 x 1, 3 x 3, 1 x 1) and of three norms, two for each channel.
STAGE_COUNTS = {
    "layer1": 64 * 64 + 64 * 64 * 9 + 64 * 256 + 2 * (64 + 64 + 256),
    "layer2": 256 * 128 + 128 * 128 * 9 + 128 * 512 + 2 * (128 + 128 + 512),
    "layer3": 512 * 256 + 256 * 256 * 9 + 256 * 1024 + 2 * (256 + 256 + 1024),
    "layer4": 1024 * 512 + 512 * 512 * 9 + 512 * 2048 + 2 * (512 + 512 + 2048),
}


def parameter_count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("has_strides", [False, True])
def test_parameter_counts(has_strides):
    body = make_mini_body(has_strides=has_strides)
    counts = {name: parameter_count(getattr(body, name)) for name in STAGE_COUNTS}
    assert counts == STAGE_COUNTS
    assert list(counts.values()) == [58_112, 247_296, 986_112, 3_938_304]
    stem = 7 * 7 * 3 * 64 + 2 * 64
    assert parameter_count(body) == stem + sum(STAGE_COUNTS.values()) == 5_239_360


@pytest.mark.parametrize(
    ("has_strides", "sides"),
    [
        pytest.param(False, (16, 16, 16, 16), id="as-published"),
        pytest.param(True, (16, 8, 4, 2), id="true-scales"),
    ],
)
def test_sides_of_the_maps(has_strides, sides):
    x = torch.zeros(1, 3, 64, 64)
    seen = []
    for name, stage in make_mini_body(has_strides=has_strides).eval().named_children():
        x = stage(x)
        if name.startswith("layer"):
            seen.append(tuple(x.shape[1:]))
    assert seen == [(c, s, s) for c, s in zip((256, 512, 1024, 2048), sides, strict=True)]


def test_the_three_convolutions_of_a_stage_have_one_activation():
    kinds = [
        type(part).__name__
        for part in dict(make_mini_body(has_strides=False).named_children())["layer1"].children()
    ]
    assert kinds == ["Conv2d", "BatchNorm2d"] * 3 + ["ReLU"]
