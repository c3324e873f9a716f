"""Options of `maskstream train`, some of which `maskstream tune` shares: networks, data, machine.

How a network learns is in `tools.training.learning_options`. A field of
`train.options.TrainOptions` has the same name here, so `make_train_options` needs no list.
"""

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from pydantic import BaseModel

from maskstream.errors import ConfigError
from maskstream.tools.arguments.model_options import option_of
from maskstream.tools.training.learning_options import (
    LEARNING,
    LearningSettings,
    LossSettings,
    PictureSettings,
)
from maskstream.train.loop.recipes import FAMILIES

if TYPE_CHECKING:
    from maskstream.train.loop.recipe import Recipe
    from maskstream.train.options import TrainOptions

_NETWORK = "Network"
_MACHINE = "Machine"
_KEEPING = "Keeping and stopping"


class DataSettings(BaseModel):
    """What to learn from besides the annotations, what to score on, and where to begin."""

    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="In place of ANNOTATIONS: with train.json and, where they are there, val.json and "
            "test.json, as `maskstream data split` writes them.",
        ),
    ] = None
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder that the file names start in; each file's own if left out.",
        ),
    ] = None
    validation: Annotated[
        Path | None,
        typer.Option(
            "--val",
            metavar="FILE",
            help="COCO JSON to score on; the best checkpoint is chosen by it.",
        ),
    ] = None
    test: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="COCO JSON that mask-rcnn measures beside --val; it decides nothing.",
        ),
    ] = None
    partial_sources: Annotated[
        str,
        typer.Option(
            metavar="NAME,NAME",
            help="Values of an image's `source` whose images label only some of their objects.",
        ),
    ] = ""
    is_resumed: Annotated[
        bool, typer.Option("--resume", help="Go on from the folder's last.pt, or from --weights.")
    ] = False
    start_iteration: Annotated[
        int,
        typer.Option(
            "--start-iter",
            min=-1,
            help="Iteration to begin at with --weights; -1: as the file's name says.",
        ),
    ] = 0


class NetworkSettings(BaseModel):
    """Which network, and its first values."""

    family: Annotated[
        str,
        typer.Option(metavar="|".join(FAMILIES), rich_help_panel=_NETWORK, help="Of networks."),
    ] = "yolact"
    network: Annotated[
        str | None,
        typer.Option(
            "--network",
            "--config",
            metavar="NAME",
            rich_help_panel=_NETWORK,
            help="Of the family; if left out, its light one, or mask-rcnn-resnet50.",
        ),
    ] = None
    input_size: Annotated[
        int | None,
        typer.Option(
            rich_help_panel=_NETWORK,
            help="Side of the input in pixels, a multiple of 32; may change with --resume.",
        ),
    ] = None
    backbone: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.pth",
            rich_help_panel=_NETWORK,
            help="Initial values of the backbone: an ImageNet classifier's, such as "
            "resnet101_reducedfc.pth; for light networks those of NanoDet-m; imagenet for "
            "mask-rcnn.",
        ),
    ] = None
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=_NETWORK,
            help="Initial values of all of it: a checkpoint or an engine of ours, a file "
            "of YOLACT, or coco for torchvision's Mask R-CNN; what has other classes is left out.",
        ),
    ] = None


class PlanSettings(BaseModel):
    """Other ways to say how long it learns, and how fast."""

    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            rich_help_panel=LEARNING,
            help="In place of --iterations; each ends with a validation.",
        ),
    ] = None
    is_autoscaled: Annotated[
        bool,
        typer.Option(
            "--autoscale",
            rich_help_panel=LEARNING,
            help="Rate, iterations and steps are meant for a batch of 8: fit them to --batch.",
        ),
    ] = False
    finds_rate: Annotated[
        bool,
        typer.Option(
            "--find-rate",
            rich_help_panel=LEARNING,
            help="Only look for a learning rate: 100 steps with a rising one, and a picture of "
            "them.",
        ),
    ] = False


class MachineSettings(BaseModel):
    """What it runs on."""

    device: Annotated[
        str,
        typer.Option(
            rich_help_panel=_MACHINE,
            help="cpu, cuda, or cuda:1; cuda gives each process its own card.",
        ),
    ] = "cpu"
    precision: Annotated[
        Literal["bf16", "fp16", "fp32"],
        typer.Option(rich_help_panel=_MACHINE, help="Numbers of the network."),
    ] = "bf16"
    workers: Annotated[
        int,
        typer.Option(
            "--workers",
            "--num-workers",
            min=0,
            rich_help_panel=_MACHINE,
            help="Processes that make batches.",
        ),
    ] = 1
    channels_last: Annotated[
        bool, typer.Option(rich_help_panel=_MACHINE, help="How maps lie in memory.")
    ] = True
    is_compiled: Annotated[
        bool, typer.Option("--compile", rich_help_panel=_MACHINE, help="Use torch.compile.")
    ] = False


class KeepingSettings(BaseModel):
    """When it is scored, what is kept, and when it ends."""

    validate_every: Annotated[
        int, typer.Option(min=0, rich_help_panel=_KEEPING, help="Iterations; 0: at the end.")
    ] = 500
    best_by: Annotated[
        Literal["ap", "loss"],
        typer.Option(
            rich_help_panel=_KEEPING,
            help="What makes a checkpoint the best: the family's main figure, such as mask AP, or "
            "mask-rcnn's loss on --val.",
        ),
    ] = "ap"
    patience: Annotated[
        int,
        typer.Option(
            min=0,
            rich_help_panel=_KEEPING,
            help="Validations in a row that are not the best so far, after which the run ends; "
            "0: never.",
        ),
    ] = 0
    save_interval: Annotated[
        int,
        typer.Option(
            min=0,
            rich_help_panel=_KEEPING,
            help="Iterations between checkpoints kept as NETWORK_EPOCH_ITERATION.pth; 0: none.",
        ),
    ] = 0
    keep_latest: Annotated[
        bool,
        typer.Option(
            "--keep-latest", rich_help_panel=_KEEPING, help="Keep only the newest of them ..."
        ),
    ] = False
    keep_latest_interval: Annotated[
        int,
        typer.Option(min=1, rich_help_panel=_KEEPING, help="... and those of every so many."),
    ] = 100_000
    writes_tensorboard: Annotated[
        bool,
        typer.Option(
            "--tensorboard", rich_help_panel=_KEEPING, help="Log to FOLDER/tensorboard as well."
        ),
    ] = False


# The last base's fields come first.
class TrainSettings(
    KeepingSettings,
    MachineSettings,
    PictureSettings,
    LossSettings,
    PlanSettings,
    LearningSettings,
    NetworkSettings,
    DataSettings,
):
    """Every option of a training but its annotations and its folder."""


def make_train_options(settings: BaseModel) -> "TrainOptions":
    """Return what the trainer takes, of settings that have fields of its names.

    Raises:
        ConfigError: The steps of the rate are no numbers.
        TrainError: The options do not go together.
    """
    from maskstream.train.augment_options import AugmentOptions
    from maskstream.train.options import TrainOptions

    def given(kind: type[Any]) -> dict[str, Any]:
        known = type(settings).model_fields
        return {f.name: getattr(settings, f.name) for f in fields(kind) if f.name in known}

    options = given(TrainOptions)
    options["lr_steps"] = _numbers(option_of(type(settings), "lr_steps"), options["lr_steps"])
    return TrainOptions(**options, augment=AugmentOptions(**given(AugmentOptions)))


def check_heeded(
    recipe: "type[Recipe[Any, Any, Any]]", settings: type[BaseModel], given: dict[str, Any]
) -> None:
    """Check that a family heeds the options that were typed for it.

    Raises:
        ConfigError: It has no place for one of them.
    """
    from maskstream.train.options import FAMILY_OPTIONS

    for name in given:
        if name in FAMILY_OPTIONS - recipe.own_options:
            raise ConfigError(
                f"{option_of(settings, name)}: {recipe.family} does not heed it; leave it out."
            )


def _numbers(option: str, text: str) -> tuple[int, ...]:
    """Return comma-separated whole numbers.

    Raises:
        ConfigError: There is something else.
    """
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError as exc:
        raise ConfigError(f"{option}: {text!r} was given; whole numbers are needed: 5,8.") from exc
