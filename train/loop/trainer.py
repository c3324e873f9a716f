"""The training loop: steps, checkpoints, validation, log."""

from __future__ import annotations

import atexit
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from maskstream.train.errors import TrainError
from maskstream.train.evaluation.coco_ap import Metrics
from maskstream.train.loop.checkpoint import (
    BEST_NAME,
    CHECKPOINT_NAME,
    CheckpointName,
    drop_older,
    keep_under,
    load_checkpoint,
    save_checkpoint,
)
from maskstream.train.loop.ema import WeightAverage
from maskstream.train.loop.group import Group
from maskstream.train.loop.log import Progress, RunLog
from maskstream.train.loop.recipe import Recipe
from maskstream.train.loop.step import Losses, Stepper
from maskstream.train.options import TrainOptions
from maskstream.train.samples.coco import CocoSet, LabelledImage
from maskstream.train.samples.dataset import ShuffledBatches
from maskstream.train.samples.targets import BatchTargets

T = TypeVar("T")


class Trainer:
    """One run of training, in one folder.

    Args:
        recipe: What is trained, and how.
        images: To learn from.
        validation: To score on; None to go without.
        folder: Gets ``last.pt``, ``best.pt`` and ``log.jsonl``; created.
        watch: Called after each step, in the first process.
        group: The processes that train together; this one alone if None.
    """

    def __init__(
        self,
        recipe: Recipe[Any, Any, Any],
        images: list[LabelledImage],
        validation: CocoSet | None,
        folder: Path,
        watch: Callable[[Progress], None] = lambda _: None,
        group: Group | None = None,
    ) -> None:
        if not images:
            raise TrainError("training set: it has no images; at least one is needed.")
        options = recipe.options
        self._dataset: Any = recipe.dataset(images)
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(options.seed)
        self.recipe, self.options, self.folder = recipe, options, folder
        self._group = Group(device=options.device) if group is None else group
        self._share = self._group.share(options.batch)
        self._validation, self._watch = validation, watch
        layout = torch.channels_last if options.channels_last else torch.contiguous_format
        self.network: nn.Module = recipe.make_network()
        self.network.to(self._group.device).to(memory_format=layout)
        self.average = WeightAverage(self.network, options.ema_decay)
        self._stepper = Stepper(recipe, self.network, self.average, self._group)
        self.iteration = 0
        self._elapsed_s = 0.0
        self._best = -1.0
        self._stale_count = 0

    def begin_with(self, load: Callable[[nn.Module], T]) -> T:
        """Give a network that has not begun initial values; returns what ``load`` does."""
        result = load(self.network)
        self.average.restart(self.network)
        return result

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint: weights, average, optimiser, iteration and random state.

        Raises:
            TrainError: It is no checkpoint, or of another network.
        """
        state = load_checkpoint(path)
        name = self.recipe.config.name
        if state["config"] != name:
            raise TrainError(f"{path}: is of {state['config']}; {name} was asked for.")
        self.network.load_state_dict(state["network"])
        self.average.network.load_state_dict(state["average"])
        self._stepper.restore(state)
        self.iteration = int(state["iteration"])
        if state.get("best_by", list(self.recipe.best_by)) == list(self.recipe.best_by):
            self._best = float(state["best"])
        self._stale_count = int(state.get("stale", 0))
        self._elapsed_s = float(state["elapsed_s"])
        torch.set_rng_state(state["random"])
        if state.get("random_device") is not None and self._group.device != "cpu":
            torch.cuda.set_rng_state(state["random_device"], self._group.device)

    def run(self) -> Metrics | None:
        """Train to the last iteration; return its validation.

        Raises:
            DivergedError: The loss was not finite for too long; the last checkpoint is kept.
            KeyboardInterrupt: Ctrl-C; the checkpoint is kept under its number as well.
        """
        log = RunLog(
            self.folder,
            writes_tensorboard=self.options.writes_tensorboard and self._group.is_first,
            iteration=self.iteration,
        )
        try:
            return self._run(log)
        except KeyboardInterrupt:
            if self._group.is_first:
                keep_under(self.folder / CHECKPOINT_NAME, self._name(is_interrupted=True))
            raise
        finally:
            log.close()

    def save(self, path: Path) -> None:
        """Write everything that `resume` needs; the first process alone does."""
        if not self._group.is_first:
            return
        save_checkpoint(
            path,
            {
                "config": self.recipe.config.name,
                "class_names": list(self.recipe.class_names),
                "network": self.network.state_dict(),
                "average": self.average.network.state_dict(),
                **self._stepper.state(),
                "iteration": self.iteration,
                "elapsed_s": self._elapsed_s,
                "best": self._best,
                "best_by": list(self.recipe.best_by),
                "stale": self._stale_count,
                "random": torch.get_rng_state(),
                "random_device": _device_random(self._group.device),
                "options": _plain(self.options),
            },
        )

    def _run(self, log: RunLog) -> Metrics | None:
        started_s, before_s = time.monotonic(), self._elapsed_s
        saved_s = started_s
        metrics: Metrics | None = None
        batches = self._batches()
        try:
            for frames, targets in batches:
                losses = self._stepper.step(frames, targets, self.iteration)
                self.iteration += 1
                self._elapsed_s = before_s + time.monotonic() - started_s
                metrics = self._validate() if self._is_validation_due() else None
                self._report(log, losses, metrics)
                if self._is_number_due():
                    self._save_numbered()
                elif time.monotonic() - saved_s > self.options.save_every_s:
                    self.save(self.folder / CHECKPOINT_NAME)
                    saved_s = time.monotonic()
                if metrics is not None and self._is_stale():
                    break
        finally:
            # The workers end now, not while the interpreter does: a traceback would hold them.
            del batches
            self.save(self.folder / CHECKPOINT_NAME)
        return metrics

    def _batches(self) -> Iterator[tuple[Tensor, BatchTargets]]:
        options = self.options
        order = ShuffledBatches(
            len(self._dataset),
            options.batch,
            options.seed,
            first=self.iteration,
            last=options.iterations,
            share=self._share,
        )
        return iter(
            DataLoader(
                self._dataset,
                batch_sampler=order,
                collate_fn=self.recipe.collate,
                num_workers=options.workers,
                worker_init_fn=_calm_worker,
                multiprocessing_context="spawn" if options.workers else None,
                # Its own, or the loader would draw from the generator that resume restores.
                generator=torch.Generator(),
            )
        )

    def _is_validation_due(self) -> bool:
        if self._validation is None:
            return False
        every = self.options.validate_every
        is_last = self.iteration == self.options.iterations
        return is_last or (every > 0 and self.iteration % every == 0)

    def _validate(self) -> Metrics | None:
        """Score the averaged weights in the first process; the others wait at `_is_stale`."""
        assert self._validation is not None
        if not self._group.is_first:
            return {}
        metrics = self.recipe.evaluate(self.average.network, self._validation)
        kind, name = self.recipe.best_by
        self._stale_count += 1
        if metrics[kind][name] > self._best:
            self._best, self._stale_count = metrics[kind][name], 0
            self.save(self.folder / BEST_NAME)
        return metrics

    def _is_stale(self) -> bool:
        return self._group.agree(0 < self.options.patience <= self._stale_count)

    def _is_number_due(self) -> bool:
        every = self.options.save_interval
        return self._group.is_first and every > 0 and self.iteration % every == 0

    def _save_numbered(self) -> None:
        self.save(self.folder / CHECKPOINT_NAME)
        newest = keep_under(self.folder / CHECKPOINT_NAME, self._name())
        if self.options.keep_latest:
            drop_older(newest, self.options.keep_latest_interval)

    def _name(self, *, is_interrupted: bool = False) -> CheckpointName:
        epoch = self.iteration * self.options.batch // len(self._dataset)
        return CheckpointName(self.recipe.config.name, epoch, self.iteration, is_interrupted)

    def _report(self, log: RunLog, losses: Losses, metrics: Metrics | None) -> None:
        if not self._group.is_first:
            return
        progress = Progress(
            iteration=self.iteration,
            iterations=self.options.iterations,
            losses={name: float(value) for name, value in losses.items()},
            learning_rate=self._stepper.learning_rate,
            elapsed_s=round(self._elapsed_s, 2),
            metrics=metrics,
            skipped=self._stepper.skipped,
        )
        log.write(progress)
        self._watch(progress)


def _calm_worker(_: int) -> None:
    """Keep a worker to one thread, as the cores belong to the network, and leave Ctrl-C to us."""
    import cv2

    # Its thread that sends batches must not see the interpreter go: it ends in C++, which aborts.
    atexit.register(os._exit, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def _device_random(device: str) -> Tensor | None:
    return None if device == "cpu" else torch.cuda.get_rng_state(device)


def _plain(options: TrainOptions) -> dict[str, Any]:
    """Return options as nested plain values, the only kind that a checkpoint may hold."""
    values: dict[str, Any] = json.loads(json.dumps(asdict(options)))
    return values
