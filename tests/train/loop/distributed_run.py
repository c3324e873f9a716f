"""The body of a process that torchrun starts: a tiny run of each family, shared by all of them."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from maskstream.train.loop.group import Group, join_group, leave_group
from maskstream.train.loop.recipe import Recipe
from maskstream.train.loop.recipes import FAMILIES, get_recipe
from maskstream.train.loop.trainer import Trainer
from maskstream.train.options import TrainOptions
from maskstream.train.samples.coco import read_coco
from tests.helpers.engines import tiny
from tests.helpers.engines import tiny_mask_rcnn as tiny_mask_rcnn


def run(family: str, annotations: Path, folder: Path, options: TrainOptions, group: Group) -> None:
    """Train on a labelled set, in this process's share."""
    dataset = read_coco(annotations)
    recipe = make_recipe(family, dataset.class_names, options)
    Trainer(recipe, list(dataset.images), dataset, folder, group=group).run()


def make_recipe(
    family: str, class_names: tuple[str, ...], options: TrainOptions
) -> Recipe[Any, Any, Any]:
    """Return the recipe of a small network of a family."""
    kind = get_recipe(family)
    if family == "yolact":
        # With mask scoring, whose weights learn outside the network's forward pass; it needs this
        # size.
        config = replace(tiny.tiny_config(), input_size=256, has_mask_scoring=True)
        context = replace(options, contextual_weight=0.5, neighbor_weight=0.5)
        return kind(config, class_names, context)
    if family == "mask-rcnn":
        return kind(tiny_mask_rcnn.tiny_config(), class_names, options)
    size = 64 if family == "yolov3" else None
    config = kind.choose_config(kind.default_network, class_count=3, input_size=size)
    return kind(config, class_names, options)


def options(*, accumulate: int = 1) -> TrainOptions:
    """Return options under which the batch's parts do not see each other.

    Batch norms are frozen, as on CPUs each process would have the statistics of its own share.
    """
    return TrainOptions(
        iterations=4,
        batch=4,
        accumulate=accumulate,
        learning_rate=1e-2,
        clip_norm=10.0,
        freeze_bn=True,
        workers=0,
        validate_every=4,
        patience=9,
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    joined = join_group("cpu")
    for name in FAMILIES:
        run(name, Path(sys.argv[1]), Path(sys.argv[2], name), options(), joined)
    leave_group(joined)
