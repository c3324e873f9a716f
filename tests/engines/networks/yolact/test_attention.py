"""Channel attention: shapes, what it does at first, and what its formula says."""

from typing import Any

import numpy as np
import pytest
import torch

from maskstream.engines.networks.yolact.attention import ChannelAttention
from maskstream.engines.networks.yolact.backbones import make_backbone
from maskstream.engines.networks.yolact.config import get_config


def test_attention_changes_nothing_at_first():
    x = torch.randn(2, 32, 5, 7)
    assert torch.equal(ChannelAttention(32)(x), x)


def test_attention_learns_from_the_first_step_on():
    block: Any = ChannelAttention(512)  # 32 hidden cells: they are not all dead by chance
    block(torch.randn(2, 512, 5, 7)).square().sum().backward()
    for branch in (block.average, block.maximum):
        assert branch[2].weight.grad.abs().max() > 0


def test_attention_is_the_sum_of_both_poolings_through_their_own_layers():
    torch.manual_seed(0)
    block: Any = ChannelAttention(32)
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(1, 32, 4, 4)
    values = x[0].numpy().reshape(32, 16)
    evidence = np.zeros(32)
    for branch, pooled in ((block.average, values.mean(1)), (block.maximum, values.max(1))):
        first, second = branch[0], branch[2]
        assert tuple(first.weight.shape) == (2, 32)  # 32 channels, reduction 16
        hidden = np.maximum(first.weight.detach().numpy() @ pooled + first.bias.detach().numpy(), 0)
        evidence += second.weight.detach().numpy() @ hidden + second.bias.detach().numpy()
    expected = values * (2 / (1 + np.exp(-evidence)))[:, None]
    np.testing.assert_allclose(block(x).detach().numpy().reshape(32, 16), expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("with_attention", "without"),
    [
        ("yolact-se-resnet50", "yolact-resnet50"),
        ("yolact-se-light", "yolact-light"),
    ],
)
def test_a_pretrained_backbone_says_what_it_said_when_attention_is_added(with_attention, without):
    plain = make_backbone(get_config(without)).eval()
    attending = make_backbone(get_config(with_attention)).eval()
    missing, unexpected = attending.load_state_dict(plain.state_dict(), strict=False)
    assert unexpected == []
    # Four tiers, two branches each, two layers each, weight and bias.
    assert len(missing) == 4 * 2 * 2 * 2
    assert all(key.startswith("attention.") for key in missing)
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        for ours, theirs in zip(attending(images), plain(images), strict=True):
            assert torch.equal(ours, theirs)


def test_later_stages_see_the_weighted_maps():
    backbone: Any = make_backbone(get_config("yolact-se-resnet50")).eval()
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        before = backbone(images)
        backbone.attention[0].average[2].bias.fill_(-100.0)  # silences the first stage
        after = backbone(images)
    assert after[0].abs().max() == 0
    assert not torch.equal(after[1], before[1])
