"""Begin with the weights of another run, whose classes may be others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from maskstream.engines.networks.yolact.backbones import load_nanodet_shufflenet
from maskstream.engines.networks.yolact.weights import read_state
from maskstream.train.errors import TrainError
from maskstream.train.loop.checkpoint import load_checkpoint, load_tensors
from maskstream.train.loop.from_engine import engine_state, is_engine

_ADDED_LATER = re.compile(r"backbone\.attention\.")
"""What begins as if it were not there, so a network without it can be taken further."""
_CLASS_SHAPED = re.compile(r"conf_layer\.|semantic_seg_conv\.|maskiou_net\.10\.")
_FOR_TRAINING = re.compile(r"semantic_seg_conv\.")
"""What engines do without."""


def load_weights(network: nn.Module, path: Path) -> list[str]:
    """Fill a network of YOLACT from a checkpoint of ours, an engine of ours, or a file of YOLACT.

    Args:
        network: Layers whose shape depends on the number of classes keep their values where that
            number differs, channel attention where the file has none, and what is for training
            alone where it is an engine; everything else must match.

    Returns:
        The names of the tensors that were left out.

    Raises:
        TrainError: The file is no checkpoint, or of another network.
        WeightsError: It is none of ours, and holds more than tensors.
    """
    if is_engine(path):
        given = engine_state(path, network)
        dropped = take_over(
            network, given, path, class_shaped=_CLASS_SHAPED, added_later=_FOR_TRAINING
        )
        return [*dropped, *(name for name in network.state_dict() if _FOR_TRAINING.match(name))]
    state = load_tensors(path)
    given = state["average"] if "average" in state else read_state(path)
    return take_over(network, given, path, class_shaped=_CLASS_SHAPED, added_later=_ADDED_LATER)


def given_tensors(network: nn.Module, path: Path) -> Mapping[str, Tensor]:
    """Return what a checkpoint of ours (its averaged weights) or an engine of ours has.

    Raises:
        TrainError: The file is neither.
    """
    if is_engine(path):
        return engine_state(path, network)
    average: dict[str, Tensor] = load_checkpoint(path)["average"]
    return average


def take_over(
    network: nn.Module,
    given: Mapping[str, Tensor],
    path: Path,
    *,
    class_shaped: re.Pattern[str],
    added_later: re.Pattern[str] | None = None,
) -> list[str]:
    """Fill a network with tensors.

    Args:
        path: Where they are from, for the error message.
        class_shaped: Names of the tensors that may have another shape, and then begin anew.
        added_later: Names of those that may be absent.

    Returns:
        The names of the tensors that were left out.

    Raises:
        TrainError: The others do not fit.
    """
    own = network.state_dict()
    dropped = [
        name
        for name, value in own.items()
        if name in given and given[name].shape != value.shape and class_shaped.search(name)
    ]
    wrong = [
        f"{name} is {_shape(given.get(name))} there and {_shape(own.get(name))} here"
        for name in sorted(own.keys() | given.keys())
        if name not in dropped
        and _shape(given.get(name)) != _shape(own.get(name))
        # Files older than this counter lack it; it only counts.
        and not name.endswith("num_batches_tracked")
        and not (name not in given and added_later and added_later.match(name))
    ]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise TrainError(
            f"{path}: does not fit this network: {', '.join(wrong[:3])}{more}; name its network "
            "with --network."
        )
    kept = {name: value for name, value in given.items() if name in own and name not in dropped}
    network.load_state_dict({**own, **kept})
    return dropped


def fill_shufflenet(backbone: nn.Module, path: Path) -> None:
    """Fill the body of a light network: NanoDet-m's, or that of a light YOLACT trained by us.

    Raises:
        TrainError: The file holds neither.
    """
    state = load_tensors(path)
    try:
        if "average" in state:
            start = "backbone."
            tensors: dict[str, Tensor] = state["average"]
            own = {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}
            backbone.load_state_dict(own)
        else:
            load_nanodet_shufflenet(backbone, state)
    except (RuntimeError, KeyError, AttributeError) as exc:
        reason = str(exc).splitlines()[0]
        raise TrainError(
            f"{path}: does not fit a shufflenet_v2_x1_0 ({reason}); a file of its tensors, without "
            "conv5 and fc, is needed, or a checkpoint of yolact-light."
        ) from exc


def _shape(value: Tensor | None) -> str:
    return "absent" if value is None else "x".join(map(str, value.shape)) or "a number"
