"""A network that is not exported as an engine: a checkpoint of ours or of YOLACT, in PyTorch."""

from pathlib import Path
from typing import Any

from torch import nn

from maskstream.engines.engine import Engine
from maskstream.engines.files import class_names
from maskstream.engines.files.manifest import Manifest
from maskstream.engines.networks.yolact.network import Yolact
from maskstream.engines.networks.yolact.weights import config_of_file, load_network
from maskstream.engines.runtimes.torch_backend import TorchBackend, torch_device
from maskstream.errors import ConfigError
from maskstream.train.loop.checkpoint import load_tensors
from maskstream.train.loop.recipe import Recipe
from maskstream.train.options import TrainOptions
from maskstream.train.runs.run_card import RUN_CARD_NAME, read_run_card
from maskstream.train.runs.trained_run import load_average, newest_of, recipe_of
from maskstream.train.yolact.nms import Nms, NmsDetector
from maskstream.train.yolact.recipe import YolactRecipe


def open_checkpoint(
    path: Path, *, nms: Nms | None = None, device: str = "cpu", is_compiled: bool = False
) -> Engine:
    """Return a checkpoint's averaged weights, or YOLACT's own, as an engine.

    Args:
        path: The folder of a training run, whose best checkpoint is taken; a file in one; or a
            released file, whose name says its configuration.
        nms: Of its detections; None for what its engine would have.
        device: Such as "cpu" or "cuda:0".
        is_compiled: Whether it is compiled first.

    Raises:
        UnavailableError: The device is not here.
        TrainError: The file cannot be used.
        ConfigError: It says no configuration.
    """
    device = str(torch_device(device))
    if path.is_dir():
        path = newest_of(path)
    if "average" in load_tensors(path):
        card = read_run_card(path.parent)
        recipe = recipe_of(card, path.parent)
        network = load_average(recipe, path)
    else:
        recipe, network = _released(path)
    network.to(device)
    if isinstance(network, Yolact):
        size = recipe.config.input_size
        detector = NmsDetector(network, nms or network.config.nms)
        backend = TorchBackend(detector, size, device, is_compiled=is_compiled)
        return Engine(backend, recipe.manifest())
    if is_compiled:
        raise ConfigError("--backend torch:compile: only networks of yolact are compiled.")
    if nms is not None:
        raise ConfigError(f"--nms: {nms} was given; only networks of yolact have a choice.")
    return recipe.engine(network)


def checkpoint_manifest(path: Path) -> Manifest:
    """Return what `open_checkpoint` would say of a file or a folder; no weights are loaded.

    Raises:
        ConfigError: It says no configuration.
    """
    folder = path if path.is_dir() else path.parent
    if path.is_dir() or (folder / RUN_CARD_NAME).is_file():
        return recipe_of(read_run_card(folder), folder).manifest()
    return _released_recipe(path).manifest()


def _released(path: Path) -> tuple[Recipe[Any, Any, Any], nn.Module]:
    recipe = _released_recipe(path)
    return recipe, load_network(path, recipe.config)


def _released_recipe(path: Path) -> YolactRecipe:
    config = config_of_file(path)
    if config is None:
        raise ConfigError(
            f"{path}: its name says no configuration, as yolact_base_54_800000.pth does; rename "
            "it, or import it as an engine."
        )
    names = class_names.BY_COUNT[config.class_count]
    return YolactRecipe(config, names, TrainOptions(iterations=1))
