"""Read weights in the form of the released YOLACT files: a bare dictionary of tensors.

Source: the released files' names and shapes. Old ones carry keys that no configuration uses.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from maskstream.engines.errors import WeightsError
from maskstream.engines.networks.yolact.config import CONFIGS, YolactConfig
from maskstream.engines.networks.yolact.network import Yolact

Shapes = Mapping[str, tuple[int, ...]]

_LEGACY = re.compile(r"backbone\.layer(?!s)|fpn\.downsample_layers\.([2-9]|\d\d)")
"""Copies that early versions stored beside the ones they used."""
_FILE_NAME = re.compile(r"(?P<config>.+?)(_\d+_\d+)?(_interrupt)?")
_COUNTER = ".num_batches_tracked"
_NAMED_MAX = 3


def config_of_file(path: Path) -> YolactConfig | None:
    """Return the configuration that a file's name stands for, None if it names none.

    Released files are called ``<configuration>_<epoch>_<iteration>.pth``, and end in ``_interrupt``
    where training was interrupted.
    """
    match = _FILE_NAME.fullmatch(path.stem)
    return None if match is None else CONFIGS.get(match["config"].replace("_", "-"))


def load_network(path: Path, config: YolactConfig) -> Yolact:
    """Return a network filled from a file whose names and shapes are exactly the network's.

    Raises:
        WeightsError: The file cannot be read, holds more than tensors, or does not fit.
    """
    state = read_state(path)
    network = Yolact(config)
    own = network.state_dict()
    difference = compare(_shapes(state), _shapes(own))
    if difference:
        raise WeightsError(f"{path}: does not fit {config.name}: {difference}; {_advice(state)}.")
    network.load_state_dict({key: state.get(key, value) for key, value in own.items()})
    return network


def read_state(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by name, without what old versions left over.

    Raises:
        WeightsError: The file cannot be read, or holds more than tensors.
    """
    state = read_tensors(path)
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        what = "a checkpoint of `maskstream train`" if _is_ours(state) else "no bare state_dict"
        how = "`maskstream export` its run's folder" if _is_ours(state) else "save the state_dict"
        raise WeightsError(f"{path}: holds {what}; {how} instead.")
    bare = {str(key).removeprefix("module."): value for key, value in state.items()}
    return {key: value for key, value in bare.items() if _LEGACY.match(key) is None}


def read_tensors(path: Path) -> Any:
    """Return what torch saved in a file, as long as that is nothing but tensors and plain values.

    Raises:
        WeightsError: The file cannot be read, or holds more.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old formats, and files that are refused anyway
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as exc:
        raise WeightsError(f"{path}: cannot be read ({exc.strerror}).") from exc
    except Exception as exc:  # torch raises many unrelated types for a file that is none of its own
        if "GLOBAL" in str(exc):
            raise WeightsError(
                f"{path}: holds Python objects, and loading those could run anything; a file of "
                "tensors alone is needed: torch.save(network.state_dict(), FILE)."
            ) from exc
        raise WeightsError(f"{path}: is no file of PyTorch weights; a .pth is needed.") from exc


def compare(found: Shapes, needed: Shapes) -> str:
    """Return in what two lists of names and shapes differ, in a phrase; empty if in nothing.

    How many batches a norm has seen may be missing: old versions of torch did not store it, and it
    is not used.
    """
    other = [
        f"{key} {found[key]} where {needed[key]} is needed"
        for key in needed
        if key in found and found[key] != needed[key]
    ]
    kinds = {
        "missing": [key for key in needed if key not in found and not key.endswith(_COUNTER)],
        "unknown": [key for key in found if key not in needed],
        "of another shape": other,
    }
    return ", ".join(
        f"{len(keys)} {kind} ({', '.join(keys[:_NAMED_MAX])}{', ...' * (len(keys) > _NAMED_MAX)})"
        for kind, keys in kinds.items()
        if keys
    )


def expected_shapes(config: YolactConfig) -> Shapes:
    """Return the names and shapes of a configuration's tensors; nothing is allocated."""
    with torch.device("meta"):
        return _shapes(Yolact(config).state_dict())


def _shapes(state: Mapping[str, Tensor]) -> Shapes:
    return {key: tuple(value.shape) for key, value in state.items()}


def _advice(state: dict[str, Tensor]) -> str:
    """Return which configurations would fit, as they are or with other classes."""
    found = _shapes(state)
    class_count = found.get("semantic_seg_conv.weight", (0,))[0]
    own_classes = CONFIGS.values() if class_count else ()
    others = [replace(config, class_count=class_count) for config in own_classes]
    for configs, condition in ((CONFIGS.values(), ""), (others, f" with {class_count} classes")):
        names = [config.name for config in configs if not compare(found, expected_shapes(config))]
        if names:
            return f"it fits --arch {' or '.join(names)}{condition}"
    return "it fits no configuration"


def _is_ours(state: object) -> bool:
    return isinstance(state, dict) and {"network", "average"} <= set(state)
