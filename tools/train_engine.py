"""`maskstream train`: a network of the YOLACT family from COCO annotations."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from tools.extras import needs_training_parts
from tools.run_card import check_run_folder

_NETWORK = "Network"
_LEARNING = "Learning"

AnnotationsArgument = Annotated[
    list[Path],
    typer.Argument(metavar="ANNOTATIONS", help="COCO JSON files; all with the same categories."),
]
OutputOption = Annotated[
    Path, typer.Option("--output", "-o", metavar="FOLDER", help="Gets checkpoints, log and card.")
]
ImagesOption = Annotated[
    Path | None,
    typer.Option(help="Folder that the file names start in; each file's own if left out."),
]
ValidationOption = Annotated[
    Path | None,
    typer.Option("--val", help="COCO JSON to score on; the best checkpoint is chosen by it."),
]
PartialOption = Annotated[
    str,
    typer.Option(
        metavar="NAME,NAME",
        help="Values of an image's `source` whose images label only some of their objects.",
    ),
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on from the folder's last.pt.")]
NetworkOption = Annotated[str, typer.Option(rich_help_panel=_NETWORK, help="Of the family.")]
InputSizeOption = Annotated[
    int | None,
    typer.Option(
        rich_help_panel=_NETWORK,
        help="Side of the input in pixels, a multiple of 32; may change with --resume.",
    ),
]
BackboneOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.pth",
        rich_help_panel=_NETWORK,
        help="Initial values of yolact-light's backbone, in torchvision's names, for BGR input.",
    ),
]
DeviceOption = Annotated[str, typer.Option(rich_help_panel=_LEARNING, help="cpu or cuda:0.")]
Bf16Option = Annotated[
    bool, typer.Option("--bf16/--fp32", rich_help_panel=_LEARNING, help="Numbers of the network.")
]


def train(
    annotations: AnnotationsArgument,
    output: OutputOption,
    images: ImagesOption = None,
    val: ValidationOption = None,
    partial_sources: PartialOption = "",
    resume: ResumeOption = False,
    network: NetworkOption = "yolact-light",
    input_size: InputSizeOption = None,
    backbone: BackboneOption = None,
    iterations: Annotated[int, typer.Option(min=1, rich_help_panel=_LEARNING)] = 4000,
    batch: Annotated[int, typer.Option(min=1, rich_help_panel=_LEARNING)] = 16,
    optimizer: Annotated[
        Literal["adamw", "sgd"], typer.Option(rich_help_panel=_LEARNING)
    ] = "adamw",
    schedule: Annotated[
        Literal["constant-decay", "step"], typer.Option(rich_help_panel=_LEARNING)
    ] = "constant-decay",
    learning_rate: Annotated[float, typer.Option(rich_help_panel=_LEARNING)] = 1e-3,
    backbone_rate: Annotated[
        float, typer.Option(rich_help_panel=_LEARNING, help="As a factor of the learning rate.")
    ] = 0.3,
    weight_decay: Annotated[float, typer.Option(rich_help_panel=_LEARNING)] = 0.02,
    clip_norm: Annotated[
        float, typer.Option(rich_help_panel=_LEARNING, help="Largest gradient norm; 0: any.")
    ] = 10.0,
    ema_decay: Annotated[
        float, typer.Option(rich_help_panel=_LEARNING, help="Of the averaged weights.")
    ] = 0.998,
    bf16: Bf16Option = True,
    expand_probability: Annotated[
        float, typer.Option(rich_help_panel=_LEARNING, help="Of zooming out of a picture.")
    ] = 0.4,
    expand_max: Annotated[
        float, typer.Option(rich_help_panel=_LEARNING, help="Largest canvas, in picture sides.")
    ] = 2.5,
    max_masks: Annotated[
        int, typer.Option(min=1, rich_help_panel=_LEARNING, help="In one image's mask loss.")
    ] = 60,
    seed: Annotated[int, typer.Option(rich_help_panel=_LEARNING)] = 0,
    workers: Annotated[
        int, typer.Option(min=0, rich_help_panel=_LEARNING, help="Processes that make batches.")
    ] = 1,
    device: DeviceOption = "cpu",
    validate_every: Annotated[
        int, typer.Option(min=0, rich_help_panel=_LEARNING, help="Iterations; 0: at the end.")
    ] = 500,
) -> None:
    """Train a network; `maskstream export` makes an engine of it.

    The defaults are those of the shipped engine. YOLACT's own are `--optimizer sgd
    --schedule step --weight-decay 5e-4 --backbone-rate 1 --clip-norm 0 --batch 8
    --iterations 800000 --expand-probability 0.5 --expand-max 4 --network yolact-base`.
    """
    check_run_folder(output, is_resumed=resume)
    with needs_training_parts("train"):
        from tools.training_run import Request, run_training
        from train.augment import AugmentOptions
        from train.trainer import TrainOptions
    request = Request(
        annotations=annotations,
        images=images,
        validation=val,
        partial_sources=tuple(name for name in partial_sources.split(",") if name),
        folder=output,
        is_resumed=resume,
        network=network,
        input_size=input_size,
        backbone=backbone,
    )
    options = TrainOptions(
        iterations=iterations,
        batch=batch,
        optimizer=optimizer,
        schedule=schedule,
        learning_rate=learning_rate,
        backbone_rate=backbone_rate,
        weight_decay=weight_decay,
        clip_norm=clip_norm,
        ema_decay=ema_decay,
        use_bf16=bf16,
        max_masks=max_masks,
        seed=seed,
        workers=workers,
        device=device,
        validate_every=validate_every,
        augment=AugmentOptions(expand_probability=expand_probability, expand_max=expand_max),
    )
    run_training(request, options)
