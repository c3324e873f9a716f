"""The losses of context: by hand, by their gradients, and within their memory."""

import math

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from maskstream.train.yolact import losses_context as module
from maskstream.train.yolact.losses_context import (
    class_context_loss,
    contextual_loss,
    neighbor_loss,
)


def _maps(*cells):
    """One picture of one row: a feature vector a cell."""
    return torch.tensor(cells, dtype=torch.float64).T[None, :, None, :]  # (1, C, 1, N)


X, Y = (1.0, 0.0), (0.0, 1.0)


def test_maps_with_the_same_features_elsewhere_are_alike():
    # Distance 0 to the counterpart, 1 to the other: shares 1 / (1 + q), with q the kernel at 1.
    q = math.exp(-1 / (2 * 0.2**2))
    for second in (_maps(X, Y), _maps(Y, X)):
        loss = contextual_loss(_maps(X, Y), second)
        assert loss.item() == pytest.approx(math.log(1 + q), abs=1e-5)


def test_a_feature_without_a_counterpart_costs():
    # Both cells share themselves out over X and Y as X does: X's best share is 1 / (1 + q), Y's is
    # q / (1 + q), their mean is a half.
    assert contextual_loss(_maps(X, X), _maps(X, Y)).item() == pytest.approx(math.log(2), abs=1e-5)


def test_the_kernel_is_a_gaussian_of_the_clamped_cosine_distance():
    # One cell against two, at 60 degrees and at 180: distances 0.5, and 2 that counts as 1.
    first, second = _maps(X), _maps((0.5, math.sqrt(0.75)), (-1.0, 0.0))
    a, b = math.exp(-(0.5**2) / 0.5), math.exp(-(1.0**2) / 0.5)  # bandwidth 0.5
    shares = (a / (a + b), b / (a + b))
    loss = contextual_loss(first, second, bandwidth=0.5)
    assert loss.item() == pytest.approx(-math.log(sum(shares) / 2), abs=1e-5)


def test_it_equals_the_whole_matrix_in_numpy(monkeypatch):
    monkeypatch.setattr(module, "BLOCK_ELEMENTS", 7 * 30 * 2)  # blocks of 7 of 20 rows
    random = np.random.default_rng(0)
    first, second = random.normal(size=(2, 5, 4, 5)), random.normal(size=(2, 5, 6, 5))
    a, b = (
        m.reshape(2, 5, -1) / np.linalg.norm(m.reshape(2, 5, -1), axis=1, keepdims=True)
        for m in (first, second)
    )
    distance = np.clip(1 - np.einsum("bci,bcj->bij", a, b), -1, 1)
    kernel = np.exp(-(distance**2) / (2 * 0.2**2))
    shares = kernel / kernel.sum(axis=2, keepdims=True)
    expected = -np.log(shares.max(axis=1).mean(axis=1))
    found = contextual_loss(torch.from_numpy(first), torch.from_numpy(second))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_gradients_of_the_contextual_loss_are_right(monkeypatch):
    monkeypatch.setattr(module, "BLOCK_ELEMENTS", 2 * 6 * 2)  # several blocks
    torch.manual_seed(0)
    maps = [torch.randn(2, 4, 2, 3, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    assert torch.autograd.gradcheck(lambda a, b: contextual_loss(a, b, bandwidth=0.5), maps)


def test_gradients_of_the_class_context_are_right():
    torch.manual_seed(0)
    semantic = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    truth = (torch.rand(2, 2, 3, 3) > 0.5).double()
    assert torch.autograd.gradcheck(lambda s: class_context_loss(s, truth), [semantic])


def test_gradients_of_the_neighbor_loss_are_right():
    torch.manual_seed(0)
    embeddings = torch.randn(2, 4, 5, 3, dtype=torch.float64, requires_grad=True)
    masks = [(torch.rand(2, 4, 5) > 0.3).byte() * 255, torch.zeros(0, 4, 5, dtype=torch.uint8)]
    assert torch.autograd.gradcheck(lambda e: neighbor_loss(e, masks), [embeddings])


class LargestTensor(TorchDispatchMode):
    """Remembers the largest tensor that any operation made."""

    def __init__(self):
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for value in out if isinstance(out, tuple | list) else (out,):
            if isinstance(value, torch.Tensor):
                self.elements = max(self.elements, value.numel())
        return out


def test_the_distance_matrix_of_large_maps_is_never_whole():
    # Shapes alone: on the meta device nothing is computed, forward or backward.
    side = 138
    maps = [torch.empty(1, 32, side, side, device="meta", requires_grad=True) for _ in range(2)]
    with LargestTensor() as largest:
        contextual_loss(*maps).sum().backward()
    assert maps[0].grad is not None
    assert largest.elements <= module.BLOCK_ELEMENTS
    assert largest.elements < (side**2) ** 2 / 20


def test_right_class_maps_cost_less_than_wrong_ones():
    truth = torch.zeros(1, 2, 8, 8)
    truth[0, 0, :, :4] = 1
    right = (truth - 0.5) * 12
    wrong = right.flip(1)  # the other class is seen in its place
    nothing = torch.full_like(right, -6.0)
    costs = [class_context_loss(maps, truth).item() for maps in (right, nothing, wrong)]
    assert costs[0] < costs[1]
    assert costs[0] < costs[2]


def test_large_class_maps_are_pooled(monkeypatch):
    monkeypatch.setattr(module, "contextual_loss", lambda a, b: (a.shape, b.shape))
    shapes = class_context_loss(torch.zeros(1, 3, 69, 69), torch.zeros(1, 3, 69, 69))
    assert shapes == ((1, 4, 32, 32), (1, 4, 32, 32))


def test_neighbors_of_one_instance_are_compared_and_no_others():
    # A row of four cells, X X Y Y; one instance covers the first three: pairs X X and X Y.
    embeddings = torch.tensor([X, X, Y, Y], dtype=torch.float64)[None, None]
    masks = [torch.tensor([[[255, 255, 255, 0]]], dtype=torch.uint8)]
    assert neighbor_loss(embeddings, masks).item() == pytest.approx(0.5, abs=1e-5)
    # Two instances that meet where X and Y meet: nothing to bring together.
    apart = [torch.tensor([[[255, 255, 0, 0]], [[0, 0, 255, 255]]], dtype=torch.uint8)]
    assert neighbor_loss(embeddings, apart).item() == pytest.approx(0, abs=1e-5)


def test_a_pair_in_two_instances_counts_once_and_columns_count_too():
    # Two rows, X X over Y X: right pairs 0 and 1, pairs below 1 and 0; all inside two instances.
    embeddings = torch.tensor([[X, X], [Y, X]], dtype=torch.float64)[None]
    masks = [torch.full((2, 2, 2), 255, dtype=torch.uint8)]
    assert neighbor_loss(embeddings, masks).item() == pytest.approx(2 / 4, abs=1e-5)


def test_a_picture_without_instances_and_cells_of_nothing_cost_and_pull_nothing():
    embeddings = torch.zeros(2, 3, 3, 4, requires_grad=True)
    masks = [torch.zeros(0, 3, 3, dtype=torch.uint8), torch.full((1, 3, 3), 255).byte()]
    losses = neighbor_loss(embeddings, masks)
    losses.sum().backward()
    assert losses[0] == 0
    assert embeddings.grad is not None
    assert bool(torch.isfinite(embeddings.grad).all())
