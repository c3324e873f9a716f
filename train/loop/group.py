"""The processes that train one network together, started by torchrun; mostly just one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed

from maskstream.train.errors import TrainError

VALIDATION_MAX = timedelta(hours=6)
"""How long the others wait for the first process, which alone validates."""


@dataclass(frozen=True, slots=True)
class Group:
    """One process's place among them.

    Attributes:
        rank: From 0; the first one validates, saves, logs and talks.
        size: Processes, on all machines.
        device: That this one computes on.
    """

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @property
    def is_first(self) -> bool:
        """Whether this process speaks for all."""
        return self.rank == 0

    def share(self, batch: int) -> slice:
        """Return this process's part of a batch.

        Raises:
            TrainError: It cannot be shared equally.
        """
        if batch % self.size:
            raise TrainError(
                f"--batch: {batch} cannot be shared by {self.size} processes; a multiple of "
                f"{self.size} is needed."
            )
        each = batch // self.size
        return slice(self.rank * each, (self.rank + 1) * each)

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum of all processes' values; blocks until all have given theirs."""
        if self.size > 1:
            values = values.clone()
            distributed.all_reduce(values)
        return values

    def agree(self, is_so: bool) -> bool:
        """Return what the first process says; blocks until it has."""
        if self.size == 1:
            return is_so
        said = torch.tensor(int(is_so), device=self.device)
        distributed.broadcast(said, src=0)
        return bool(said)


def join_group(device: str) -> Group:
    """Join the processes that torchrun started; alone where it did not start this one.

    Args:
        device: "cpu", "cuda" for the process's own card, or "cuda:N" for a process that is alone.

    Raises:
        TrainError: Several processes were given one card.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return Group(device="cuda:0" if device == "cuda" else device)
    if ":" in device:
        raise TrainError(
            f"--device: {device} was given to {size} processes; --device cuda gives each its own."
        )
    if device == "cuda":
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    backend = "gloo" if device == "cpu" else "nccl"
    distributed.init_process_group(backend, timeout=VALIDATION_MAX)
    return Group(distributed.get_rank(), size, device)


def leave_group(group: Group) -> None:
    """Give back what joining took."""
    if group.size > 1:
        distributed.destroy_process_group()
