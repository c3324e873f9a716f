"""`maskstream train`: a network of any family from COCO annotations."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maskstream.errors import ConfigError
from maskstream.tools.arguments.extras import needs_training_parts
from maskstream.tools.arguments.model_options import given_on_command_line, with_options_of
from maskstream.tools.training.train_options import TrainSettings, check_heeded, make_train_options
from maskstream.tools.training.training_data import TrainingFiles, check_there, find_files
from maskstream.train.runs.run_card import CHECKPOINT_NAME, check_run_folder, read_run_card

if TYPE_CHECKING:
    from maskstream.tools.training.training_start import Request

_WEIGHTS_SUFFIXES = (".pth", ".pt", ".onnx")
_AUTOSCALED = ("learning_rate", "iterations", "lr_steps")
AnnotationsArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="ANNOTATIONS",
        show_default=False,
        help="COCO JSON files, or folders such as VOC2012, all with the same categories; fcn takes "
        "any.",
    ),
]
OutputOption = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        "--save-folder",
        metavar="FOLDER",
        show_default=False,
        help="Gets checkpoints, log, curves and card.",
    ),
]


@with_options_of(TrainSettings)
def train(
    context: typer.Context,
    output: OutputOption,
    annotations: AnnotationsArgument = None,
    **options: Any,
) -> None:
    """Train a network; `maskstream export` makes an engine of it.

    The defaults are those of the shipped engine. YOLACT's own are `--optimizer sgd
    --schedule step --weight-decay 5e-4 --backbone-rate 1 --clip-norm 0 --batch 8
    --iterations 800000 --expand-probability 0.5 --expand-max 4 --network yolact-base`.
    Darknet's for YOLOv3: `--family yolov3 --network yolov3 --backbone darknet53.conv.74
    --optimizer sgd --schedule burn-in --lr-steps 400000,450000 --weight-decay 5e-4
    --backbone-rate 1 --clip-norm 0 --batch 64 --iterations 500200 --multi-scale`.
    A two-class head on FCN8s: `--family fcn --network fcn8s --backbone fcn8s.pth --freeze-body
    --weight-decay 0`, on crops of all objects that have a mask.
    With --resume, what is not typed is as it was in the run.
    Several cards, or machines: `torchrun --nproc-per-node 2 --no-python maskstream train ...`.
    """
    settings = TrainSettings.model_construct(**options)
    given = given_on_command_line(context, options)
    check_run_folder(output, is_resumed=settings.is_resumed)
    if settings.start_iteration and settings.weights is None:
        raise ConfigError("--start-iter: there are no --weights to begin with; name them.")
    # What can be told at once is not to wait for PyTorch, which takes seconds to load.
    named = (settings.data, settings.validation, settings.test, settings.backbone)
    check_there(*(annotations or []), *named)
    if settings.weights is not None and settings.weights.suffix in _WEIGHTS_SUFFIXES:
        check_there(settings.weights)  # and no engine's name
    if not settings.is_resumed:
        make_train_options(settings)
    with needs_training_parts("train"):
        from maskstream.tools.training.training_run import run_training
        from maskstream.train.loop.recipes import get_recipe
        from maskstream.train.options import autoscaled
    if settings.is_resumed:
        settings = _as_begun(settings, given, output)
    recipe = get_recipe(settings.family)
    check_heeded(recipe, TrainSettings, given)
    files = find_files(
        annotations or [],
        settings.data,
        settings.validation,
        settings.test,
        finds_test=recipe.measures_losses,
    )
    made = make_train_options(settings)
    run_training(
        _request(settings, files, output),
        autoscaled(made) if settings.is_autoscaled else made,
    )


def _as_begun(settings: TrainSettings, given: dict[str, Any], folder: Path) -> TrainSettings:
    """Return settings with what is not typed as the run in a folder began with it.

    Where it runs is not taken over, and neither is what --autoscale is to fit anew.

    Raises:
        ConfigError: The folder's run is of another family.
    """
    from maskstream.tools.training.training_start import options_of_run

    family = read_run_card(folder).family
    if given.get("family", family) != family:
        raise ConfigError(
            f"--family: {settings.family} was given; the run in {folder} is of {family}."
        )
    begun = options_of_run(settings.weights or folder / CHECKPOINT_NAME)
    begun["lr_steps"] = ",".join(map(str, begun.get("lr_steps", settings.lr_steps.split(","))))
    own = {"device", "workers", *(_AUTOSCALED if settings.is_autoscaled else ())}
    kept = TrainSettings.model_fields.keys() - given.keys() - own
    taken = {name: value for name, value in begun.items() if name in kept}
    return settings.model_copy(update={**taken, "family": family})


def _request(settings: TrainSettings, files: TrainingFiles, folder: Path) -> "Request":
    from maskstream.tools.training.training_start import Request

    return Request(
        files=files,
        images=settings.images,
        partial_sources=tuple(name for name in settings.partial_sources.split(",") if name),
        folder=folder,
        is_resumed=settings.is_resumed,
        family=settings.family,
        network=settings.network,
        input_size=settings.input_size,
        backbone=settings.backbone,
        weights=settings.weights,
        start_iteration=settings.start_iteration,
        epochs=settings.epochs,
        best_by=settings.best_by,
        finds_rate=settings.finds_rate,
    )
