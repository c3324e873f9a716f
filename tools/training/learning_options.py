"""Options of `maskstream train` and `tune` that say how a network learns.

The defaults are those of the shipped engine. Every field but a few of `LearningSettings` is one of
`train.options.TrainOptions`, or of its ``augment``, under the same name.
"""

from typing import Annotated, Literal

import typer
from pydantic import BaseModel

LEARNING = "Learning"
"""The panel of the help that these options stand in."""
_LOSSES = "Losses"
_PICTURES = "Pictures"


class LearningSettings(BaseModel):
    """How long, how fast, and what of the network."""

    iterations: Annotated[
        int,
        typer.Option(
            "--iterations", "--max-iter", min=1, rich_help_panel=LEARNING, help="Steps in all."
        ),
    ] = 4000
    batch: Annotated[
        int,
        typer.Option(
            "--batch",
            "--batch-size",
            min=1,
            rich_help_panel=LEARNING,
            help="Pictures of a step, over all processes.",
        ),
    ] = 16
    accumulate: Annotated[
        int,
        typer.Option(
            min=1, rich_help_panel=LEARNING, help="Parts that a batch is taken in, for memory."
        ),
    ] = 1
    optimizer: Annotated[Literal["adamw", "sgd"], typer.Option(rich_help_panel=LEARNING)] = "adamw"
    schedule: Annotated[
        Literal["constant-decay", "step", "burn-in"],
        typer.Option(rich_help_panel=LEARNING, help="burn-in: Darknet's."),
    ] = "constant-decay"
    lr_steps: Annotated[
        str,
        typer.Option(
            metavar="N,N",
            rich_help_panel=LEARNING,
            help="Where the schedules step and burn-in take a tenth of the rate.",
        ),
    ] = "280000,600000,700000,750000"
    learning_rate: Annotated[
        float, typer.Option("--learning-rate", "--lr", rich_help_panel=LEARNING)
    ] = 1e-3
    backbone_rate: Annotated[
        float, typer.Option(rich_help_panel=LEARNING, help="As a factor of the learning rate.")
    ] = 0.3
    momentum: Annotated[float, typer.Option(rich_help_panel=LEARNING, help="Of sgd.")] = 0.9
    weight_decay: Annotated[
        float, typer.Option("--weight-decay", "--decay", rich_help_panel=LEARNING)
    ] = 0.02
    clip_norm: Annotated[
        float, typer.Option(rich_help_panel=LEARNING, help="Largest gradient norm; 0: any.")
    ] = 10.0
    ema_decay: Annotated[
        float, typer.Option(rich_help_panel=LEARNING, help="Of the averaged weights.")
    ] = 0.998
    freeze_bn: Annotated[
        bool,
        typer.Option(
            "--freeze-bn", rich_help_panel=LEARNING, help="Leave batch norms as they are."
        ),
    ] = False
    freeze_body: Annotated[
        bool,
        typer.Option("--freeze-body", rich_help_panel=LEARNING, help="Leave the body as it is."),
    ] = False
    seed: Annotated[int, typer.Option(rich_help_panel=LEARNING, help="Of all that is drawn.")] = 0


class LossSettings(BaseModel):
    """What one family's losses can be told."""

    max_masks: Annotated[
        int,
        typer.Option(min=1, rich_help_panel=_LOSSES, help="yolact: in one image's mask loss."),
    ] = 60
    dice_weight: Annotated[
        float,
        typer.Option(min=0, rich_help_panel=_LOSSES, help="yolact: of the masks' Dice loss."),
    ] = 0.0
    contextual_weight: Annotated[
        float,
        typer.Option(
            min=0,
            rich_help_panel=_LOSSES,
            help="yolact: of the contextual loss between class maps.",
        ),
    ] = 0.0
    neighbor_weight: Annotated[
        float,
        typer.Option(
            min=0,
            rich_help_panel=_LOSSES,
            help="yolact: of the loss between prototypes of neighbouring cells of an object.",
        ),
    ] = 0.0
    anchor_iou_min: Annotated[
        float,
        typer.Option(
            "--anchor-iou",
            min=0,
            max=1,
            rich_help_panel=_LOSSES,
            help="yolov3: anchors that fit an object's shape better than this learn it, beside "
            "the best.",
        ),
    ] = 1.0


class PictureSettings(BaseModel):
    """How training pictures are changed."""

    expand_probability: Annotated[
        float,
        typer.Option(
            min=0, max=1, rich_help_panel=_PICTURES, help="yolact, yolov3: chance of zooming out."
        ),
    ] = 0.4
    expand_max: Annotated[
        float,
        typer.Option(
            min=1,
            rich_help_panel=_PICTURES,
            help="yolact, yolov3: largest canvas, in picture sides.",
        ),
    ] = 2.5
    mosaic_probability: Annotated[
        float,
        typer.Option(
            "--mosaic",
            min=0,
            max=1,
            rich_help_panel=_PICTURES,
            help="yolact, yolov3: chance of four pictures in one.",
        ),
    ] = 0.0
    copy_paste_probability: Annotated[
        float,
        typer.Option(
            "--copy-paste",
            min=0,
            max=1,
            rich_help_panel=_PICTURES,
            help="yolact, yolov3: chance of objects of another picture.",
        ),
    ] = 0.0
    is_multi_scale: Annotated[
        bool,
        typer.Option(
            "--multi-scale",
            rich_help_panel=_PICTURES,
            help="yolov3: another size of the input every ten iterations.",
        ),
    ] = False
    vertical_mirror_probability: Annotated[
        float,
        typer.Option(
            "--vertical-flip",
            min=0,
            max=1,
            rich_help_panel=_PICTURES,
            help="mask-rcnn: chance of an upside-down flip.",
        ),
    ] = 0.0
