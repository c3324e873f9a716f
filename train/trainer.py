"""The training loop: steps, checkpoints, validation, log."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from engines.backends.torch_backend import TorchBackend
from engines.engine import Engine
from engines.manifest import Manifest
from engines.yolact.config import YolactConfig
from engines.yolact.detect import YolactDetector
from engines.yolact.network import Yolact
from train.augment import AugmentOptions
from train.checkpoint import load_checkpoint, save_checkpoint
from train.coco import CocoSet, LabelledImage
from train.dataset import ShuffledBatches, TrainingSet, collate
from train.ema import WeightAverage
from train.errors import DivergedError, TrainError
from train.evaluate import Metrics, evaluate
from train.losses import Losses, Targets, yolact_losses
from train.schedule import ConstantThenDecay, StepSchedule

MAX_BAD_STEPS = 20
"""Steps in a row without a finite loss or gradient after which a run has diverged."""
CHECKPOINT_NAME = "last.pt"
BEST_NAME = "best.pt"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """How to train.

    Attributes:
        iterations: Of the whole run, a resumed one included.
        learning_rate: The highest, for everything but the backbone.
        backbone_rate: The backbone's, as a factor of that.
        clip_norm: Largest norm of the gradient; 0 leaves it as it is.
        ema_decay: Of the averaged weights, which are the ones validated and exported.
        use_bf16: Run the network in bfloat16 where that is safe.
        max_masks: Positives of one image in the mask loss.
        workers: Processes that prepare batches.
        validate_every: Iterations between validations; 0 for only at the end.
        save_every_s: Seconds between checkpoints.
    """

    iterations: int
    batch: int = 8
    optimizer: Literal["sgd", "adamw"] = "sgd"
    schedule: Literal["step", "constant-decay"] = "step"
    learning_rate: float = 1e-3
    backbone_rate: float = 1.0
    weight_decay: float = 5e-4
    clip_norm: float = 0.0
    ema_decay: float = 0.999
    use_bf16: bool = False
    max_masks: int = 100
    seed: int = 0
    workers: int = 1
    device: str = "cpu"
    validate_every: int = 1000
    save_every_s: float = 120.0
    augment: AugmentOptions = field(default_factory=AugmentOptions)


@dataclass(frozen=True, slots=True)
class Progress:
    """One step, for whoever watches; the losses are weighted, as they are summed."""

    iteration: int
    iterations: int
    losses: dict[str, float]
    learning_rate: float
    elapsed_s: float
    metrics: Metrics | None = None


class Trainer:
    """One run of training, in one folder.

    Args:
        images: To learn from.
        validation: To score on; None to go without.
        folder: Gets ``last.pt``, ``best.pt`` and ``log.jsonl``; created.
        watch: Called after each step.
    """

    def __init__(
        self,
        config: YolactConfig,
        class_names: tuple[str, ...],
        images: list[LabelledImage],
        validation: CocoSet | None,
        folder: Path,
        options: TrainOptions,
        watch: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        if not images:
            raise TrainError("training set: it has no images; at least one is needed.")
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(options.seed)
        self.config, self.options, self.folder = config, options, folder
        self._class_names = class_names
        self._images, self._validation, self._watch = images, validation, watch
        self.network = Yolact(config).to(options.device).to(memory_format=torch.channels_last)
        self._optimizer = _make_optimizer(self.network, options)
        self._schedule = _make_schedule(options)
        self.average = WeightAverage(self.network, options.ema_decay)
        self.iteration = 0
        self._elapsed_s = 0.0
        self._bad_steps = 0
        self._best = -1.0

    def load_backbone(self, load: Callable[[Yolact], None]) -> None:
        """Give the backbone its initial values; for a run that has not begun."""
        load(self.network)
        self.average = WeightAverage(self.network, self.options.ema_decay)

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint: weights, average, optimiser, iteration and random state.

        Raises:
            TrainError: It is no checkpoint, or of another network.
        """
        state = load_checkpoint(path)
        if state["config"] != self.config.name:
            raise TrainError(f"{path}: is of {state['config']}; {self.config.name} was asked for.")
        self.network.load_state_dict(state["network"])
        self.average.network.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.iteration, self._best = int(state["iteration"]), float(state["best"])
        self._elapsed_s = float(state["elapsed_s"])
        torch.set_rng_state(state["random"])

    def run(self) -> Metrics | None:
        """Train to the last iteration; return its validation.

        Raises:
            DivergedError: The loss was not finite for too long; the last checkpoint is kept.
        """
        started_s, before_s = time.monotonic(), self._elapsed_s
        saved_s = started_s
        metrics: Metrics | None = None
        try:
            for frames, targets in self._batches():
                if self.iteration >= self.options.iterations:
                    break
                losses = self._step(frames, targets)
                self.iteration += 1
                self._elapsed_s = before_s + time.monotonic() - started_s
                metrics = self._validate() if self._is_validation_due() else None
                self._report(losses, metrics)
                if time.monotonic() - saved_s > self.options.save_every_s:
                    self.save(self.folder / CHECKPOINT_NAME)
                    saved_s = time.monotonic()
        finally:
            self.save(self.folder / CHECKPOINT_NAME)
        return metrics

    def save(self, path: Path) -> None:
        """Write everything that `resume` needs."""
        save_checkpoint(
            path,
            {
                "config": self.config.name,
                "class_names": list(self._class_names),
                "network": self.network.state_dict(),
                "average": self.average.network.state_dict(),
                "optimizer": self._optimizer.state_dict(),
                "iteration": self.iteration,
                "elapsed_s": self._elapsed_s,
                "best": self._best,
                "random": torch.get_rng_state(),
                "options": _plain(self.options),
            },
        )

    def engine(self) -> Engine:
        """Return an engine on the averaged weights as they are now."""
        manifest = Manifest(
            family="yolact",
            name=self.config.name,
            input_size=self.config.input_size,
            class_names=self._class_names,
            patch_px=self.config.prototype_size,
            metrics={},
            tools={},
        )
        detector = YolactDetector(self.average.network)
        return Engine(TorchBackend(detector, self.options.device), manifest)

    def _batches(self) -> Iterator[tuple[Tensor, Targets]]:
        options = self.options
        dataset = TrainingSet(self._images, self.config, options.augment, options.seed)
        order = ShuffledBatches(len(dataset), options.batch, options.seed, first=self.iteration)
        return iter(
            DataLoader(
                dataset,
                batch_sampler=order,
                collate_fn=collate,
                num_workers=options.workers,
                worker_init_fn=_calm_worker,
                multiprocessing_context="spawn" if options.workers else None,
                persistent_workers=bool(options.workers),
                # Its own, or the loader would draw from the generator that resume restores.
                generator=torch.Generator(),
            )
        )

    def _step(self, frames: Tensor, targets: Targets) -> Losses:
        self.network.train()
        factor = self._schedule.factor(self.iteration)
        for group in self._optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor
        device = self.options.device
        with torch.autocast(device.split(":")[0], torch.bfloat16, enabled=self.options.use_bf16):
            raw = self.network(frames.to(device))
        losses = yolact_losses(raw, _move(targets, device), max_masks=self.options.max_masks)
        self._optimizer.zero_grad()
        losses.total().backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(
            self.network.parameters(), self.options.clip_norm or float("inf")
        )
        if bool(torch.isfinite(losses.total() + norm)):
            self._optimizer.step()
            self.average.update(self.network, self.iteration)
            self._bad_steps = 0
        else:
            self._count_bad_step()
        return Losses(*(loss.detach() for loss in losses))

    def _count_bad_step(self) -> None:
        self._bad_steps += 1
        if self._bad_steps > MAX_BAD_STEPS:
            raise DivergedError(
                f"iteration {self.iteration}: {self._bad_steps} steps in a row without a finite "
                "loss; lower --learning-rate, or set --clip-norm."
            )

    def _is_validation_due(self) -> bool:
        if self._validation is None:
            return False
        every = self.options.validate_every
        is_last = self.iteration == self.options.iterations
        return is_last or (every > 0 and self.iteration % every == 0)

    def _validate(self) -> Metrics:
        assert self._validation is not None
        metrics = evaluate(self.engine(), self._validation)
        if metrics["segm"]["AP"] > self._best:
            self._best = metrics["segm"]["AP"]
            self.save(self.folder / BEST_NAME)
        return metrics

    def _report(self, losses: Losses, metrics: Metrics | None) -> None:
        progress = Progress(
            iteration=self.iteration,
            iterations=self.options.iterations,
            losses={name: float(value) for name, value in losses._asdict().items()},
            learning_rate=float(self._optimizer.param_groups[-1]["lr"]),
            elapsed_s=round(self._elapsed_s, 2),
            metrics=metrics,
        )
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(asdict(progress)) + "\n")
        self._watch(progress)


def _make_optimizer(network: Yolact, options: TrainOptions) -> torch.optim.Optimizer:
    body = list(network.backbone.parameters())
    in_body = {id(parameter) for parameter in body}
    rest = [p for p in network.parameters() if id(p) not in in_body]
    rates = (options.learning_rate * options.backbone_rate, options.learning_rate)
    groups: list[dict[str, Any]] = [
        {"params": parameters, "lr": rate, "initial_lr": rate}
        for parameters, rate in zip((body, rest), rates, strict=True)
    ]
    if options.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=0.9, weight_decay=options.weight_decay)
    return torch.optim.AdamW(groups, weight_decay=options.weight_decay)


def _make_schedule(options: TrainOptions) -> StepSchedule | ConstantThenDecay:
    if options.schedule == "step":
        return StepSchedule()
    return ConstantThenDecay(iterations=options.iterations)


def _move(targets: Targets, device: str) -> Targets:
    def moved(value: Tensor | list[Tensor]) -> Any:
        return [v.to(device) for v in value] if isinstance(value, list) else value.to(device)

    return Targets(*(moved(getattr(targets, name)) for name in Targets.__slots__))


def _calm_worker(_: int) -> None:
    """Keep a worker to one thread: the cores belong to the network."""
    import cv2

    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def _plain(options: TrainOptions) -> dict[str, Any]:
    """Return options as nested plain values, the only kind that a checkpoint may hold."""
    values: dict[str, Any] = json.loads(json.dumps(asdict(options)))
    return values
