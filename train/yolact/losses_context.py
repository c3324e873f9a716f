"""Two losses of context, as options beside YOLACT's own.

`contextual_loss` compares two feature maps without asking where in them a feature lies: what is
there has to be there, and nothing else. `neighbor_loss` asks the prototypes, taken as an embedding
of each cell, to agree between neighbours of one instance.

Source: Mechrez et al., "The Contextual Loss for Image Transformation with Non-Aligned Data", ECCV
2018, with a Gaussian of the clamped cosine distance as its kernel; the embedding is that of Wu et
al., "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", CVPR 2018: unit
vectors compared by their cosine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name that everybody reads
from torch.utils.checkpoint import checkpoint

BANDWIDTH = 0.2
"""Of the Gaussian, in cosine distance."""
BLOCK_ELEMENTS = 1 << 24
"""Entries of the distance matrix that exist at one time, over the whole batch.

Not fewer: blocks below 32 MiB come out of the C library's heap, and what each leaves behind keeps
the next from taking its place. With a quarter of this, maps of 138 x 138 took 6 GB.
"""
CONTEXT_SIDE_MAX = 32
"""Class maps are pooled to this side at most: time grows with its fourth power."""
_NORM_EPS = 1e-6


def class_context_loss(semantic: Tensor, truth: Tensor) -> Tensor:
    """Return the contextual loss between the class maps that are seen and those that are true.

    Args:
        semantic: (B, classes, H, W) logits.
        truth: (B, classes, H, W) of 0 and 1.

    Returns:
        (B,), one loss a picture.
    """
    height, width = semantic.shape[2:]
    side = (min(height, CONTEXT_SIDE_MAX), min(width, CONTEXT_SIDE_MAX))
    exact = torch.promote_types(semantic.dtype, torch.float32)  # whatever the network ran in
    seen, wanted = (
        F.adaptive_avg_pool2d(_with_background(maps), side)
        for maps in (semantic.to(exact).sigmoid(), truth.to(exact))
    )
    return contextual_loss(seen, wanted)


def contextual_loss(first: Tensor, second: Tensor, *, bandwidth: float = BANDWIDTH) -> Tensor:
    """Return how far a map is from holding the features of another, wherever they lie.

    Every cell of the first map shares itself out over the cells of the second, by the kernel; a
    cell of the second is matched as well as its largest share. The distance matrix is never held
    whole: blocks of its rows are computed, and computed again for the gradient.

    Args:
        first: (B, C, H, W), what is asked to change.
        second: (B, C, H', W'), what it is compared with.
        bandwidth: Of the Gaussian, in cosine distance.

    Returns:
        (B,), not negative: minus the log of the mean match; 0 if each cell has a counterpart that
        is like nothing else.
    """
    rows = _unit(first.flatten(2), dim=1).transpose(1, 2)  # (B, N, C)
    columns = _unit(second.flatten(2), dim=1)  # (B, C, N')
    batch, row_count, _ = rows.shape
    block = max(BLOCK_ELEMENTS // (batch * columns.shape[2]), 1)
    best: Tensor | None = None
    for start in range(0, row_count, block):
        part = rows[:, start : start + block]
        shares = checkpoint(_largest_log_share, part, columns, bandwidth, use_reentrant=False)
        best = shares if best is None else torch.maximum(best, shares)
    assert best is not None  # a map has at least one cell
    return math.log(best.shape[1]) - torch.logsumexp(best, dim=1)


def neighbor_loss(embeddings: Tensor, masks: Sequence[Tensor]) -> Tensor:
    """Return the mean cosine distance between neighbours that lie in one instance.

    Args:
        embeddings: (B, H, W, M), such as the prototypes.
        masks: B tensors (N, H, W), coverage of each cell by each instance, 0..255.

    Returns:
        (B,), one loss a picture, in [0, 2]; 0 for a picture without such neighbours.
    """
    unit = _unit(embeddings, dim=3)
    right = 1 - (unit[:, :, :-1] * unit[:, :, 1:]).sum(dim=3)  # (B, H, W - 1)
    below = 1 - (unit[:, :-1] * unit[:, 1:]).sum(dim=3)  # (B, H - 1, W)
    losses = []
    for index, coverage in enumerate(masks):
        inside = coverage > 127
        in_right = (inside[:, :, :-1] & inside[:, :, 1:]).any(dim=0)
        in_below = (inside[:, :-1] & inside[:, 1:]).any(dim=0)
        count = (in_right.sum() + in_below.sum()).clamp(min=1)
        total = (right[index] * in_right).sum() + (below[index] * in_below).sum()
        losses.append(total / count)
    return torch.stack(losses)


def _largest_log_share(rows: Tensor, columns: Tensor, bandwidth: float) -> Tensor:
    """Return (B, N'): of each column the log of the largest share that one of the rows gives it."""
    # A cosine distance lies between 0 and 2; above 1, features that point apart, all are alike.
    distance = (1 - rows @ columns).clamp(-1, 1)  # (B, n, N')
    log_kernel = -distance.square() / (2 * bandwidth**2)
    return torch.log_softmax(log_kernel, dim=2).amax(dim=1)


def _with_background(maps: Tensor) -> Tensor:
    """Return (B, 1 + classes, H, W): in front, how far no class is there."""
    return torch.cat([1 - maps.amax(dim=1, keepdim=True), maps], dim=1)


def _unit(vectors: Tensor, dim: int) -> Tensor:
    """Return vectors of length 1, or shorter where there is next to nothing to scale.

    Dividing by the bare length has a gradient without bound at 0, where ReLU often puts a cell.
    """
    return vectors * (vectors.square().sum(dim=dim, keepdim=True) + _NORM_EPS).rsqrt()
