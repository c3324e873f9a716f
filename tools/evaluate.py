"""`maskstream eval`: an engine's average precision on labelled pictures."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from engines import open_engine
from stream.machine import available_cores
from stream.report import write_text_atomically
from tools.checks import check_file
from tools.extras import needs_training_parts


def evaluate(
    annotations: Annotated[Path, typer.Option(help="COCO JSON with masks: polygons or RLE.")],
    engine: Annotated[
        str, typer.Option(metavar="PATH|NAME", help="An engine file, or the name of one.")
    ] = "person",
    images: Annotated[
        Path | None,
        typer.Option(help="Folder that the annotations' file names start in; theirs if left out."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the figures as JSON.")
    ] = None,
    backend: Annotated[str, typer.Option(help="The runtime; auto takes the fastest.")] = "auto",
    batch: Annotated[int, typer.Option(min=1, help="Pictures at once.")] = 4,
) -> None:
    """Measure an engine's box and mask AP by COCO's rules, with pycocotools."""
    if output is not None:
        check_file(output)
    with needs_training_parts("eval"):
        from train.coco import read_coco
        from train.evaluate import class_map, coco_results, predict, score
    dataset = read_coco(annotations, images)
    with open_engine(engine, backend=backend, threads=available_cores(), batch=batch) as opened:
        category_ids = class_map(opened, dataset)
        predictions = track(
            predict(opened, dataset.images, batch),
            description="pictures",
            total=len(dataset.images),
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        results = [entry for found in predictions for entry in coco_results(found, category_ids)]
    metrics = score(dataset, results)
    if output is not None:
        write_text_atomically(output, json.dumps(metrics, indent=2) + "\n")
    Console(highlight=False).print(_table(metrics))


def _table(metrics: dict[str, dict[str, float]]) -> Table:
    """Return the figures in hundredths, boxes and masks a row each."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("")
    for name in metrics["segm"]:
        table.add_column(name, justify="right")
    for kind, title in (("bbox", "boxes"), ("segm", "masks")):
        # -1 is the library's word for: there was nothing of that size.
        shown = ("-" if value < 0 else f"{100 * value:.1f}" for value in metrics[kind].values())
        table.add_row(title, *shown)
    return table
