"""Mask R-CNN's choices against each other, in short trainings of equal seeds and lengths.

    python -m maskstream.tools.bench.mask_rcnn_ablation TRAIN.json VAL.json -o FOLDER \
        --network mask-rcnn-light --backbone shufflenet_v2_x1_0_nanodet_m_416.pth

Prints a table. A run of a few minutes says little: it shows which choice learns the quicker, not
which ends the better. From nothing, as the mini networks have to begin, none finds anything in that
time; with the light network's body there is something to compare, and more with an engine's weights
(`--weights person-mask-rcnn.onnx`), of which all but the predictors stay.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import nn

from maskstream.tools.training.training_start import initial_values
from maskstream.train.augment_options import AugmentOptions
from maskstream.train.loop.trainer import Trainer
from maskstream.train.mask_rcnn.recipe import MaskRcnnRecipe
from maskstream.train.mask_rcnn.validate import true_box_mask_iou
from maskstream.train.options import TrainOptions
from maskstream.train.samples.coco import CocoSet, read_coco

MINI = "mask-rcnn-mini-strided"
CHANGES = {
    "RoIAlign, a mask a class, sigmoid": "",
    "RoIPool": "+roipool",
    "one mask for all classes": "+agnostic",
    "softmax": "+softmax",
}
"""The first is what each of the others changes in one respect."""
RESULTS_NAME = "results.json"


@dataclass(frozen=True, slots=True)
class Result:
    """What one training came to; AP, IoU and accuracy in [0, 1]."""

    title: str
    loss: float
    box_ap50: float
    mask_ap50: float
    mask_iou: float
    step_s: float


def ablate(
    annotations: Annotated[Path, typer.Argument(help="COCO JSON to learn from.")],
    validation: Annotated[Path, typer.Argument(help="COCO JSON to score on.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the runs.")],
    network: Annotated[
        str, typer.Option(help="To change; the mini one also loses strides.")
    ] = MINI,
    backbone: Annotated[
        Path | None, typer.Option(help="Initial values of its body, as for maskstream train.")
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="A checkpoint or an engine to begin with, all but its predictors."),
    ] = None,
    iterations: Annotated[int, typer.Option(min=1)] = 150,
    batch: Annotated[int, typer.Option(min=1)] = 4,
    input_size: Annotated[int, typer.Option(help="In pixels, a multiple of 32.")] = 160,
    seed: int = 0,
) -> None:
    """Train each network alike, and print what they came to."""
    torch.set_num_threads(1)
    options = TrainOptions(
        iterations=iterations,
        batch=batch,
        optimizer="adamw",
        schedule="constant-decay",
        learning_rate=1e-3,
        backbone_rate=1.0 if backbone is None and weights is None else 0.3,
        weight_decay=0.02,
        clip_norm=10.0,
        ema_decay=0.97,
        precision="bf16",
        seed=seed,
        workers=0,
        validate_every=0,
        augment=AugmentOptions(expand_probability=0.0, crop_probability=0.0, shape_jitter=0.1),
    )
    train, val = read_coco(annotations), read_coco(validation)
    results = []
    names = {title: network + change for title, change in CHANGES.items()}
    if network == MINI:
        names["no strides (as published)"] = "mask-rcnn-mini"
    for title, name in names.items():
        recipe = _recipe(name, train, options, input_size)
        fill = initial_values(recipe, train.images, weights, backbone)
        results.append(_run(title, recipe, train, val, output / name, fill))
        text = json.dumps([asdict(result) for result in results], indent=1)
        (output / RESULTS_NAME).write_text(text + "\n", encoding="utf-8")
        Console(stderr=True).print(results[-1])
    Console().print(_table(results))


def _recipe(name: str, train: CocoSet, options: TrainOptions, input_size: int) -> MaskRcnnRecipe:
    config = MaskRcnnRecipe.choose_config(
        name, class_count=len(train.class_names), input_size=input_size
    )
    return MaskRcnnRecipe(config, train.class_names, options)


def _run(
    title: str,
    recipe: MaskRcnnRecipe,
    train: CocoSet,
    val: CocoSet,
    folder: Path,
    fill: Callable[[nn.Module], object] | None,
) -> Result:
    trainer = Trainer(recipe, list(train.images), None, folder)
    if fill is not None:
        trainer.begin_with(fill)
    started_s = time.monotonic()
    trainer.run()
    elapsed_s = time.monotonic() - started_s
    network: Any = trainer.average.network.eval()
    metrics = recipe.evaluate(network, val)
    return Result(
        title=title,
        loss=metrics["loss"]["total"],
        box_ap50=metrics["bbox"]["AP50"],
        mask_ap50=metrics["segm"]["AP50"],
        mask_iou=true_box_mask_iou(network, val, recipe.class_map(val)),
        step_s=elapsed_s / recipe.options.iterations,
    )


def _table(results: list[Result]) -> Table:
    table = Table("", "loss", "box AP50", "mask AP50", "mask IoU in true boxes", "s a step")
    for result in results:
        table.add_row(
            result.title,
            f"{result.loss:.2f}",
            f"{100 * result.box_ap50:.1f}",
            f"{100 * result.mask_ap50:.1f}",
            f"{result.mask_iou:.3f}",
            f"{result.step_s:.2f}",
        )
    return table


if __name__ == "__main__":
    typer.run(ablate)
