"""`maskstream data coco-subset`: the pictures and objects of some classes as a set of its own."""

import json
import os
import shutil
from collections import Counter
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maskstream.engines.files.disk import write_text_atomically
from maskstream.errors import ConfigError
from maskstream.tools.arguments.extras import needs_training_parts

if TYPE_CHECKING:
    from maskstream.train.samples.coco import CocoSet

PICTURE_FOLDER = "images"


AnnotationsArgument = Annotated[
    Path, typer.Argument(metavar="FILE.json", show_default=False, help="COCO JSON.")
]
ClassesOption = Annotated[
    str,
    typer.Option(
        metavar="NAME,NAME",
        show_default=False,
        help='Of the file\'s categories: person,chair,couch,"dining table",toilet.',
    ),
]
OutputOption = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="FOLDER",
        show_default=False,
        help="Gets a JSON of the same name, and the pictures in images; made if new.",
    ),
]
ImagesOption = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Where the pictures are; beside the file if left out."),
]
CopyOption = Annotated[
    bool,
    typer.Option(
        "--copy", help="Copy the pictures; else they are linked where the file system can."
    ),
]


def coco_subset(
    annotations: AnnotationsArgument,
    classes: ClassesOption,
    output: OutputOption,
    images: ImagesOption = None,
    copy: CopyOption = False,
) -> None:
    """Take the pictures that show one of some classes, with their objects of these classes.

    Category ids, crowds and everything else that the file says stay as they are.
    """
    with needs_training_parts("data coco-subset"):
        from maskstream.train.samples.coco import read_coco
    dataset = read_coco(annotations, images)
    wanted = _wanted(classes, dataset)
    target = output / annotations.name
    if target.exists():
        raise ConfigError(f"{target}: is there already; name another folder.")
    document = json.loads(annotations.read_text(encoding="utf-8-sig"))
    subset = _subset(document, wanted)
    folder = output / PICTURE_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    paths = {image.image_id: image.path for image in dataset.images}
    linked_count = 0
    for image in subset["images"]:
        source = paths[int(image["id"])]
        image["file_name"] = f"{PICTURE_FOLDER}/{_free_name(folder, source, int(image['id']))}"
        linked_count += _place(source, output / image["file_name"], is_copied=copy)
    write_text_atomically(target, json.dumps(subset) + "\n")
    objects = Counter(int(a["category_id"]) for a in subset["annotations"])
    shown = Counter(
        category
        for _, category in {
            (int(a["image_id"]), int(a["category_id"])) for a in subset["annotations"]
        }
    )
    for category in subset["categories"]:
        number = int(category["id"])
        print(f"{category['name']}: {objects[number]} objects in {shown[number]} pictures")
    count = len(subset["images"])
    print(
        f"{target}: {count} of {len(dataset.images)} pictures, {linked_count} linked and "
        f"{count - linked_count} copied; {sum(objects.values())} objects"
    )


def _wanted(classes: str, dataset: "CocoSet") -> set[int]:
    """Return the category ids of comma-separated class names.

    Raises:
        ConfigError: The set has no such class, or no name was given.
    """
    ids = dict(zip(dataset.class_names, dataset.category_ids, strict=True))
    names = [name.strip() for name in classes.split(",") if name.strip()]
    unknown = [name for name in names if name not in ids]
    if unknown:
        nearest = get_close_matches(unknown[0], ids, n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else f"it has {', '.join(ids)}."
        raise ConfigError(f"--classes: {dataset.path} has no class {unknown[0]}; {hint}")
    if not names:
        raise ConfigError("--classes: no name was given; at least one is needed.")
    return {ids[name] for name in names}


def _subset(document: dict[str, Any], wanted: set[int]) -> dict[str, Any]:
    """Return a document with the objects of some categories, and the pictures that have any."""
    objects = [a for a in document["annotations"] if int(a["category_id"]) in wanted]
    pictures = {int(a["image_id"]) for a in objects}
    return {
        **document,
        "categories": [c for c in document["categories"] if int(c["id"]) in wanted],
        "images": [i for i in document["images"] if int(i["id"]) in pictures],
        "annotations": objects,
    }


def _free_name(folder: Path, source: Path, image_id: int) -> str:
    """Return the picture's own name, or where another one has it, that with its id."""
    if not (folder / source.name).exists():
        return source.name
    return f"{source.stem}-{image_id}{source.suffix}"


def _place(source: Path, target: Path, *, is_copied: bool) -> bool:
    """Bring a picture to its place; says whether it is a link."""
    if not is_copied:
        try:
            os.link(source, target)
        except OSError:  # another file system, or one without links
            pass
        else:
            return True
    shutil.copyfile(source, target)
    return False
