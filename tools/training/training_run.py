"""One run of training, from annotation files to a folder that `maskstream export` reads."""

import os
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from maskstream.errors import ConfigError
from maskstream.stream.processes.machine import available_cores
from maskstream.tools.training.training_sets import TrainingSets, read_sets
from maskstream.tools.training.training_start import (
    BY_LOSS,
    Request,
    begin,
    card_of,
    initial_values,
)
from maskstream.tools.training.training_view import data_lines, open_training_view
from maskstream.train.loop.checkpoint import BEST_NAME, CHECKPOINT_NAME
from maskstream.train.loop.group import Group, join_group, leave_group
from maskstream.train.loop.log import LOG_NAME, Progress, read_log
from maskstream.train.loop.recipe import Recipe
from maskstream.train.loop.recipes import get_recipe
from maskstream.train.loop.trainer import Trainer
from maskstream.train.options import TrainOptions
from maskstream.train.runs.trained_run import recipe_of

if TYPE_CHECKING:
    from maskstream.train.loop.learning_rate import RateSearch

PLOT_NAME, RATES_PLOT_NAME = "curves.png", "rates.png"


def run_training(request: Request, options: TrainOptions) -> None:
    """Train until the last iteration; Ctrl-C keeps a checkpoint to go on from.

    Raises:
        TrainError: The data cannot be used, or the loss diverged.
        ConfigError: The network, its initial values or the folder's card cannot be used.
    """
    group = join_group(options.device)
    torch.set_num_threads(max(1, available_cores() // _processes_here()))
    try:
        sets = read_sets(
            request.files, get_recipe(request.family), request.images, request.partial_sources
        )
        options = _by_epochs(options, request.epochs, len(sets.images))
        if request.finds_rate:
            _find_rate(request, options, sets, group)
            return
        _train(request, options, sets, group)
    finally:
        leave_group(group)
    if group.is_first:
        pictures = sorted(path.name for path in request.folder.glob("*.png"))
        for name in (BEST_NAME, CHECKPOINT_NAME, *pictures):
            if (request.folder / name).is_file():
                print(request.folder / name)


def _train(request: Request, options: TrainOptions, sets: TrainingSets, group: Group) -> None:
    card = card_of(request, sets)
    recipe = recipe_of(card, request.folder, options)
    _measure_by(recipe, request, sets)
    if group.is_first:
        for line in data_lines([*sets.training, *([sets.validation] if sets.validation else [])]):
            print(line, file=sys.stderr)
    view = open_training_view(options.iterations)
    trainer = Trainer(recipe, sets.images, sets.validation, request.folder, view.show, group)
    begin(trainer, request, sets.images, is_told=group.is_first)
    if group.is_first:
        card.write(request.folder)
    try:
        trainer.run()
    finally:
        view.close()
        if group.is_first:
            _close(trainer, options.iterations, sets)


def _by_epochs(options: TrainOptions, epochs: int | None, image_count: int) -> TrainOptions:
    """Return options whose iterations are so many epochs, each with a validation."""
    if epochs is None:
        return options
    each = max(1, round(image_count / options.batch))
    return replace(options, iterations=epochs * each, validate_every=each)


def _measure_by(recipe: Recipe[Any, Any, Any], request: Request, sets: TrainingSets) -> None:
    """Tell a recipe what else to measure, and what makes a checkpoint the best.

    Raises:
        ConfigError: The family measures no losses.
    """
    if sets.test is None and request.best_by == "ap":
        return
    if not recipe.measures_losses:
        raise ConfigError(f"--test, --best-by: {recipe.family} measures no losses; mask-rcnn does.")
    recipe.test = sets.test
    if request.best_by == "loss":
        recipe.best_by = BY_LOSS


def _find_rate(request: Request, options: TrainOptions, sets: TrainingSets, group: Group) -> None:
    """Print the learning rate that a search suggests, and draw the search into the folder."""
    from maskstream.train.loop.learning_rate import STEPS, find_learning_rate, plot_rates

    recipe = recipe_of(card_of(request, sets), request.folder, options)
    torch.manual_seed(options.seed)
    network = recipe.make_network()
    fill = initial_values(recipe, sets.images, request.weights, request.backbone)
    if fill is not None:
        fill(network.to(group.device))
    view, begun_s = open_training_view(STEPS), time.monotonic()

    def show(step: int, rate: float, loss: float) -> None:
        elapsed_s = time.monotonic() - begun_s
        view.show(Progress(step, STEPS, {"total": loss}, rate, elapsed_s))

    watch = show if group.is_first else lambda *_: None
    try:
        search = find_learning_rate(
            recipe, network.to(group.device), sets.images, group=group, watch=watch
        )
    finally:
        view.close()
    if group.is_first:
        path = request.folder / RATES_PLOT_NAME
        path.parent.mkdir(parents=True, exist_ok=True)
        plot_rates(search, path)
        print(_told(search), file=sys.stderr)
        print(f"--learning-rate {search.suggestion:g}")
        print(path)


def _told(search: "RateSearch") -> str:
    """Return in words what a search found."""
    text = f"the loss was least at a rate of {search.best:.2g}; a tenth of that is a safe start"
    if search.has_turned:
        return text
    return f"{text}, though the loss had not risen again when the search ended: look at the picture"


def _close(trainer: Trainer, iterations: int, sets: TrainingSets) -> None:
    """Draw the curves, and say how to go on where that makes sense."""
    folder = trainer.folder
    if (folder / LOG_NAME).is_file():
        from maskstream.train.loop.plot import plot_run  # matplotlib takes a second to load

        plot_run(read_log(folder / LOG_NAME), folder / PLOT_NAME)
    if trainer.iteration < iterations:
        print(f"stopped after {trainer.iteration} iterations; go on with --resume", file=sys.stderr)
    elif sets.validation is not None:
        trainer.recipe.draw(trainer.average.network, sets.validation, folder)


def _processes_here() -> int:
    """Return how many processes of the run are on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
