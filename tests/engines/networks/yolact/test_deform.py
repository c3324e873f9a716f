"""Deformable convolution: torchvision's operator, and its equal made of standard ones."""

import pytest
import torch
from torch.nn import functional as F  # noqa: N812 - the name that everybody reads
from torchvision.ops import deform_conv2d

from maskstream.engines.networks.yolact.backbones import make_backbone
from maskstream.engines.networks.yolact.config import get_config
from maskstream.engines.networks.yolact.deform import DeformableConv, sampled_conv


def _inputs(height, width, stride, spread):
    random = torch.Generator().manual_seed(height * 100 + width)
    rows, columns = (height + stride - 1) // stride, (width + stride - 1) // stride
    return (
        torch.randn(2, 6, height, width, generator=random, dtype=torch.float64),
        spread * torch.randn(2, 18, rows, columns, generator=random, dtype=torch.float64),
        torch.rand(2, 9, rows, columns, generator=random, dtype=torch.float64),
        torch.randn(4, 6, 3, 3, generator=random, dtype=torch.float64),
        torch.randn(4, generator=random, dtype=torch.float64),
    )


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    ("height", "width"), [(8, 8), (7, 11), (5, 1), (1, 1)], ids=["even", "odd", "line", "point"]
)
@pytest.mark.parametrize("spread", [0.3, 20.0], ids=["inside", "outside"])
def test_sampled_convolution_equals_torchvision(height, width, stride, spread):
    x, offsets, taps, weight, bias = _inputs(height, width, stride, spread)
    ours = sampled_conv(x, offsets, taps, weight, bias, stride)
    theirs = deform_conv2d(x, offsets, weight, bias, stride, padding=1, mask=taps)
    torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_new_layer_is_half_an_ordinary_convolution(stride):
    # Offsets are 0 and each tap's weight is sigmoid(0).
    layer = DeformableConv(6, stride)
    x = torch.randn(1, 6, 9, 9)
    expected = F.conv2d(x, layer.weight, layer.bias, stride, padding=1) / 2
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        (
            "yolact-plus-resnet50",
            [f"{s}.{b}" for s, n in ((1, 4), (2, 6), (3, 3)) for b in range(n)],
        ),
        (
            "yolact-plus-base",
            ["1.0", "1.3", *(f"2.{b}" for b in range(0, 22, 3)), "3.0"],
        ),
    ],
)
def test_deformable_blocks_are_the_released_models(name, blocks):
    with torch.device("meta"):
        backbone = make_backbone(get_config(name))
    found = [n for n, module in backbone.named_modules() if isinstance(module, DeformableConv)]
    assert found == [f"layers.{block}.conv2" for block in blocks]
    assert len(found) == {"yolact-plus-resnet50": 13, "yolact-plus-base": 11}[name]
