"""A moving average of a network's weights, which scores better than the last step's."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

NetworkT = TypeVar("NetworkT", bound=nn.Module)


class WeightAverage(Generic[NetworkT]):
    """An exponential moving average of parameters and buffers.

    Args:
        network: Copied.
        decay: Weight of the past at each step; shorter at the start, when the past is poor.
    """

    def __init__(self, network: NetworkT, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._decay = decay

    def restart(self, network: NetworkT) -> None:
        """Take over the weights of a network that has not been trained here."""
        self.network.load_state_dict(network.state_dict())

    @torch.no_grad()
    def update(self, network: NetworkT, iteration: int) -> None:
        """Take in the weights after 0-based ``iteration``."""
        decay = min(self._decay, (1 + iteration) / (10 + iteration))
        ours, theirs = self.network.state_dict(), network.state_dict()
        floating = [key for key in ours if ours[key].is_floating_point()]
        torch._foreach_lerp_(
            [ours[key] for key in floating], [theirs[key] for key in floating], 1 - decay
        )
        for key in ours.keys() - set(floating):
            ours[key].copy_(theirs[key])
