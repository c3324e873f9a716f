"""What lies in the folder of a training run, as a network again."""

from pathlib import Path
from typing import Any

from torch import nn

from maskstream.errors import ConfigError
from maskstream.train.loop.checkpoint import BEST_NAME, CHECKPOINT_NAME, load_checkpoint
from maskstream.train.loop.recipe import Recipe
from maskstream.train.loop.recipes import get_recipe
from maskstream.train.options import TrainOptions
from maskstream.train.runs.run_card import RUN_CARD_NAME, RunCard


def recipe_of(
    card: RunCard, folder: Path, options: TrainOptions | None = None
) -> Recipe[Any, Any, Any]:
    """Return the recipe of a run.

    Args:
        card: Of the run.
        folder: Where it is, for the error message.
        options: Of the run; not needed for a network that does not learn any more.

    Raises:
        ConfigError: The card describes no network of its family.
    """
    recipe = get_recipe(card.family)
    try:
        config = recipe.read_config(card.network)
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        raise ConfigError(
            f"{folder / RUN_CARD_NAME}: describes no {card.family} network ({exc!r}); the card of "
            "a `maskstream train` run is needed."
        ) from exc
    return recipe(config, card.class_names, options or TrainOptions(iterations=1))


def newest_of(folder: Path) -> Path:
    """Return the best checkpoint of a run, or where there is none, its last."""
    best = folder / BEST_NAME
    return best if best.is_file() else folder / CHECKPOINT_NAME


def load_average(recipe: Recipe[Any, Any, Any], weights: Path) -> nn.Module:
    """Return a run's network in evaluation, with the averaged weights of a checkpoint.

    Raises:
        TrainError: The file is no checkpoint.
        ConfigError: The checkpoint is of another network.
    """
    network: nn.Module = recipe.make_network().eval()
    try:
        network.load_state_dict(load_checkpoint(weights)["average"])
    except RuntimeError as exc:  # torch lists every key that does not fit, over many lines
        raise ConfigError(
            f"{weights}: its weights do not fit {recipe.config.name} as the run has it; "
            "a checkpoint of that run is needed."
        ) from exc
    return network
