"""A moving average of a network's weights, which scores better than the last step's."""

from __future__ import annotations

import copy

import torch

from engines.yolact.network import Yolact


class WeightAverage:
    """An exponential moving average of parameters and buffers.

    Args:
        network: Copied.
        decay: Weight of the past at each step; shorter at the start, when the past is poor.
    """

    def __init__(self, network: Yolact, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, network: Yolact, iteration: int) -> None:
        """Take in the weights after 0-based ``iteration``."""
        decay = min(self._decay, (1 + iteration) / (10 + iteration))
        ours, theirs = self.network.state_dict(), network.state_dict()
        floating = [key for key in ours if ours[key].is_floating_point()]
        torch._foreach_lerp_(
            [ours[key] for key in floating], [theirs[key] for key in floating], 1 - decay
        )
        for key in ours.keys() - set(floating):
            ours[key].copy_(theirs[key])
