"""`maskstream data add-masks`: masks for objects of which only the boxes are labelled."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import track

from maskstream.engines.decoding.crops import RgbPicture
from maskstream.engines.files.disk import write_text_atomically
from maskstream.engines.interface.instances import Instances, Rle, to_rle
from maskstream.errors import ConfigError
from maskstream.tools.arguments.checks import check_file
from maskstream.tools.arguments.extras import needs_training_parts
from maskstream.tools.arguments.opening import open_any

if TYPE_CHECKING:
    from maskstream.engines import Engine
    from maskstream.train.samples.coco import CocoSet, LabelledImage

DEFAULT = "person-yolo-fcn"


AnnotationsArgument = Annotated[
    Path, typer.Argument(metavar="FILE.json", show_default=False, help="COCO JSON.")
]
OutputOption = Annotated[
    Path,
    typer.Option("--output", "-o", metavar="OUT.json", show_default=False),
]
EngineOption = Annotated[
    str, typer.Option(metavar="NAME", help="One of two stages: its second one fills the boxes.")
]
ImagesOption = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Where the pictures are; beside the file if left out."),
]
AgreementOption = Annotated[
    float,
    typer.Option(
        min=0.0,
        max=1.0,
        help="A mask stays where its own box has at least this IoU with the labelled one.",
    ),
]
ThreadsOption = Annotated[int, typer.Option(min=1, help="Of the engine.")]


def add_masks(
    annotations: AnnotationsArgument,
    output: OutputOption,
    engine: EngineOption = DEFAULT,
    images: ImagesOption = None,
    agreement: AgreementOption = 0.75,
    threads: ThreadsOption = 1,
) -> None:
    """Fill labelled boxes with the masks that an engine sees in them; masks that are there stay.

    A mask that does not reach the edges of its box is dropped, and the object keeps its box alone.

    What learns from such masks becomes no better than they are: validate on true ones.
    """
    with needs_training_parts("data add-masks"):
        from pycocotools import mask as coco_mask

        from maskstream.train.samples.coco import read_coco
    check_file(output)
    dataset = read_coco(annotations, images)
    document = json.loads(annotations.read_text(encoding="utf-8"))
    by_image: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for entry in document["annotations"]:
        by_image[int(entry["image_id"])].append(entry)
    asked_count = filled_count = 0
    with open_any(engine, threads=threads) as opened:
        class_ids = _class_ids(opened, dataset)
        for image in track(dataset.images, "masks", console=Console(stderr=True)):
            # A picture's annotations have the order of the file.
            entries = [
                entry
                for entry, annotation in zip(
                    by_image[image.image_id], image.annotations, strict=True
                )
                if annotation.rle is None
                and not annotation.is_crowd
                and annotation.class_id in class_ids
            ]
            asked_count += len(entries)
            for entry, rle in zip(entries, _masks(opened, image, entries), strict=True):
                labelled, seen = np.array([entry["bbox"]], float), coco_mask.toBbox([rle])
                if coco_mask.iou(labelled, seen, [0])[0, 0] >= agreement:
                    entry["segmentation"], entry["area"] = rle, int(coco_mask.area(rle))
                    filled_count += 1
    write_text_atomically(output, json.dumps(document) + "\n")
    print(f"{output}: {filled_count} of {asked_count} boxes have a mask now")


def _class_ids(engine: "Engine", dataset: "CocoSet") -> set[int]:
    """Return the classes of a set that an engine can fill.

    Raises:
        ConfigError: There is none, or the engine masks no given boxes.
    """
    manifest = engine.manifest
    if manifest.crop_px is None:
        raise ConfigError(
            f"--engine: {manifest.name} has one stage; one of two is needed, such as {DEFAULT}."
        )
    found = {
        class_id
        for class_id, name in enumerate(dataset.class_names)
        if name in manifest.class_names
    }
    if not found:
        raise ConfigError(
            f"--engine: {manifest.name} knows {', '.join(manifest.class_names)}; "
            f"{dataset.path} has {', '.join(dataset.class_names)}."
        )
    return found


def _masks(
    engine: "Engine", image: "LabelledImage", entries: Sequence[dict[str, Any]]
) -> Iterator[Rle]:
    """Yield a mask in COCO's form for each labelled box of a picture."""
    if not entries:
        return
    corners = np.array([entry["bbox"] for entry in entries], np.float32)
    corners[:, 2:] += corners[:, :2]
    corners = np.clip(corners, 0, [image.width, image.height, image.width, image.height])
    boxed = Instances(
        boxes_xyxy_src=corners,
        scores=np.ones(len(corners), np.float32),
        class_ids=np.zeros(len(corners), np.int32),
        extents_xyxy_src=np.zeros((len(corners), 4), np.int32),
        patches=(np.zeros((1, 1), np.uint8),) * len(corners),
    )
    size_px = image.width, image.height
    found = engine.mask_boxes(boxed, RgbPicture(image.read()), size_px)
    # Labels say nothing of who stands in front: each mask is what its own box shows.
    found = replace(found, is_exclusive=False)
    for row in range(len(found)):
        yield to_rle(found, row, image.height, image.width)
