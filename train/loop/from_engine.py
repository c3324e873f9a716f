"""Begin with the weights of an engine file, in which batch norms are part of the convolutions.

An exported graph keeps its tensors under the network's own names, but the exporter multiplies each
batch norm into the convolution before it. A network for training needs the norms again, so that its
layers get inputs of one size while they change. Two steps bring them back:

1. `engine_state`: the convolution takes the file's weights, and its norm adds the file's bias and
   does nothing else. What the network says is what the engine says.
2. `settle_norms`: the norms get the statistics that their inputs have over some pictures, and a
   weight and a bias that undo them. It still says the same, now in training too.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from maskstream.train.errors import TrainError

_NORM_INPUTS = ("weight", "bias", "running_mean", "running_var")
"""Of ONNX's BatchNormalization, after what is normalised."""
_PREFIXES = ("network.", "crops/network.", "model.")
"""What the exported module calls the network: YOLACT's and YOLO's, an FCN's, Mask R-CNN's."""


def is_engine(path: Path) -> bool:
    """Return whether a file is an engine by its name."""
    return path.suffix.lower() == ".onnx"


def engine_state(path: Path, network: nn.Module) -> dict[str, Tensor]:
    """Return an engine's tensors under a network's names.

    Args:
        network: Of the engine's kind; not changed. It may have other classes.

    Returns:
        What of the network's state the file has. Norms that are part of a convolution there add its
        bias and pass all else.

    Raises:
        TrainError: The file is no engine of such a network.
    """
    try:
        model = onnx.load(path)
    except Exception as exc:  # protobuf's own errors and onnx's have no common kind
        raise TrainError(f"{path}: cannot be read as ONNX ({exc}).") from exc
    held = _tensors(model.graph)
    own = network.state_dict()
    prefix = max(_PREFIXES, key=lambda start: sum(start + name in held for name in own))
    state = {name: held[prefix + name] for name in own if prefix + name in held}
    if not state:
        raise TrainError(
            f"{path}: has none of this network's tensors; an engine of `maskstream export` is "
            "needed, and its network: --network."
        )
    for convolution, norm in _pairs(network):
        bias = held.get(f"{prefix}{convolution}.bias")
        if bias is not None and f"{prefix}{norm}.running_var" not in held:
            # A convolution that has a bias of its own has taken it already.
            left = torch.zeros_like(bias) if f"{convolution}.bias" in own else bias
            state |= _passing(norm, left, network)
    return state


def settle_norms(network: nn.Module, detector: nn.Module, batches: Iterable[Tensor]) -> None:
    """Give each batch norm the statistics of its inputs, and let it say what it said.

    Args:
        network: Changed in place; left in evaluation.
        detector: Takes what ``batches`` hold and runs the network; on its device.
        batches: (B, S, S, 3) uint8 frames, or crops, as in training; at least one.
    """
    seen: dict[nn.BatchNorm2d, list[tuple[Tensor, Tensor]]] = {}

    def look(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        values = inputs[0].float()
        assert isinstance(norm, nn.BatchNorm2d)
        if not values.numel():  # regions, of which there may be none
            return
        moments = values.mean(dim=(0, 2, 3)), values.square().mean(dim=(0, 2, 3))
        seen.setdefault(norm, []).append(moments)

    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    hooks = [norm.register_forward_pre_hook(look) for norm in norms]
    network.eval()
    try:
        with torch.inference_mode():
            for batch in batches:
                detector(batch)
    finally:
        for hook in hooks:
            hook.remove()
    for norm, moments in seen.items():
        mean, square = (torch.stack(values).mean(dim=0) for values in zip(*moments, strict=True))
        _settle(norm, mean.clone(), (square - mean.square()).clamp(min=0).clone())


@torch.no_grad()
def _settle(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    """Change a norm's statistics, and its weight and bias so that its outputs stay."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    norm.bias.add_(scale * (mean - norm.running_mean))
    norm.weight.copy_(scale * torch.sqrt(variance + norm.eps))
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)


def _tensors(graph: onnx.GraphProto) -> dict[str, Tensor]:
    """Return a graph's tensors, those of convolutions and norms under their modules' names.

    The exporter keeps one of several equal tensors, leaves out a bias of zeros, and gives that of a
    convolution that has taken in a norm a name of its own. So which is whose is read off the nodes.
    """
    held = {
        tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy())
        for tensor in graph.initializer
    }
    named = dict(held)
    for node in graph.node:
        if node.op_type == "Conv" and node.input[1] in held:
            nothing = torch.zeros(len(held[node.input[1]]))
            given = held.get(node.input[2]) if len(node.input) > 2 else None
            bias = node.input[1].removesuffix("weight") + "bias"
            named[bias] = nothing if given is None else given
        if node.op_type == "BatchNormalization":
            norm = node.input[4].removesuffix("running_var")
            for name, source in zip(_NORM_INPUTS, node.input[1:], strict=True):
                named[norm + name] = held[source]
    return named


def _pairs(network: nn.Module) -> list[tuple[str, str]]:
    """Return the names of each convolution and the batch norm that comes right after it."""
    pairs = []
    for name, module in network.named_modules():
        if not isinstance(module, nn.Sequential):
            continue
        start = f"{name}." if name else ""
        parts = list(module.named_children())
        for (first, one), (second, other) in pairwise(parts):
            if isinstance(one, nn.Conv2d) and isinstance(other, nn.BatchNorm2d):
                pairs.append((start + first, start + second))
    return pairs


def _passing(norm: str, bias: Tensor, network: nn.Module) -> dict[str, Tensor]:
    """Return the state of a norm that adds a bias."""
    module = network.get_submodule(norm)
    assert isinstance(module, nn.BatchNorm2d)
    return {
        f"{norm}.weight": torch.ones_like(bias),
        f"{norm}.bias": bias,
        f"{norm}.running_mean": torch.zeros_like(bias),
        f"{norm}.running_var": torch.full_like(bias, 1 - module.eps),
        f"{norm}.num_batches_tracked": torch.zeros((), dtype=torch.long),
    }
