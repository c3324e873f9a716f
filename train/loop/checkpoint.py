"""Save and load the whole state of a training run, and the names of what is kept."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from maskstream.train.errors import TrainError

CHECKPOINT_NAME = "last.pt"
BEST_NAME = "best.pt"

_NUMBERED = re.compile(r"(?P<config>.+)_(?P<epoch>\d+)_(?P<iteration>\d+)(?P<end>_interrupt)?\.pth")


@dataclass(frozen=True, slots=True)
class CheckpointName:
    """A name in YOLACT's form, ``CONFIG_EPOCH_ITERATION.pth``."""

    config: str
    epoch: int
    iteration: int
    is_interrupted: bool = False

    def __str__(self) -> str:
        end = "_interrupt" if self.is_interrupted else ""
        return f"{self.config}_{self.epoch}_{self.iteration}{end}.pth"


def parse_name(path: Path) -> CheckpointName | None:
    """Return what a file's name says; None where it is not in YOLACT's form."""
    found = _NUMBERED.fullmatch(path.name)
    if found is None:
        return None
    return CheckpointName(
        found["config"], int(found["epoch"]), int(found["iteration"]), found["end"] is not None
    )


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` so that ``path`` is always a whole checkpoint, the old or the new one."""
    partial = path.with_suffix(path.suffix + ".partial")
    with partial.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def keep_under(path: Path, name: CheckpointName) -> Path:
    """Keep a checkpoint under a name of its own, beside it; returns where.

    The two are one file until the next checkpoint takes ``path``'s place.
    """
    kept = path.with_name(str(name))
    kept.unlink(missing_ok=True)
    try:
        kept.hardlink_to(path)
    except OSError:  # a file system without links
        shutil.copyfile(path, kept)
    return kept


def drop_older(newest: Path, keep_interval: int) -> None:
    """Remove the numbered checkpoints before ``newest``, but those of every ``keep_interval``."""
    name = parse_name(newest)
    for path in newest.parent.glob("*.pth"):
        other = parse_name(path)
        if name is None or other is None or other.is_interrupted or other.config != name.config:
            continue
        if other.iteration < name.iteration and other.iteration % keep_interval:
            path.unlink()


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of ours; it holds tensors and plain values, never code.

    Raises:
        TrainError: The file is missing or no checkpoint.
    """
    state = load_tensors(path)
    if "network" not in state:
        raise TrainError(f"{path}: holds no network; a checkpoint of `maskstream train` is needed.")
    return state


def load_tensors(path: Path) -> dict[str, Any]:
    """Read a file of tensors and plain values.

    Raises:
        TrainError: The file is missing or holds something else.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as exc:  # torch raises many unrelated types for a file that is none of its own
        reason = (str(exc) or type(exc).__name__).splitlines()[0]
        raise TrainError(f"{path}: cannot be read as a checkpoint ({reason}).") from exc
    if not isinstance(state, dict):
        raise TrainError(f"{path}: holds no table of tensors; a checkpoint is needed.")
    return state
