"""`maskstream eval`: an engine's average precision on labelled pictures."""

import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from maskstream.engines.engine import Engine
from maskstream.engines.files.disk import write_text_atomically
from maskstream.errors import ConfigError
from maskstream.stream.processes.machine import available_cores
from maskstream.tools.arguments.checks import check_file
from maskstream.tools.arguments.extras import needs_training_parts
from maskstream.tools.arguments.model_options import listed_option
from maskstream.tools.arguments.opening import is_network, open_any, open_network

if TYPE_CHECKING:
    from maskstream.train.evaluation.coco_ap import Scores
    from maskstream.train.samples.coco import CocoSet

SHEET_PICTURES = 24


AnnotationsOption = Annotated[
    Path,
    typer.Option(
        "--annotations",
        "--dataset",
        help="COCO JSON with masks: polygons or RLE. Without annotations, as of test-dev, it "
        "serves --output-coco-json.",
    ),
]
EngineOption = Annotated[
    str,
    typer.Option(
        "--engine",
        "--trained-model",
        metavar="PATH|NAME",
        help="An engine file, the name of one, the folder of a training run, or a checkpoint.",
    ),
]
ImagesOption = Annotated[
    Path | None,
    typer.Option(help="Folder that the annotations' file names start in; theirs if left out."),
]
OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write the figures as JSON.")
]
OutputCocoJsonOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Gets bbox_detections.json and mask_detections.json, for COCO's server.",
    ),
]
ScoreCocoJsonOption = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Score these files instead of an engine."),
]
SheetOption = Annotated[
    Path | None,
    typer.Option(
        metavar="OUT.png", help="Draw 24 of the pictures, chosen by --seed, with what is seen."
    ),
]
MaxImagesOption = Annotated[
    int | None, typer.Option(min=1, help="Only the first so many pictures.")
]
ShuffleOption = Annotated[bool, typer.Option("--shuffle", help="In an order drawn by --seed.")]
SeedOption = Annotated[int, typer.Option(help="Of the order, and of the sheet.")]
DetectOnlyOption = Annotated[
    bool, typer.Option("--detect-only", "--detect", help="Boxes alone, no masks.")
]
NmsOption = Annotated[
    Literal["fast", "greedy", "cross-class", "traditional"] | None,
    typer.Option(help="An engine file has its own in its graph; others need a checkpoint."),
]
BackendOption = Annotated[str, typer.Option(help="The runtime; as for run.")]
DeviceOption = Annotated[str | None, typer.Option(help="Of the backend, as it names it.")]
RequireGpuOption = Annotated[
    bool, typer.Option("--require-gpu", help="Fail rather than run on the processor.")
]
FamilyOption = Annotated[str | None, listed_option("family")]
BatchOption = Annotated[int, typer.Option(min=1, help="Pictures at once.")]


def evaluate(
    annotations: AnnotationsOption,
    engine: EngineOption = "person",
    images: ImagesOption = None,
    output: OutputOption = None,
    output_coco_json: OutputCocoJsonOption = None,
    score_coco_json: ScoreCocoJsonOption = None,
    sheet: SheetOption = None,
    max_images: MaxImagesOption = None,
    shuffle: ShuffleOption = False,
    seed: SeedOption = 0,
    detect_only: DetectOnlyOption = False,
    nms: NmsOption = None,
    backend: BackendOption = "auto",
    device: DeviceOption = None,
    require_gpu: RequireGpuOption = False,
    family: FamilyOption = None,
    batch: BatchOption = 4,
) -> None:
    """Measure an engine's box and mask AP by COCO's rules, with pycocotools."""
    for file in (output, sheet):
        if file is not None:
            check_file(file)
    with needs_training_parts("eval"):
        from maskstream.train.evaluation.coco_ap import KINDS, score
        from maskstream.train.samples.coco import read_coco
    if score_coco_json is not None:
        _score_files(score_coco_json, read_coco(annotations, images), output)
        return
    dataset = read_coco(annotations, images, needs_truth=False)
    if not dataset.has_truth and output_coco_json is None and sheet is None:
        raise ConfigError(
            f"{annotations}: has no annotations, so nothing can be scored; give "
            "--output-coco-json to write the detections, or --sheet to draw them."
        )
    dataset = _chosen(dataset, max_images, seed if shuffle else None)
    kinds = ("bbox",) if detect_only else KINDS
    runtime = {"backend": backend, "device": device, "require_gpu": require_gpu}
    with _open(engine, nms, family=family, batch=batch, **runtime) as opened:
        category_ids, results = _detections(opened, dataset, batch, kinds)
        score_min = opened.manifest.score_min
    if sheet is not None:
        _draw(sheet, dataset, [e for e in results if e["score"] >= score_min], seed)
    if output_coco_json is not None:
        _write_results(output_coco_json, kinds, results)
    if dataset.has_truth:
        _tell(score(dataset, results, category_ids, kinds), output)


def _score_files(folder: Path, dataset: "CocoSet", output: Path | None) -> None:
    """Score files of detections in the form of COCO's server."""
    from maskstream.train.evaluation.coco_ap import read_results, score

    results, kinds = read_results(folder)
    _note_unseen(folder, results, dataset)
    _tell(score(dataset, results, kinds=kinds), output)


def _detections(
    engine: Engine, dataset: "CocoSet", batch: int, kinds: tuple[str, ...]
) -> tuple[Any, list[dict[str, Any]]]:
    """Return the map of classes to categories, and what an engine detects in all pictures."""
    from maskstream.train.evaluation.coco_ap import class_map, coco_results

    is_silent = not sys.stderr.isatty()
    with Progress(console=Console(stderr=True), transient=True, disable=is_silent) as bar:
        task = bar.add_task("pictures", total=len(dataset.images))
        category_ids = class_map(engine, dataset)
        results = coco_results(
            engine,
            dataset,
            category_ids,
            batch=batch,
            watch=lambda _: bar.advance(task),
            kinds=kinds,
        )
    return category_ids, results


def _note_unseen(folder: Path, results: list[dict[str, Any]], dataset: "CocoSet") -> None:
    """Say how many pictures have no result, as all of their objects count as missed."""
    seen = {entry["image_id"] for entry in results}
    unseen = sum(image.image_id not in seen for image in dataset.images)
    if unseen:
        print(
            f"{folder}: nothing in {unseen} of {len(dataset.images)} pictures, whose objects count "
            "as missed; those that were not measured have to be left out of the annotations",
            file=sys.stderr,
        )


def _chosen(dataset: "CocoSet", count: int | None, seed: int | None) -> "CocoSet":
    """Return a set with some of its pictures, in their order or in a drawn one."""
    rows = np.arange(len(dataset.images))
    if seed is not None:
        rows = np.random.default_rng(seed).permutation(rows)
    return replace(dataset, images=tuple(dataset.images[int(row)] for row in rows[:count]))


def _open(engine: str, nms: Any, **wanted: Any) -> Engine:
    """Return an engine, or a network with the NMS that was asked for.

    Raises:
        ConfigError: An engine file was given, whose NMS cannot be chosen.
    """
    if nms is None:
        return open_any(engine, threads=available_cores(), **wanted)
    if not is_network(engine):
        raise ConfigError(
            f"--nms: {engine} has its own NMS in its graph; for {nms} give --engine a checkpoint "
            "or the folder of a training run."
        )
    return open_network(engine, threads=available_cores(), nms=nms, **wanted)


def _write_results(folder: Path, kinds: tuple[str, ...], results: list[dict[str, Any]]) -> None:
    """Write a file of results for each kind, in the form that COCO's server takes."""
    from maskstream.train.evaluation.coco_ap import FILE_NAMES, results_of

    folder.mkdir(parents=True, exist_ok=True)
    for kind in kinds:
        path = folder / FILE_NAMES[kind]
        write_text_atomically(path, json.dumps(results_of(kind, results)) + "\n")
        print(path)


def _draw(path: Path, dataset: "CocoSet", results: Sequence[dict[str, Any]], seed: int) -> None:
    """Draw what was seen as if it were labelled so."""
    from maskstream.train.samples.coco import Annotation
    from maskstream.train.samples.contact_sheet import draw_sheet

    class_of = {category_id: index for index, category_id in enumerate(dataset.category_ids)}
    seen = defaultdict(list)
    for entry in results:
        seen[entry["image_id"]].append(
            Annotation(
                box_xywh_src=tuple(entry["bbox"]),
                class_id=class_of[entry["category_id"]],
                rle=entry.get("segmentation"),
                is_crowd=False,
            )
        )
    images = [replace(image, annotations=tuple(seen[image.image_id])) for image in dataset.images]
    draw_sheet(replace(dataset, images=tuple(images)), path, count=SHEET_PICTURES, seed=seed)
    print(path)


def _tell(scores: "Scores", output: Path | None) -> None:
    """Print the figures, and write them as JSON where that is wanted."""
    if output is not None:
        document = {**scores.overall, "by_class": scores.by_class}
        write_text_atomically(output, json.dumps(document, indent=2) + "\n")
    console = Console(highlight=False)
    console.print(_table(scores.overall))
    if len(scores.by_class) > 1:
        console.print(_class_table(scores.by_class))


def _table(metrics: dict[str, dict[str, float]]) -> Table:
    """Return the figures in hundredths, boxes and masks a row each."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("")
    for name in metrics["bbox"]:
        table.add_column(name, justify="right")
    for kind, title in (("bbox", "boxes"), ("segm", "masks")):
        if kind in metrics:
            table.add_row(title, *map(_shown, metrics[kind].values()))
    return table


def _class_table(by_class: dict[str, dict[str, dict[str, float]]]) -> Table:
    """Return AP and AP50 of each class."""
    kinds = next(iter(by_class.values()))
    titles = {"bbox": "box", "segm": "mask"}
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("class")
    for kind in kinds:
        for name in kinds[kind]:
            table.add_column(f"{titles[kind]} {name}", justify="right")
    for class_name, metrics in by_class.items():
        shown = [_shown(value) for kind in kinds for value in metrics[kind].values()]
        table.add_row(class_name, *shown)
    return table


def _shown(value: float) -> str:
    # -1 is the library's word for: there was nothing of that size or class.
    return "-" if value < 0 else f"{100 * value:.1f}"
