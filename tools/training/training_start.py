"""What a training begins with: what was asked for, its card, and the network's first values."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from torch import nn

from maskstream.engines.errors import EngineFileError
from maskstream.engines.files.zoo import resolve_engine
from maskstream.errors import ConfigError
from maskstream.tools.training.training_data import TrainingFiles
from maskstream.tools.training.training_sets import TrainingSets, listed
from maskstream.train.loop.checkpoint import CHECKPOINT_NAME, load_checkpoint, parse_name
from maskstream.train.loop.from_engine import is_engine, settle_norms
from maskstream.train.loop.group import Group
from maskstream.train.loop.recipe import Recipe, first_batches
from maskstream.train.loop.recipes import get_recipe
from maskstream.train.loop.trainer import Trainer
from maskstream.train.runs.run_card import (
    RUN_CARD_NAME,
    RunCard,
    read_run_card,
    training_versions,
)
from maskstream.train.samples.coco import LabelledImage

BY_LOSS = ("loss", "score")
"""Kind and name of the figure that has `--best-by loss` its way."""
FROM_NAME = -1
"""As a start: the iteration that the name of the weights' file says."""
SETTLING_PICTURES = 128
"""Pictures, or crops, over which statistics are taken where an engine is begun with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to train, on what, and where to."""

    files: TrainingFiles
    images: Path | None = None
    """Folder that file names start in; each annotation file's own if None."""
    partial_sources: tuple[str, ...] = ()
    """Values of an image's ``source`` whose images label only some of their objects."""
    folder: Path
    is_resumed: bool = False
    family: str
    network: str | None = None
    """The family's usual one if None."""
    input_size: int | None = None
    """In pixels; the network's own if None."""
    backbone: Path | None = None
    """Initial values of the backbone."""
    weights: Path | None = None
    """Initial values of everything but what depends on the classes; of a resumed run, its
    checkpoint instead of the newest."""
    start_iteration: int = 0
    """Of the first step of a new run, or `FROM_NAME`."""
    epochs: int | None = None
    """Of the whole run, each with a validation; None to go by the options' iterations."""
    best_by: Literal["ap", "loss"] = "ap"
    finds_rate: bool = False
    """Look for a learning rate, and train nothing."""


def card_of(request: Request, sets: TrainingSets) -> RunCard:
    """Return the card of a run: the one it has, or a new one.

    Raises:
        ConfigError: The run that is to go on is another one.
    """
    class_names = sets.class_names
    if request.is_resumed and (request.folder / RUN_CARD_NAME).is_file():
        card = read_run_card(request.folder)
        if card.class_names != class_names:
            raise ConfigError(
                f"{request.folder}: its run learns {listed(card.class_names)}; the annotations "
                f"have {listed(class_names)}."
            )
        name = card.network["name"]
        asked = network_fields(card.family, request.network or name, 1, None)["name"]
        if asked != name:
            raise ConfigError(
                f"--network: {request.network} was given; the run in {request.folder} is of {name}."
            )
        if request.input_size in (None, card.network["input_size"]):
            return card
        # The network is convolutional, so a run may begin small and quick and end at full size.
        network = network_fields(card.family, name, len(class_names), request.input_size)
        command = (*card.command, "&&", "maskstream", *sys.argv[1:])
        return replace(card, network=network, command=command)
    return new_card(request.family, request.network, request.input_size, sets)


def new_card(
    family: str, network: str | None, input_size: int | None, sets: TrainingSets
) -> RunCard:
    """Return the card of a run that begins; arguments as of `Request`."""
    return RunCard(
        family=family,
        network=network_fields(family, network, len(sets.class_names), input_size),
        class_names=sets.class_names,
        command=("maskstream", *sys.argv[1:]),
        data=sets.picture_counts,
        versions=training_versions(),
    )


def network_fields(
    family: str, name: str | None, class_count: int, input_size: int | None
) -> dict[str, Any]:
    """Return the fields of a network's configuration, as a card holds them."""
    recipe = get_recipe(family)
    config = recipe.choose_config(
        name or recipe.default_network, class_count=class_count, input_size=input_size
    )
    return asdict(config)


def initial_values(
    recipe: Recipe[Any, Any, Any],
    images: Sequence[LabelledImage],
    weights: Path | None,
    backbone: Path | None,
) -> Callable[[nn.Module], list[str]] | None:
    """Return what fills a new network, and says which tensors begin anew all the same.

    Args:
        images: To learn from; those of an engine settle on some of them.
        weights: Of the whole network, a file or the name of an engine; they go before those of its
            backbone.

    Returns:
        None where neither is given.
    """
    if weights is None and backbone is None:
        return None
    file = None if weights is None else _file_of(weights)

    def fill(network: nn.Module) -> list[str]:
        if file is not None:
            dropped = recipe.load_weights(network, file)
            if is_engine(file):
                _settle(recipe, network, images)
            return dropped
        assert backbone is not None
        recipe.fill_backbone(network, backbone)
        return []

    return fill


def _file_of(weights: Path) -> Path:
    """Return the file that weights are in: that of an engine where this is the name of one."""
    try:
        return resolve_engine(str(weights))
    except EngineFileError:  # what is none of these is for the recipe to read or to refuse
        return weights


def _settle(
    recipe: Recipe[Any, Any, Any], network: nn.Module, images: Sequence[LabelledImage]
) -> None:
    """Bring back the norms that an engine has within its convolutions."""
    device = next(network.parameters()).device
    count = max(1, SETTLING_PICTURES // recipe.options.batch)
    # Each process of a group looks at whole batches, so that all get the same statistics.
    batches = first_batches(recipe, images, count, Group())
    detector = recipe.evaluated(network).to(device)
    settle_norms(network, detector, (frames.to(device) for frames, _ in batches))


def begin(
    trainer: Trainer, request: Request, images: Sequence[LabelledImage], *, is_told: bool
) -> None:
    """Give a trainer what it begins with: a checkpoint, initial values, or nothing.

    Args:
        images: To learn from.
        is_told: Whether this process says which values begin anew.

    Raises:
        TrainError: A file does not fit.
    """
    weights = request.weights
    fill = initial_values(trainer.recipe, images, weights, request.backbone)
    if request.is_resumed:
        trainer.resume(weights or request.folder / CHECKPOINT_NAME)
    elif fill is not None:
        dropped = trainer.begin_with(fill)
        if weights is not None:
            trainer.iteration = _start(request.start_iteration, weights)
        if dropped and is_told:
            print(f"{weights}: made for other classes, so these begin anew:", file=sys.stderr)
            print(f"  {', '.join(dropped)}", file=sys.stderr)


def _start(iteration: int, weights: Path) -> int:
    """Return the iteration that a run with given weights begins at.

    Raises:
        ConfigError: The name of the file was to say, and does not.
    """
    if iteration != FROM_NAME:
        return iteration
    name = parse_name(weights)
    if name is None:
        raise ConfigError(
            f"{weights}: its name says no iteration; CONFIG_EPOCH_ITERATION.pth is needed, or "
            "--start-iter with a number."
        )
    return name.iteration


def options_of_run(checkpoint: Path) -> dict[str, Any]:
    """Return the options that a checkpoint was made with, by their names in `TrainSettings`.

    Raises:
        TrainError: It is no checkpoint.
    """
    state = load_checkpoint(checkpoint)
    options: dict[str, Any] = state.get("options", {})
    plain = {name: value for name, value in options.items() if name != "augment"}
    best_by = "loss" if state.get("best_by") == list(BY_LOSS) else "ap"
    return {**plain, **options.get("augment", {}), "best_by": best_by}
