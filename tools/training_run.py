"""One run of training, from annotation files to a folder that `maskstream export` reads."""

import pickle
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from engines.yolact.backbones import load_nanodet_shufflenet
from engines.yolact.config import YolactConfig
from engines.yolact.network import Yolact
from stream.errors import ConfigError
from stream.machine import available_cores
from tools.run_card import (
    RUN_CARD_NAME,
    RunCard,
    choose_network,
    read_run_card,
    training_versions,
)
from tools.training_view import open_training_view
from train.coco import CocoSet, read_coco
from train.errors import AnnotationError
from train.trainer import BEST_NAME, CHECKPOINT_NAME, Trainer, TrainOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to train, on what, and where to."""

    annotations: list[Path]
    images: Path | None
    """Folder that file names start in; each annotation file's own if None."""
    validation: Path | None
    partial_sources: tuple[str, ...]
    """Values of an image's ``source`` whose images label only some of their objects."""
    folder: Path
    is_resumed: bool
    network: str
    input_size: int | None
    """In pixels; the network's own if None."""
    backbone: Path | None
    """Initial values."""


def run_training(request: Request, options: TrainOptions) -> None:
    """Train until the last iteration; Ctrl-C keeps a checkpoint to go on from.

    Raises:
        TrainError: The data cannot be used, or the loss diverged.
        ConfigError: The network, its initial values or the folder's card cannot be used.
    """
    torch.set_num_threads(available_cores())
    sets = [
        read_coco(path, request.images, partial_sources=request.partial_sources)
        for path in request.annotations
    ]
    validation = None if request.validation is None else read_coco(request.validation)
    card = _card(request, sets)
    view = open_training_view(options.iterations)
    trainer = Trainer(
        card.network,
        card.class_names,
        [image for dataset in sets for image in dataset.images],
        validation,
        request.folder,
        options,
        view.show,
    )
    _begin(trainer, request, card)
    try:
        trainer.run()
    finally:
        view.close()
        if trainer.iteration < options.iterations:
            print(
                f"stopped after {trainer.iteration} iterations; go on with --resume",
                file=sys.stderr,
            )
    for name in (BEST_NAME, CHECKPOINT_NAME):
        if (request.folder / name).is_file():
            print(request.folder / name)


def _card(request: Request, sets: list[CocoSet]) -> RunCard:
    """Return the card of the run: the one it has, or a new one."""
    class_names = _common_classes(sets)
    if request.is_resumed and (request.folder / RUN_CARD_NAME).is_file():
        card = read_run_card(request.folder)
        if card.class_names != class_names:
            raise ConfigError(
                f"{request.folder}: its run learns {_listed(card.class_names)}; the annotations "
                f"have {_listed(class_names)}."
            )
        if request.input_size in (None, card.network.input_size):
            return card
        # The network is convolutional, so a run may begin small and quick and end at full size.
        network = choose_network(
            card.network.name, class_count=len(class_names), input_size=request.input_size
        )
        command = (*card.command, "&&", "maskstream", *sys.argv[1:])
        return replace(card, network=network, command=command)
    return RunCard(
        network=choose_network(
            request.network, class_count=len(class_names), input_size=request.input_size
        ),
        class_names=class_names,
        command=("maskstream", *sys.argv[1:]),
        data={
            str(path): len(dataset.images)
            for path, dataset in zip(request.annotations, sets, strict=True)
        },
        versions=training_versions(),
    )


def _common_classes(sets: list[CocoSet]) -> tuple[str, ...]:
    """Return the classes that all sets have, in one order.

    Raises:
        AnnotationError: They differ.
    """
    first = sets[0]
    for other in sets[1:]:
        if other.class_names != first.class_names:
            raise AnnotationError(
                f"{other.path}: has the classes {_listed(other.class_names)}, {first.path} has "
                f"{_listed(first.class_names)}; the files must have the same."
            )
    return first.class_names


def _listed(names: tuple[str, ...]) -> str:
    """Return names, or the first of many."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _begin(trainer: Trainer, request: Request, card: RunCard) -> None:
    """Give a trainer what it begins with: a checkpoint, initial values, or neither."""
    if request.is_resumed:
        trainer.resume(request.folder / CHECKPOINT_NAME)
    elif request.backbone is not None:
        backbone = request.backbone
        trainer.load_backbone(lambda network: _fill_backbone(network, card.network, backbone))
    card.write(request.folder)


def _fill_backbone(network: Yolact, config: YolactConfig, path: Path) -> None:
    """Fill a light network's backbone from a file of tensors.

    Raises:
        ConfigError: The network has another backbone, or the file does not fit it.
    """
    if config.backbone != "shufflenet_v2_x1_0":
        raise ConfigError(
            f"--backbone: {config.name} has a {config.backbone}; only yolact-light's backbone can "
            "be given initial values."
        )
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        load_nanodet_shufflenet(network.backbone, state)
    except (OSError, RuntimeError, KeyError, AttributeError, pickle.UnpicklingError) as exc:
        reason = str(exc).splitlines()[0]
        raise ConfigError(
            f"{path}: does not fit a shufflenet_v2_x1_0 ({reason}); a file of its tensors without "
            "conv5 and fc is needed."
        ) from exc
