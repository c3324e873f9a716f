"""One step of training: forward, losses, backward, weights, average."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from maskstream.train.errors import DivergedError
from maskstream.train.loop.ema import WeightAverage
from maskstream.train.loop.group import Group
from maskstream.train.loop.recipe import Forward, Recipe
from maskstream.train.options import TrainOptions, make_schedule
from maskstream.train.samples.targets import BatchTargets
from maskstream.train.schedule import RateSchedule

Losses = dict[str, Tensor]
"""Each loss with its weight applied; their sum is what is minimised."""

MAX_BAD_STEPS = 20
"""Steps in a row without a finite loss or gradient after which a run has diverged."""


class Stepper:
    """What changes the weights, and everything of it that a checkpoint has to hold.

    Args:
        recipe: How; with the options of the run.
        network: Changed in place; on the group's device.
        average: Follows the network.
        group: The processes that share each batch.
        schedule: Of the rates; that of the options if None.
    """

    def __init__(
        self,
        recipe: Recipe[Any, Any, Any],
        network: nn.Module,
        average: WeightAverage[Any],
        group: Group,
        schedule: RateSchedule | None = None,
    ) -> None:
        options = recipe.options
        self._recipe, self._network, self._average = recipe, network, average
        self._options, self._group = options, group
        self._schedule = make_schedule(options) if schedule is None else schedule
        self._body = tuple(recipe.body(network))
        self._optimizer = _make_optimizer(network, self._body, options)
        self._kind = group.device.split(":")[0]
        # Numbers of 16 bits end at 6e-8: without a factor, small gradients would be zero.
        self._scaler = torch.amp.GradScaler(self._kind, enabled=options.precision == "fp16")
        self._set_training()
        self._wrapped = _wrap(network, options, group)
        self._bad_in_a_row = 0
        self._causes: Counter[str] = Counter()
        self.skipped = 0

    @property
    def learning_rate(self) -> float:
        """Of the last step, outside the backbone."""
        return float(self._optimizer.param_groups[-1]["lr"])

    def state(self) -> dict[str, Any]:
        """Return what `restore` takes."""
        return {
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "skipped": self.skipped,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint's state; those of version 0.1 hold the optimiser alone."""
        self._optimizer.load_state_dict(state["optimizer"])
        if state.get("scaler"):
            self._scaler.load_state_dict(state["scaler"])
        self.skipped = int(state.get("skipped", 0))

    def step(self, frames: Tensor, targets: BatchTargets, iteration: int) -> Losses:
        """Learn from a batch; a step whose loss or gradient is not finite changes nothing.

        Args:
            frames: (B, S, S, 3) uint8 RGB, this process's share of the batch.
            targets: Of these frames.
            iteration: 0-based; decides the learning rate.

        Returns:
            The losses of the whole batch.

        Raises:
            DivergedError: `MAX_BAD_STEPS` and more in a row changed nothing.
        """
        self._set_training()
        factor = self._schedule.factor(iteration)
        for group in self._optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor
        self._optimizer.zero_grad()
        losses = self._backward(frames, targets, iteration)
        self._scaler.unscale_(self._optimizer)
        norm = torch.nn.utils.clip_grad_norm_(
            self._network.parameters(), self._options.clip_norm or float("inf")
        )
        if bool(torch.isfinite(total_of(losses) + norm)):
            self._scaler.step(self._optimizer)
            self._average.update(self._network, iteration)
            self._bad_in_a_row = 0
            self._causes.clear()
        else:
            self._count_bad_step(losses, norm, iteration)
        self._scaler.update()
        return losses

    def _backward(self, frames: Tensor, targets: BatchTargets, iteration: int) -> Losses:
        """Add up the gradient part by part, as if the whole batch had been one."""
        device, count = self._group.device, self._options.accumulate
        # Losses are means over the positives and pictures of all parts in all processes.
        totals = self._group.sum(
            torch.tensor(self._recipe.counts(frames, targets), device=device)
        ).tolist()
        each = len(frames) // count
        sums: Losses = {}
        for index in range(count):
            rows = slice(index * each, (index + 1) * each)
            is_last = index == count - 1
            with contextlib.nullcontext() if is_last else self._unsynchronised():
                losses = self._recipe.losses(
                    self._network,
                    self._forward,
                    frames[rows].to(device),
                    targets.part(rows).to(device),
                    totals,
                    iteration,
                )
                total = self._scaler.scale(self._whole(total_of(losses)))
                total.backward()  # type: ignore[no-untyped-call]
            for name, loss in losses.items():
                sums[name] = loss.detach() + sums.get(name, 0.0)
        summed = self._group.sum(torch.stack(list(sums.values())))
        return dict(zip(sums, summed.unbind(), strict=True))

    def _forward(self, *inputs: Any) -> Any:
        """Run the network as it is to be trained: in its precision, and together."""
        with torch.autocast(self._kind, **_autocast(self._options)):
            return self._wrapped(*inputs)

    def _set_training(self) -> None:
        """Put everything that learns into training, and nothing that is frozen."""
        self._network.train()
        if self._options.freeze_body:
            for part in self._body:
                part.eval().requires_grad_(False)
        if self._options.freeze_bn:
            for module in self._network.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval().requires_grad_(False)

    def _whole(self, loss: Tensor) -> Tensor:
        """Return the loss to go backward from."""
        if self._group.size == 1:
            return loss
        # Every process has to give a gradient for every weight, whatever is in its pictures, and
        # the gradients are averaged where our losses are shares of a sum.
        touched = sum(p.sum() for p in self._network.parameters() if p.requires_grad)
        return loss * self._group.size + 0.0 * touched

    def _unsynchronised(self) -> contextlib.AbstractContextManager[None]:
        if isinstance(self._wrapped, DistributedDataParallel):
            return self._wrapped.no_sync()
        return contextlib.nullcontext()

    def _count_bad_step(self, losses: Losses, norm: Tensor, iteration: int) -> None:
        self.skipped += 1
        self._bad_in_a_row += 1
        bad = [
            f"the {name} loss" for name, loss in losses.items() if not bool(torch.isfinite(loss))
        ]
        self._causes.update(bad or ["the gradient"])
        if self._bad_in_a_row > MAX_BAD_STEPS:
            causes = ", ".join(f"{cause} {count} times" for cause, count in self._causes.items())
            where = _first_bad_weight(self._network)
            raise DivergedError(
                f"iteration {iteration}: {self._bad_in_a_row} steps in a row were not finite "
                f"({causes}; {where}; learning rate {self.learning_rate:.2g}, "
                f"{self._options.precision}); lower --learning-rate, set --clip-norm, or use "
                "--precision fp32."
            )


def total_of(losses: Losses) -> Tensor:
    """Return the sum of losses."""
    return torch.stack(list(losses.values())).sum()


def _wrap(network: nn.Module, options: TrainOptions, group: Group) -> Forward:
    wrapped = network
    if group.size > 1:
        ids = None if group.device == "cpu" else [torch.device(group.device).index]
        if ids and not options.freeze_bn:
            # On CPUs there is no such norm: there each process has the statistics of its share.
            nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        wrapped = DistributedDataParallel(network, device_ids=ids)
    if options.is_compiled:
        wrapped.compile()
    return wrapped


def _autocast(options: TrainOptions) -> dict[str, Any]:
    dtypes = {"bf16": torch.bfloat16, "fp16": torch.float16}
    dtype = dtypes.get(options.precision)
    return {"enabled": False} if dtype is None else {"dtype": dtype}


def _make_optimizer(
    network: nn.Module, parts: Iterable[nn.Module], options: TrainOptions
) -> torch.optim.Optimizer:
    body = [parameter for part in parts for parameter in part.parameters()]
    in_body = {id(parameter) for parameter in body}
    rest = [p for p in network.parameters() if id(p) not in in_body]
    rates = (options.learning_rate * options.backbone_rate, options.learning_rate)
    groups: list[dict[str, Any]] = [
        {"params": parameters, "lr": rate, "initial_lr": rate}
        for parameters, rate in zip((body, rest), rates, strict=True)
    ]
    if options.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=options.momentum, weight_decay=options.weight_decay)
    return torch.optim.AdamW(groups, weight_decay=options.weight_decay)


def _first_bad_weight(network: nn.Module) -> str:
    for name, value in network.state_dict().items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            return f"{name} holds values that are not finite"
    return "the weights are finite"
