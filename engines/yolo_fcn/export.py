"""Write a detector and what masks its boxes as one engine file.

The file holds two graphs that share nothing, side by side: ``frames`` to ``boxes``, ``scores`` and
``class_ids``, and ``crops`` (N, C, C, 3) to ``masks`` (N, M, M). One graph from frames to masks
would have to take the full-resolution frame, whose size is not static, and would mask as many boxes
in every frame, however few there are. Two files could be parted. Every tool for ONNX reads the file
as it is; `engines.onnx_parts` gives each graph to a runtime of its own.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import onnx
import torch
from torch import Tensor, nn

from engines.fcn.fixed_size import FixedSizeFcn8s
from engines.fcn.network import Fcn8s
from engines.graph_file import write_engine_graph, write_graph
from engines.manifest import Manifest
from engines.yolov3.detect import YoloDetections, YoloDetector


class CropProbabilities(nn.Module):
    """A network for two or more classes, background first, as one for objects.

    Args:
        network: Takes (N, C, C, 3) uint8 RGB crops; gives (N, classes, M, M) logits. An FCN8s is
            taken without what it computes for all crops alike.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = FixedSizeFcn8s(network) if isinstance(network, Fcn8s) else network.eval()

    def forward(self, crops: Tensor) -> Tensor:
        """Return (N, M, M) probabilities that a pixel is not background."""
        logits = cast(Tensor, self.network(crops)).float()
        return 1 - torch.softmax(logits, dim=1)[:, 0]


def detector_manifest(detector: YoloDetector, class_names: tuple[str, ...]) -> Manifest:
    """Return what a detector says about itself, without name and origin."""
    return Manifest(
        family="yolo",
        name="yolo",
        input_size=detector.network.input_size,
        class_names=class_names,
        patch_px=1,
        fit="letterbox",
        metrics={},
        tools={},
    )


def pair_manifest(detector: YoloDetector, fcn: nn.Module, class_names: tuple[str, ...]) -> Manifest:
    """Return what a pair says about itself, without name and origin."""
    masker: Any = fcn
    return replace(
        detector_manifest(detector, class_names),
        family="yolo-fcn",
        name="yolo-fcn",
        patch_px=masker.mask_px,
        crop_px=masker.crop_px,
        crop_margin=masker.crop_margin,
    )


def export_detector(detector: YoloDetector, manifest: Manifest, path: Path) -> None:
    """Write an engine of boxes alone; its masks are its boxes.

    Args:
        detector: On the CPU, in float32.
        path: Replaced at once when the file is whole.
    """
    write_engine_graph(detector, YoloDetections._fields, manifest, path)


def export_pair(detector: YoloDetector, fcn: nn.Module, manifest: Manifest, path: Path) -> None:
    """Write an engine of a detector and what masks its boxes.

    Args:
        detector: On the CPU, in float32.
        fcn: As `pair_manifest` takes it; likewise.
        path: Replaced at once when the file is whole.
    """
    crop_px = cast(Any, fcn).crop_px
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        boxes, masks = Path(folder, "boxes.onnx"), Path(folder, "masks.onnx")
        export_detector(detector, manifest, boxes)
        write_graph(CropProbabilities(fcn), crop_px, ["masks"], {}, masks)
        model = onnx.load(boxes)
        _add_graph(model.graph, onnx.load(masks).graph)
        onnx.save(model, boxes)
        boxes.replace(path)


def _add_graph(graph: onnx.GraphProto, other: onnx.GraphProto) -> None:
    """Put the graph of the crops beside that of the frames."""

    def renamed(name: str) -> str:
        kept = {"": "", "frames": "crops", "masks": "masks"}  # an empty name is an input left out
        return kept.get(name, f"crops/{name}")

    for node in other.node:
        node.name = renamed(node.name)
        for names in (node.input, node.output):
            names[:] = [renamed(name) for name in names]
    for weights in other.initializer:
        weights.name = renamed(weights.name)
    for value in (*other.input, *other.output, *other.value_info):
        value.name = renamed(value.name)
        # The number of crops is none of the number of frames, whose dimension has this name too.
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param:  # setting it would put it in the place of a number
                dimension.dim_param = dimension.dim_param.replace("batch", "crops")
    for name in ("node", "initializer", "input", "output", "value_info"):
        getattr(graph, name).extend(getattr(other, name))
