"""FCN8s without the zeros around its crops: the same scores, and how far a crop reaches."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from maskstream.engines.networks.fcn.fixed_size import FixedSizeFcn8s, reaches
from maskstream.engines.networks.fcn.network import FIRST_PADDING, VGG_STAGES, Fcn8s
from tests.engines.networks.fcn.test_network import NARROW

DEPTHS = [depth for _, depth in VGG_STAGES[:4]]


def lively(side, **options):
    """Return a network whose every layer says something, with biases of either sign."""
    torch.manual_seed(side)
    network = Fcn8s(3, crop_px=side, stages=NARROW, fc_channels=8, **options)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return network.eval()


@pytest.mark.parametrize("side", [1, 2, 7, 32, 33, 66, 112])
def test_the_scores_are_those_of_the_network_with_all_its_zeros(side):
    network = lively(side, is_at_once=side == 32)
    crops = torch.randint(0, 256, (2, side, side, 3), dtype=torch.uint8)
    with torch.inference_mode():
        whole, ours = network(crops), FixedSizeFcn8s(network)(crops)
    assert float(whole.std()) > 1e-3
    torch.testing.assert_close(ours, whole, rtol=1e-4, atol=1e-4 * float(whole.abs().max()))


def test_the_reach_of_224_pixels_by_hand():
    # Cells of the first convolution look at three pixels: 98 to 323 see the crop's 100 to 323.
    # conv1_2: 97 to 324, by twos 96 to 325. pool1: 48 to 162; conv2_2: 46 to 164, by twos to 165.
    # pool2: 23 to 82; conv3_3: 20 to 85. pool3: 10 to 42; conv4_3: 7 to 45, by twos from 6.
    found = [(reach.pool_start, reach.pool_end) for reach in reaches(224, DEPTHS)]
    assert found == [(48, 163), (23, 83), (10, 43), (3, 23)]


def test_no_crop_reaches_the_cells_at_the_rim():
    """There each convolution's own padding makes features of nothing others than further in."""
    for side in range(1, 701):
        cells, rim = side + 2 * FIRST_PADDING - 2, 0
        for stage, (depth, reach) in enumerate(zip(DEPTHS, reaches(side, DEPTHS), strict=True)):
            rim += depth - (stage == 0)  # the first convolution's zeros are as the pixels there
            # What the stage computes, and the cells beside it that its convolutions look at.
            assert 2 * reach.pool_start - 1 >= rim - 1
            assert 2 * reach.pool_end <= cells - rim
            cells, rim = -(-cells // 2), -(-rim // 2)


def test_half_of_the_products_remain_at_224_pixels():
    with torch.device("meta"):
        network = Fcn8s(2).eval()
        crops = torch.zeros((1, 224, 224, 3), dtype=torch.uint8)
        counts = []
        for module in (network, FixedSizeFcn8s(network)):
            with FlopCounterMode(display=False) as counter, torch.inference_mode():
                module(crops)
            counts.append(counter.get_total_flops() / 2)
    # Each convolution's channels, and the side of what it gives: of all zeros, and of the reach.
    channels = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512]
    whole = [422, 422, 211, 211, 106, 106, 106, 53, 53, 53]
    reach = [228, 230, 118, 120, 62, 64, 66, 36, 38, 40]
    rest = 3 * 9 * 512**2 * 27**2 + 49 * 512 * 4096 * 8**2 + 4096**2 * 8**2
    for sides, count in zip((whole, reach), counts, strict=True):
        layers = zip(channels, channels[1:], sides, strict=False)
        products = rest + sum(9 * given * made * side**2 for given, made, side in layers)
        assert count == pytest.approx(products, rel=0.005)  # the scores are the little more
    assert counts[0] > 1.9 * counts[1]
