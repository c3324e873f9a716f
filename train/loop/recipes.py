"""The families that can be trained, by name; a family's parts are loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from maskstream.train.errors import TrainError

if TYPE_CHECKING:
    from maskstream.train.loop.recipe import Recipe

FAMILIES: Mapping[str, tuple[str, str]] = {
    "yolact": ("maskstream.train.yolact.recipe", "YolactRecipe"),
    "yolov3": ("maskstream.train.yolo.recipe", "YoloRecipe"),
    "fcn": ("maskstream.train.fcn.recipe", "FcnRecipe"),
    "mask-rcnn": ("maskstream.train.mask_rcnn.recipe", "MaskRcnnRecipe"),
}
"""Module and class of each."""


def get_recipe(family: str) -> type[Recipe[Any, Any, Any]]:
    """Return how a family is trained.

    Raises:
        TrainError: There is no such family.
    """
    if family not in FAMILIES:
        raise TrainError(f"{family}: no such family; {', '.join(FAMILIES)} can be trained.")
    module, name = FAMILIES[family]
    recipe: type[Recipe[Any, Any, Any]] = getattr(import_module(module), name)
    return recipe
