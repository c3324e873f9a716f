"""`maskstream data`: labelled pictures converted, checked, shown, divided and fetched."""

import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from maskstream.errors import ConfigError, OutputError
from maskstream.tools.arguments.checks import check_file
from maskstream.tools.arguments.extras import needs_training_parts
from maskstream.tools.datasets.add_masks import add_masks
from maskstream.tools.datasets.coco_subset import coco_subset

data_app = typer.Typer(
    no_args_is_help=True, help="Convert, check, show, divide and fetch labelled pictures."
)
data_app.command("coco-subset")(coco_subset)
data_app.command("add-masks")(add_masks)


class FormatName(StrEnum):
    """What `train.formats.FORMATS` holds; written out, as reading it takes the training parts."""

    COCO = "coco"
    LABELSTUDIO = "labelstudio"
    VIA = "via"
    LABELME = "labelme"
    YOLO = "yolo"
    VOC = "voc"
    OPENIMAGES = "openimages"


AnnotationsArgument = Annotated[
    Path, typer.Argument(metavar="FILE.json", show_default=False, help="COCO JSON.")
]
ImagesOption = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Where the pictures are; beside their labels if left out."),
]


SourceArgument = Annotated[
    Path, typer.Argument(metavar="SOURCE", show_default=False, help="A file, or a folder.")
]
OutputOption = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="OUT",
        show_default=False,
        help="A JSON, or a new folder for labelme, yolo, voc and openimages.",
    ),
]
FromOption = Annotated[FormatName, typer.Option("--from", help="Format of the source.")]
ToOption = Annotated[FormatName, typer.Option("--to", help="Format to write.")]
SplitOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Of a source with several: train, val, ..."),
]
ClassesOption = Annotated[
    str | None, typer.Option(metavar="NAME,NAME", help="Only these, in this order.")
]
ClassAttributeOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Of VGG Image Annotator, what names the class."),
]


@data_app.command("convert")
def convert(
    source: SourceArgument,
    output: OutputOption,
    from_: FromOption,
    to: ToOption = FormatName.COCO,
    images: ImagesOption = None,
    split: SplitOption = None,
    classes: ClassesOption = None,
    class_attribute: ClassAttributeOption = None,
) -> None:
    """Convert labelled pictures from one format to another.

    Masks keep every pixel, and what cannot be taken over is counted.

    Faults of the source are named with file and line before anything is written.

    Pictures stay where they are; yolo, voc and openimages get copies in their own folders.
    """  # fmt: skip
    with needs_training_parts("data convert"):
        from maskstream.train.formats import FORMATS, ReadOptions
    if not source.exists():
        raise ConfigError(f"{source}: no such file or folder.")
    _check_target(output, source, is_folder=FORMATS[to].is_folder)
    options = ReadOptions(images=images, split=split, class_attribute=class_attribute)
    dataset = FORMATS[from_].read(source, options)
    if classes is not None:
        dataset = dataset.only(_names(classes, dataset.class_names))
    left_out = dataset.left_out + FORMATS[to].write(dataset, output)
    objects = [o for picture in dataset.pictures for o in picture.objects]
    masks = sum(o.segmentation is not None for o in objects)
    _say(f"{len(dataset.pictures)} pictures, {len(objects)} objects, {masks} with a mask; "
         f"classes: {', '.join(dataset.class_names)}")  # fmt: skip
    _say_left_out(left_out)
    print(output)


@data_app.command("check")
def check(
    annotations: Annotated[
        list[Path], typer.Argument(metavar="FILE.json...", show_default=False, help="COCO JSON.")
    ],
    images: ImagesOption = None,
) -> None:
    """Name every fault of annotations and pictures; and pictures that are there twice.

    Give the files for training and validation together to see what they share.
    """
    with needs_training_parts("data check"):
        from maskstream.tools.training.training_view import data_lines
        from maskstream.train.samples.coco import read_coco
        from maskstream.train.samples.cut_pictures import cut_pictures
        from maskstream.train.samples.repeats import repeated_pictures
    sets = [read_coco(path, images) for path in annotations]
    for line in data_lines(sets):
        print(line)
    every = [image.path for each in sets for image in each.images]
    for path in cut_pictures(every):
        print(f"a picture that ends too early, and is grey from there on: {path}")
    for paths in repeated_pictures(every):
        print(f"the same picture: {', '.join(map(str, paths))}")


@data_app.command("show")
def show(
    annotations: AnnotationsArgument,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT.png", show_default=False)],
    images: ImagesOption = None,
    count: Annotated[int, typer.Option(min=1, max=400, help="Pictures on the sheet.")] = 24,
    seed: Annotated[int, typer.Option(min=0, help="Of the choice of pictures.")] = 0,
) -> None:
    """Draw a sheet of pictures with their masks, and how classes and sizes are distributed."""
    with needs_training_parts("data show"):
        from maskstream.train.samples.coco import read_coco
        from maskstream.train.samples.contact_sheet import draw_sheet
    if output.suffix.lower() != ".png":
        raise OutputError(f"{output}: the name ends in {output.suffix!r}; it has to be .png.")
    check_file(output)
    draw_sheet(read_coco(annotations, images), output, count=count, seed=seed)
    print(output)


@data_app.command("split")
def split(
    annotations: AnnotationsArgument,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FOLDER", show_default=False, help="Made if new."),
    ],
    images: ImagesOption = None,
    val: Annotated[float, typer.Option(min=0, max=0.9, help="Share of val.json.")] = 0.2,
    test: Annotated[float, typer.Option(min=0, max=0.9, help="Share of test.json.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Divide one file into train.json, val.json and test.json, with each class in each.

    The same seed divides the same way. The pictures stay where they are.
    """
    with needs_training_parts("data split"):
        from maskstream.tools.datasets.split import write_splits
    shares = {"train": 1 - val - test, "val": val, "test": test}
    if shares["train"] <= 0:
        raise ConfigError(f"--val {val:g} --test {test:g}: nothing is left for training.")
    used = {name: share for name, share in shares.items() if share}
    for line in write_splits(annotations, images, output, used, seed):
        print(line)


@data_app.command("fetch-openimages")
def fetch_openimages(
    class_names: Annotated[
        list[str],
        typer.Option("--class", metavar="NAME", show_default=False, help="As Pumpkin; repeatable."),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FOLDER", show_default=False, help="Made if new."),
    ],
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "train",
    max_images: Annotated[
        int | None, typer.Option(min=1, help="Pictures at most, in the order of their ids.")
    ] = None,
    boxes: Annotated[
        bool, typer.Option("--boxes", help="Boxes without masks too (train: a table of 2.3 GB).")
    ] = False,
    mirror: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where openimages/ and open-images-dataset/ are instead."),
    ] = None,
) -> None:
    """Fetch the masks and pictures of some classes of Open Images V6.

    The same command goes on where an earlier one ended; tables are kept in the cache.

    All pictures of train need 16 archives of masks, 0.3 GB each, which are deleted after use.
    """
    with needs_training_parts("data fetch-openimages"):
        from maskstream.tools.datasets.open_images_fetch import Wanted, fetch_open_images
    wanted = Wanted(
        class_names=tuple(class_names), split=split, max_images=max_images, has_boxes=boxes
    )
    print(fetch_open_images(wanted, output, mirror, _say))
    _say(f"next: maskstream data convert --from openimages {output} -o {output}/{split}.json")


def _check_target(output: Path, source: Path, *, is_folder: bool) -> None:
    """Check that what is written replaces nothing but an earlier result.

    Raises:
        OutputError: It cannot go there.
    """
    if output.exists() and output.samefile(source):
        raise OutputError(f"{output}: it is the source itself; name another place.")
    if not is_folder:
        check_file(output)
    elif output.is_file() or (output.is_dir() and any(output.iterdir())):
        raise OutputError(f"{output}: is there already; a new or empty folder is needed.")
    elif not output.parent.is_dir():
        raise OutputError(f"{output}: {output.parent} does not exist; make it first.")


def _names(text: str, known: tuple[str, ...]) -> list[str]:
    names = [name for part in text.split(",") if (name := part.strip())]
    unknown = [name for name in names if name not in known]
    if unknown or not names or len(set(names)) < len(names):
        raise ConfigError(f"--classes: {text!r}; different ones of {', '.join(known)} are needed.")
    return names


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _say_left_out(left_out: Mapping[str, int]) -> None:
    for what, count in sorted(left_out.items()):
        _say(f"left out: {count} {what}")
