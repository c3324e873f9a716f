"""Write a detector and what masks its boxes as one engine file.

The file holds two graphs that share nothing, side by side: ``frames`` to ``boxes``, ``scores`` and
``class_ids``, and ``crops`` (N, C, C, 3) to ``masks`` (N, M, M). One graph from frames to masks
would have to take the full-resolution frame, whose size is not static, and would mask as many boxes
in every frame, however few there are. Two files could be parted. Every tool for ONNX reads the file
as it is; `engines.files.onnx_parts` gives each graph to a runtime of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import onnx
import torch
from torch import Tensor, nn

from maskstream.engines.conversion.torch_to_onnx import write_engine_graph, write_graph
from maskstream.engines.files.manifest import METADATA_KEY, Manifest
from maskstream.engines.networks.fcn.fixed_size import FixedSizeFcn8s
from maskstream.engines.networks.fcn.network import Fcn8s
from maskstream.engines.networks.yolov3.detect import YoloDetections, YoloDetector


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
    return joined_manifest(detector_manifest(detector, class_names), fcn_crops(fcn))


@dataclass(frozen=True, slots=True)
class Crops:
    """What a graph of crops takes and gives.

    Attributes:
        crop_px: Side of the crops.
        mask_px: Side of the masks.
        margin: As `engines.decoding.crops.crop_extents` takes it.
    """

    crop_px: int
    mask_px: int
    margin: float


def fcn_crops(fcn: nn.Module) -> Crops:
    """Return what the graph of an FCN takes and gives."""
    masker: Any = fcn
    return Crops(masker.crop_px, masker.mask_px, masker.crop_margin)


def joined_manifest(first: Manifest, crops: Crops, share_max: float = 0.05) -> Manifest:
    """Return what an engine says about itself when a graph of crops is joined to it.

    Args:
        first: Of the engine before.
        crops: Of the graph that is joined.
        share_max: Boxes that cover more of the frame keep the first graph's masks, where it gives
            any.
    """
    is_detector = first.family == "yolo"
    return replace(
        first,
        family="yolo-fcn" if is_detector else first.family,
        patch_px=crops.mask_px if is_detector else max(first.patch_px, crops.mask_px),
        crop_px=crops.crop_px,
        crop_margin=crops.margin,
        crop_share_max=None if is_detector else share_max,
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
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        boxes, masks = Path(folder, "boxes.onnx"), Path(folder, "masks.onnx")
        export_detector(detector, manifest, boxes)
        export_crops(fcn, masks)
        join_graphs(onnx.load(boxes), onnx.load(masks), manifest, path)


def export_crops(fcn: nn.Module, path: Path) -> None:
    """Write the graph of crops alone, which is no engine."""
    write_graph(CropProbabilities(fcn), fcn_crops(fcn).crop_px, ["masks"], {}, path)


def join_graphs(
    first: onnx.ModelProto, crops: onnx.ModelProto, manifest: Manifest, path: Path
) -> None:
    """Write an engine of the graph of frames and one of crops.

    Args:
        first: Changed. What it says of the tools that made it stays.
        crops: Changed.
        manifest: As `joined_manifest` makes it.
        path: Replaced at once when the file is whole.
    """
    _add_graph(first.graph, crops.graph)
    metadata = next(entry for entry in first.metadata_props if entry.key == METADATA_KEY)
    tools = Manifest.from_json(metadata.value, where=path.name).tools
    metadata.value = replace(manifest, tools=tools).to_json()
    partial = path.with_name(f".{path.name}.partial")
    onnx.save(first, partial)
    partial.replace(path)


def _add_graph(graph: onnx.GraphProto, other: onnx.GraphProto) -> None:
    """Put the graph of the crops beside that of the frames."""

    # An empty name is an input left out. A graph that was joined before has its names already.
    kept = {"": "", "frames": "crops", "crops": "crops", "masks": "masks"}

    def renamed(name: str) -> str:
        return kept.get(name, f"crops/{name.removeprefix('crops/')}")

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
