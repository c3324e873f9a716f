"""`maskstream data split`: one annotation file becomes several, whose classes are alike."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from maskstream.engines.files.disk import write_text_atomically
from maskstream.errors import OutputError
from maskstream.train.errors import AnnotationError
from maskstream.train.formats.coco_file import name_from
from maskstream.train.samples.coco import CocoSet, read_coco
from maskstream.train.samples.stratify import stratify


def write_splits(
    annotations: Path, images: Path | None, folder: Path, shares: Mapping[str, float], seed: int
) -> Iterator[str]:
    """Write ``NAME.json`` for each share; everything that the file says besides stays in each.

    Args:
        folder: Made where it is missing.

    Returns:
        A line for each file, once it is written.

    Raises:
        AnnotationError: The file or its pictures have faults, or there are too few pictures.
        OutputError: The folder cannot be had, or the source would be written over.
    """
    targets = {name: folder / f"{name}.json" for name in shares}
    _check_targets(annotations, folder, targets)
    dataset = read_coco(annotations, images)
    parts = _dealt(dataset, shares, seed)
    document = json.loads(annotations.read_text(encoding="utf-8-sig"))
    paths = {image.image_id: image.path for image in dataset.images}
    try:
        folder.mkdir(exist_ok=True)
    except OSError as exc:
        raise OutputError(f"{folder}: cannot be made ({exc.strerror}); name another.") from exc
    for name, mine in parts.items():
        part_images = [
            image | {"file_name": name_from(paths[int(image["id"])], folder)}
            for image in document["images"]
            if int(image["id"]) in mine
        ]
        objects = [a for a in document["annotations"] if int(a["image_id"]) in mine]
        part = document | {"images": part_images, "annotations": objects}
        write_text_atomically(targets[name], json.dumps(part) + "\n")
        yield f"{targets[name]}: {len(part_images)} pictures, {len(objects)} objects"


def _check_targets(annotations: Path, folder: Path, targets: Mapping[str, Path]) -> None:
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is a file; a folder is needed.")
    if not folder.parent.is_dir():
        raise OutputError(
            f"{folder}: {folder.parent} does not exist; make it first: mkdir -p {folder.parent}"
        )
    for path in targets.values():
        if path.exists() and annotations.exists() and path.samefile(annotations):
            raise OutputError(
                f"{path}: is what is to be divided, and would be written over; name another folder."
            )


def _dealt(dataset: CocoSet, shares: Mapping[str, float], seed: int) -> dict[str, set[int]]:
    """Return the ids of each part's pictures."""
    labels = [{a.class_id for a in image.annotations} for image in dataset.images]
    numbers = stratify(labels, list(shares.values()), seed)
    parts: dict[str, set[int]] = {name: set() for name in shares}
    for image, number in zip(dataset.images, numbers, strict=True):
        parts[list(shares)[number]].add(image.image_id)
    empty = [name for name, mine in parts.items() if not mine]
    if empty:
        raise AnnotationError(
            f"{dataset.path}: has {len(dataset.images)} pictures, which leaves none for "
            f"{', '.join(empty)}; more pictures or other shares are needed."
        )
    return parts
