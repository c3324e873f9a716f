"""The families of networks: which decoder each one's outputs go through."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from maskstream.engines.decoding import box_masks, boxes, yolo_seg
from maskstream.engines.decoding import prototypes as assemble
from maskstream.engines.decoding.prototypes import Selection
from maskstream.engines.errors import EngineFileError
from maskstream.engines.interface.backend import Outputs
from maskstream.engines.interface.fit import Fit
from maskstream.engines.interface.instances import Instances

Assemble = Callable[[Outputs, int, Fit, Selection], Instances]
"""From a graph's outputs, a frame's place in the batch, and how it was fitted into the input."""


@dataclass(frozen=True, slots=True)
class Family:
    """What the runtime part knows of a family.

    Attributes:
        name: As manifests write it.
        assemble: Makes the instances of one frame.
    """

    name: str
    assemble: Assemble


_FAMILIES = (
    Family("yolact", assemble.assemble),
    Family("mask-rcnn", box_masks.assemble),
    Family("yolo-seg", yolo_seg.assemble),
    Family("yolo", boxes.assemble),
    Family("yolo-fcn", boxes.assemble),
)

FAMILIES: Mapping[str, Family] = {family.name: family for family in _FAMILIES}


def get_family(name: str, *, where: str) -> Family:
    """Return a family by its name.

    Args:
        where: The file that names it, for the error message.

    Raises:
        EngineFileError: There is no such family.
    """
    family = FAMILIES.get(name)
    if family is None:
        raise EngineFileError(
            f"{where}: is of the family {name!r}; {', '.join(FAMILIES)} can be run."
        )
    return family
