"""PyTorch: compiled networks, and devices that are not here."""

import shutil
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from maskstream.engines.errors import UnavailableError
from maskstream.engines.runtimes.torch_backend import TorchBackend, torch_device


class Sums(NamedTuple):
    sums: Tensor


class Adder(nn.Module):
    """Adds each frame's values up."""

    def forward(self, frames: Tensor) -> Sums:
        return Sums(frames.float().sum(dim=(1, 2, 3)))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_a_compiled_network_gives_what_the_eager_one_gives_in_batches_of_any_size():
    eager, compiled = TorchBackend(Adder(), 8), TorchBackend(Adder(), 8, is_compiled=True)
    for count in (4, 1, 3):
        frames = np.random.default_rng(count).integers(0, 256, (count, 8, 8, 3), np.uint8)
        expected = frames.reshape(count, -1).sum(axis=1)
        for backend in (eager, compiled):
            np.testing.assert_array_equal(backend.infer(frames)["sums"], expected)
    assert (eager.name, compiled.name) == ("torch", "torch:compile")


@pytest.mark.parametrize(("name", "text"), [("cuda:99", "CUDA"), ("gpu", "knows no device")])
def test_a_device_that_is_not_here_is_unavailable(name, text):
    with pytest.raises(UnavailableError, match=text):
        TorchBackend(Adder(), 8, name)


def test_the_first_gpu_is_what_cuda_means(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert str(torch_device("cuda")) == "cuda:0"
    assert str(torch_device("cuda:1")) == "cuda:1"
    with pytest.raises(UnavailableError, match="the last is 1"):
        torch_device("cuda:2")
