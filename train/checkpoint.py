"""Save and load the whole state of a training run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from train.errors import TrainError


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` so that ``path`` is always a whole checkpoint, the old or the new one."""
    partial = path.with_suffix(path.suffix + ".partial")
    with partial.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of ours; it holds tensors and plain values, never code.

    Raises:
        TrainError: The file is missing or no checkpoint.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as exc:  # torch raises many unrelated types for a file that is none of its own
        raise TrainError(f"{path}: cannot be read as a checkpoint ({exc}).") from exc
    if not isinstance(state, dict) or "network" not in state:
        raise TrainError(f"{path}: holds no network; a checkpoint of `maskstream train` is needed.")
    return state
