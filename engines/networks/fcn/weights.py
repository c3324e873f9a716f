"""Read FCN8s weights: those converted from Caffe, the recipe's for two classes, checkpoints.

Source: the names and shapes of the published files. The staged network and the one that is trained
at once have the same, so the file's name, or whoever asks, says which it is.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import Tensor

from maskstream.engines.errors import WeightsError
from maskstream.engines.networks.fcn.network import Fcn8s
from maskstream.engines.networks.yolact.weights import compare, read_tensors

PASCAL_CLASS_COUNT = 21
"""Pascal's 20, and the background."""
_AT_ONCE = re.compile(r"at[-_ ]?once", re.IGNORECASE)
_STATE_KEY = "model_state_dict"
"""Where the published trainer's checkpoints keep their tensors."""


def load_fcn8s(path: Path, *, is_at_once: bool | None = None) -> Fcn8s:
    """Return a network filled from a file, for as many classes as the file has.

    Args:
        is_at_once: As `Fcn8s` takes it; None for what the file's name says.

    Raises:
        WeightsError: The file cannot be read, holds more than tensors, or does not fit.
    """
    state = _read_state(path)
    score = state.get("score_fr.bias")
    class_count = PASCAL_CLASS_COUNT if score is None else len(score)
    if is_at_once is None:
        is_at_once = _AT_ONCE.search(path.stem) is not None
    with torch.device("meta"):
        shapes = Fcn8s(class_count).state_dict()
    difference = compare(
        {key: tuple(value.shape) for key, value in state.items()},
        {key: tuple(value.shape) for key, value in shapes.items()},
    )
    if difference:
        raise WeightsError(
            f"{path}: does not fit FCN8s: {difference}; a file with its names and shapes is needed."
        )
    network = Fcn8s(class_count, is_at_once=is_at_once)
    network.load_state_dict(state)
    return network


def _read_state(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a bare dictionary, or of the published trainer's checkpoint."""
    found = read_tensors(path)
    state = found.get(_STATE_KEY, found) if isinstance(found, dict) else found
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise WeightsError(f"{path}: holds no state_dict; the network's own is needed.")
    return {str(key).removeprefix("module."): value for key, value in state.items()}
