"""Darknet's weights, with or without those of an FCN8s, as one engine file."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from maskstream.engines.files import class_names
from maskstream.errors import ConfigError

if TYPE_CHECKING:
    from maskstream.engines.networks.yolov3.network import Yolo

RECIPE_SCORE_MIN = 0.75
"""What the recipe of YOLOv3 and FCN8s asks of a box before it looks into it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DarknetImport:
    """What is to be imported.

    Attributes:
        fcn: Weights of an FCN8s; None for an engine of boxes alone.
        names: By class id; None for COCO's or Pascal's, by their count.
        kept: Of the names; None for all.
        side_px: Of the input; None for what the description says.
        score_min: As `engines.files.manifest.Manifest`; None for 0.75 with an FCN8s.
    """

    cfg: Path
    weights: Path
    fcn: Path | None
    names: tuple[str, ...] | None
    kept: tuple[str, ...] | None
    side_px: int | None
    score_min: float | None


def import_darknet(request: DarknetImport, output: Path, *, source: str, licence: str) -> str:
    """Write an engine; returns what it is, in a phrase.

    Raises:
        WeightsError: A file cannot be used.
        ConfigError: The names do not fit.
    """
    from maskstream.engines.networks.fcn.weights import load_fcn8s
    from maskstream.engines.networks.yolo_fcn.export import (
        detector_manifest,
        export_detector,
        export_pair,
        pair_manifest,
    )
    from maskstream.engines.networks.yolov3.detect import YoloDetector

    network, names = _read(request)
    detector = YoloDetector(network)
    fcn = None if request.fcn is None else load_fcn8s(request.fcn)
    manifest = (
        detector_manifest(detector, names) if fcn is None else pair_manifest(detector, fcn, names)
    )
    score_min = request.score_min
    if score_min is None:
        score_min = manifest.score_min if fcn is None else RECIPE_SCORE_MIN
    # Darknet's networks see frames in a letterbox of its own.
    manifest = replace(
        manifest,
        name=output.stem,
        source=source,
        licence=licence,
        score_min=score_min,
        fit="darknet",
    )
    # Half a minute for YOLOv3; where the output is no terminal this shows nothing.
    with Console(stderr=True).status(f"{output.name}: exporting"):
        if fcn is None:
            export_detector(detector, manifest, output)
        else:
            export_pair(detector, fcn, manifest, output)
    masks = "boxes alone" if fcn is None else "FCN8s"
    return f"{request.cfg.stem} at {network.input_size} px, {len(names)} classes, {masks}"


def _read(request: DarknetImport) -> tuple["Yolo", tuple[str, ...]]:
    from maskstream.engines.networks.yolov3.cfg import read_cfg
    from maskstream.engines.networks.yolov3.darknet import DarknetNetwork, keep_classes, make_yolo
    from maskstream.engines.networks.yolov3.weights import load_weights

    network = make_yolo(read_cfg(request.cfg), request.side_px)
    assert isinstance(network.body, DarknetNetwork)
    names = request.names or class_names.BY_COUNT.get(network.class_count)
    if names is None or len(names) != network.class_count:
        found = "no known names" if names is None else f"{len(names)} names"
        raise ConfigError(
            f"{request.cfg}: its {network.class_count} classes have {found}; give as many with "
            "--class-names."
        )
    load_weights(network.body, request.weights)
    if request.kept is None:
        return network, names
    unknown = [name for name in request.kept if name not in names]
    if unknown:
        raise ConfigError(
            f"--classes: {', '.join(unknown)} is none of the network's; they are "
            f"{', '.join(names)}."
        )
    kept = [number for number, name in enumerate(names) if name in request.kept]
    keep_classes(network, kept)
    return network, tuple(names[number] for number in kept)
