"""The networks that a pair is made of, by name: a detector, and what masks its boxes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from maskstream.engines.errors import EngineError
from maskstream.engines.networks.fcn.network import Fcn8s
from maskstream.engines.networks.yolo_fcn.light import LightFcn, make_light_yolo
from maskstream.engines.networks.yolov3.darknet import make_yolo
from maskstream.engines.networks.yolov3.known import KNOWN_CFGS
from maskstream.engines.networks.yolov3.network import Yolo


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorConfig:
    """A detector.

    Attributes:
        name: What the command line calls it.
        input_size: Side of the square input in pixels, a multiple of 32.
        class_count: Classes.
    """

    name: str
    input_size: int
    class_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FcnConfig:
    """What tells an object from the rest of its crop.

    Attributes:
        name: What the command line calls it.
        input_size: Side of the crops, in pixels.
        class_count: 1, the object, whichever it is.
    """

    name: str
    input_size: int
    class_count: int = 1


DETECTORS: Mapping[str, DetectorConfig] = {
    config.name: config
    for config in (
        DetectorConfig(name="yolo-light", input_size=416, class_count=1),
        DetectorConfig(name="yolov3", input_size=416, class_count=80),
        DetectorConfig(name="yolov3-spp", input_size=608, class_count=80),
        DetectorConfig(name="yolov3-tiny", input_size=416, class_count=80),
    )
}
FCNS: Mapping[str, FcnConfig] = {
    config.name: config
    for config in (
        FcnConfig(name="fcn-light", input_size=112),
        FcnConfig(name="fcn8s", input_size=224),
        FcnConfig(name="fcn8s-atonce", input_size=224),
    )
}


def make_detector(config: DetectorConfig) -> Yolo:
    """Return an untrained detector.

    Raises:
        EngineError: There is none of that name.
    """
    if config.name == "yolo-light":
        return make_light_yolo(config.class_count, config.input_size)
    if config.name not in KNOWN_CFGS:
        raise EngineError(f"{config.name}: no such detector; use one of {', '.join(DETECTORS)}.")
    return make_yolo(KNOWN_CFGS[config.name](config.class_count, config.input_size))


def make_fcn(config: FcnConfig) -> nn.Module:
    """Return an untrained network for two classes, background first.

    It has ``crop_px`` and ``mask_px``, the sides of what it takes and gives, and ``crop_margin``.

    Raises:
        EngineError: There is none of that name.
    """
    if config.name == "fcn-light":
        return LightFcn(config.input_size)
    if config.name not in FCNS:
        raise EngineError(f"{config.name}: no such FCN; use one of {', '.join(FCNS)}.")
    return Fcn8s(is_at_once=config.name == "fcn8s-atonce", crop_px=config.input_size)
