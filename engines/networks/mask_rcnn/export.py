"""Write a trained Mask R-CNN as an engine file."""

from __future__ import annotations

from pathlib import Path

from maskstream.engines.conversion.torch_to_onnx import write_engine_graph
from maskstream.engines.errors import EngineError
from maskstream.engines.files.manifest import Manifest
from maskstream.engines.networks.mask_rcnn.detect import Detections, MaskRcnnDetector


def export_onnx(detector: MaskRcnnDetector, manifest: Manifest, path: Path) -> None:
    """Write one ONNX file with the graph of `Detections` and the manifest in it.

    Args:
        detector: On the CPU, in float32.
        path: Replaced at once when the file is whole.

    Raises:
        EngineError: The network pools regions with RoIPool.
    """
    if detector.config.region_pooling == "pool":
        raise EngineError(
            f"{path.name}: the network has RoIPool, which no graph operator says; train one with "
            "RoIAlign to export it."
        )
    write_engine_graph(detector, Detections._fields, manifest, path)
