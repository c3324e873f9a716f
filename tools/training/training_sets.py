"""The labelled sets of a training: what it learns from, what it is scored on, and their classes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskstream.errors import ConfigError
from maskstream.tools.training.training_data import TrainingFiles
from maskstream.train.errors import AnnotationError
from maskstream.train.loop.recipe import Recipe
from maskstream.train.samples.coco import CocoSet, LabelledImage, read_coco
from maskstream.train.samples.voc import read_voc


@dataclass(frozen=True, slots=True)
class TrainingSets:
    """What was read.

    Attributes:
        training: At least one, with the same classes where the network tells classes apart.
        validation: To score on.
        test: Measured beside it.
        class_names: What the network tells apart.
    """

    training: tuple[CocoSet, ...]
    validation: CocoSet | None
    test: CocoSet | None
    class_names: tuple[str, ...]

    @property
    def images(self) -> list[LabelledImage]:
        """All pictures to learn from."""
        return [image for dataset in self.training for image in dataset.images]

    @property
    def picture_counts(self) -> dict[str, int]:
        """Annotation file to learn from -> number of its pictures."""
        return {str(dataset.path): len(dataset.images) for dataset in self.training}


def read_sets(
    files: TrainingFiles,
    recipe: type[Recipe[Any, Any, Any]],
    images: Path | None = None,
    partial_sources: tuple[str, ...] = (),
) -> TrainingSets:
    """Read what a training needs.

    Args:
        recipe: Of the family, which says what it can be scored on.
        images: Folder that the training files' names start in; each file's own if None.
        partial_sources: Values of an image's ``source`` whose images label only some of their
            objects.

    Raises:
        AnnotationError: A file has faults, or the training files have different classes.
        ConfigError: AP is asked for on Pascal VOC, which pycocotools does not read.
    """
    training = tuple(_read_training(path, images, partial_sources) for path in files.annotations)
    return TrainingSets(
        training,
        None if files.validation is None else _read_validation(files.validation, recipe),
        None if files.test is None else read_coco(files.test),
        ("object",) if recipe.is_class_agnostic else _common_classes(training),
    )


def _read_training(path: Path, images: Path | None, partial_sources: tuple[str, ...]) -> CocoSet:
    """Read what there is to learn from: COCO JSON, or a folder of Pascal VOC."""
    return (
        read_voc(path)
        if path.is_dir()
        else read_coco(path, images, partial_sources=partial_sources)
    )


def _read_validation(path: Path, recipe: type[Recipe[Any, Any, Any]]) -> CocoSet:
    if not path.is_dir():
        return read_coco(path)
    if not recipe.is_class_agnostic:
        raise ConfigError(
            f"--val: {path} is a folder; AP is measured on COCO JSON, which `maskstream data "
            "convert` writes."
        )
    return read_voc(path)


def _common_classes(sets: tuple[CocoSet, ...]) -> tuple[str, ...]:
    """Return the classes that all sets have, in one order.

    Raises:
        AnnotationError: They differ.
    """
    first = sets[0]
    for other in sets[1:]:
        if other.class_names != first.class_names:
            raise AnnotationError(
                f"{other.path}: has the classes {listed(other.class_names)}, {first.path} has "
                f"{listed(first.class_names)}; the files must have the same."
            )
    return first.class_names


def listed(names: tuple[str, ...]) -> str:
    """Return names, or the first of many."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
