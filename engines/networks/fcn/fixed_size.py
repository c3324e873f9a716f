"""FCN8s for crops of one size, which computes nothing that only the zeros around them decide.

The first convolution puts 100 rows and columns of zeros on each side of a crop: one of 224 pixels
becomes 424 x 424, and most of what follows looks at zeros alone. Down to the fourth pool every cell
there holds the same number in each channel, whatever the crop shows, but for a few at the outer
rim, where each convolution pads once more. So features are kept as their difference from that
number: beyond the crop's reach they are zero, which the convolutions' own padding stands for, and
each stage is computed on no more cells than the crop can have changed. The third and the fourth
pool's maps are then laid into those of a crop of nothing, which are constants.

The scores are `Fcn8s`'s but for rounding; a test compares them. At 224 pixels 32 of 62 thousand
million products remain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that everybody reads

from maskstream.engines.networks.fcn.network import FIRST_PADDING, Fcn8s

_SKIPS = (3, 4)
"""The stages whose pools are needed whole: they give the skips, and the fifth stage its input."""


class Reach(NamedTuple):
    """What a crop can have changed in a stage, along one side.

    Attributes:
        before: Cells by which it begins before the stage's input.
        after: Cells by which it ends behind it.
        pool_start: The first cell of the pool's full map.
        pool_end: The cell behind the last.
    """

    before: int
    after: int
    pool_start: int
    pool_end: int


def reaches(side_px: int, depths: Sequence[int]) -> list[Reach]:
    """Return the reach of a crop in each stage.

    Each convolution carries it a cell further on both sides, and a pool takes cells by twos, of
    which the first is even.

    Args:
        side_px: Of the crop.
        depths: Convolutions of each stage; a pool stands behind each.
    """
    # The first convolution has no padding but the zeros, so its cells lie a pixel further left.
    start = FIRST_PADDING - 1
    end = start + side_px
    found = []
    for depth in depths:
        pool_start, pool_end = (start - depth) // 2, (end + depth + 1) // 2
        found.append(Reach(start - 2 * pool_start, 2 * pool_end - end, pool_start, pool_end))
        start, end = pool_start, pool_end
    return found


class FixedSizeFcn8s(nn.Module):
    """An FCN8s for crops of its ``crop_px`` alone, and not for training.

    Args:
        network: Gives its weights, which must not change afterwards.
    """

    def __init__(self, network: Fcn8s) -> None:
        super().__init__()
        self.network = network.eval()
        depths = [depth for _, depth in network.stages[: _SKIPS[-1]]]
        self._depths = depths
        self._reaches = reaches(network.crop_px, depths)
        with torch.no_grad():
            self._keep_biases()
            self._keep_rims()

    def forward(self, crops: Tensor) -> Tensor:
        """Return what `Fcn8s.forward` does."""
        x = self.network.normalized(crops)
        pools = []
        for stage in range(1, len(self._depths) + 1):
            x = self._stage(x, stage)
            pools.append(x)
        pool3, pool4 = (self._laid_in(pools[stage - 1], stage) for stage in _SKIPS)
        return self.network.scores(pool3, pool4, crops.shape[1], crops.shape[2])

    def _stage(self, x: Tensor, stage: int) -> Tensor:
        depth, reach = self._depths[stage - 1], self._reaches[stage - 1]
        # Each convolution after the first pads by two, and so gives a cell more on each side.
        before, after = reach.before - (depth - 1), reach.after - (depth - 1)
        x = F.pad(x, (before, after, before, after))
        for layer in range(1, depth + 1):
            name = f"conv{stage}_{layer}"
            bias = self._buffer(f"{name}_bias")
            padding = 1 if layer == 1 else 2
            y = F.conv2d(x, self._conv(name).weight, bias, padding=padding)
            x = F.relu(y) - F.relu(bias)[:, None, None]
        return F.max_pool2d(x, 2, 2)

    def _laid_in(self, x: Tensor, stage: int) -> Tensor:
        """Return a pool's full map."""
        rim, reach = self._buffer(f"rim{stage}"), self._reaches[stage - 1]
        after = rim.shape[-1] - reach.pool_end
        return rim + F.pad(x, (reach.pool_start, after, reach.pool_start, after))

    def _keep_biases(self) -> None:
        """Keep what each layer gives, before its ReLU, where there is nothing."""
        level = torch.zeros(3)
        for stage, depth in enumerate(self._depths, 1):
            for layer in range(1, depth + 1):
                conv = self._conv(f"conv{stage}_{layer}")
                bias = conv.weight.sum(dim=(2, 3)) @ level + cast(Tensor, conv.bias)
                self.register_buffer(f"conv{stage}_{layer}_bias", bias, False)
                level = F.relu(bias)

    def _keep_rims(self) -> None:
        """Keep the pools' maps of a crop of nothing: what the crop's differences are added to."""
        side = self.network.crop_px
        maps = self.network.pools(torch.zeros((1, 3, side, side)), len(self._depths))
        for stage in _SKIPS:
            self.register_buffer(f"rim{stage}", maps[stage - 1], False)

    def _conv(self, name: str) -> nn.Conv2d:
        return cast(nn.Conv2d, self.network.get_submodule(name))

    def _buffer(self, name: str) -> Tensor:
        return self.get_buffer(name)
