"""FCN8s: its sizes for every side, its kernels, its parameters, its normalisation."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812 - the name that everybody reads

from maskstream.engines.networks.fcn.network import NEW_LAYERS, Fcn8s, bilinear_kernel

NARROW = ((2, 2), (3, 2), (4, 3), (5, 3), (6, 3))


def narrow(class_count=2, **options):
    torch.manual_seed(0)
    network = Fcn8s(class_count, crop_px=32, stages=NARROW, fc_channels=8, **options)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return network.eval()


@pytest.mark.parametrize(
    ("side", "pools", "rest"),
    [
        (224, [211, 106, 53, 27, 14], [8, 18, 38, 312]),
        (500, [349, 175, 88, 44, 22], [16, 34, 70, 568]),
        (640, [419, 210, 105, 53, 27], [21, 44, 90, 728]),
    ],
)
def test_sides_of_the_maps_are_those_of_the_paper(side, pools, rest):
    with torch.device("meta"):
        network = Fcn8s(stages=NARROW, fc_channels=8)
    sides = []
    for name in ("fc6", "upscore2", "upscore_pool4", "upscore8"):
        layer = network.get_submodule(name)
        layer.register_forward_hook(lambda _module, _given, out: sides.append(out.shape[-1]))
    maps = network.pools(torch.zeros((1, 3, side, side), device="meta"), 5)
    assert [pool.shape[-1] for pool in maps] == pools
    assert network(torch.zeros((1, side, side, 3), device="meta")).shape == (1, 2, side, side)
    assert sides == rest


def test_every_side_from_1_to_700_comes_back_as_it_was():
    with torch.device("meta"):
        network = Fcn8s(stages=NARROW, fc_channels=8)
    for height in range(1, 351):
        width = 701 - height  # both sides go through the same arithmetic
        crops = torch.zeros((1, height, width, 3), device="meta")
        assert network(crops).shape == (1, 2, height, width)


def test_kernels_are_bilinear():
    np.testing.assert_allclose(bilinear_kernel(1, 4)[0, 0, 1] / 0.75, [0.25, 0.75, 0.75, 0.25])
    taps = bilinear_kernel(2, 16)[1, 1, 7] / 0.9375
    np.testing.assert_allclose(taps[:8], np.arange(0.0625, 1, 0.125))
    np.testing.assert_allclose(taps, taps.flip(0))
    assert float(bilinear_kernel(2, 16)[0, 1].abs().max()) == 0
    # Twice as large is what every library means by it, away from the edges.
    row = torch.rand(1, 1, 6, 6)
    ours = F.conv_transpose2d(row, bilinear_kernel(1, 4), stride=2)[..., 1:-1, 1:-1]
    theirs = F.interpolate(row, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(ours[..., 1:-1, 1:-1], theirs[..., 1:-1, 1:-1])


def test_parameters_are_counted_as_published():
    with torch.device("meta"):
        network = Fcn8s(21)
        assert sum(p.numel() for p in network.parameters()) == 134_489_759
        network.make_binary()
        parameters = dict(network.named_parameters())
    assert sum(p.numel() for p in parameters.values()) == 134_271_430
    trained = {name: p.numel() for name, p in parameters.items() if p.requires_grad}
    assert sum(trained.values()) == 10_886
    assert {name.partition(".")[0] for name in trained} == set(NEW_LAYERS)


def test_new_layers_begin_as_he_says():
    network = Fcn8s(21, stages=NARROW, fc_channels=4096)
    network.make_binary()
    assert float(network.score_fr.weight.detach().std()) == pytest.approx(
        (2 / 4096) ** 0.5, rel=0.05
    )
    assert network.score_fr.bias is not None
    assert not network.score_fr.bias.any()


def test_scores_begin_at_zero_and_deconvolutions_bilinear():
    network = Fcn8s(3, stages=NARROW, fc_channels=8)
    assert not network.score_fr.weight.any()
    torch.testing.assert_close(network.upscore8.weight.detach(), bilinear_kernel(3, 16))


def test_pictures_are_rgb_and_their_own_mean_is_nothing():
    """The recipe took RGB means off in training and off BGR in use; here there is one order."""
    seen = []
    network = narrow()
    network.conv1_1.register_forward_pre_hook(lambda _module, given: seen.append(given[0]))
    network(torch.tensor([123, 117, 104], dtype=torch.uint8).expand(1, 4, 4, 3))
    np.testing.assert_allclose(
        seen[0][0, :, 0, 0], [104 - 104.00698793, 117 - 116.66876762, 123 - 122.67891434], rtol=1e-4
    )


def test_skips_are_scaled_where_all_is_trained_at_once():
    staged, at_once = narrow(), narrow(is_at_once=True)
    with torch.no_grad():
        for name, factor in (("score_pool4", 100.0), ("score_pool3", 10_000.0)):
            at_once.get_submodule(name).weight.copy_(staged.get_submodule(name).weight * factor)
    crops = torch.randint(0, 256, (1, 32, 32, 3), dtype=torch.uint8)
    with torch.inference_mode():
        torch.testing.assert_close(staged(crops), at_once(crops), rtol=1e-4, atol=1e-4)
