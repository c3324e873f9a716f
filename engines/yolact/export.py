"""Write a trained YOLACT network as an engine file."""

from __future__ import annotations

import platform
import warnings
from dataclasses import replace
from pathlib import Path

import onnx
import torch

from engines.manifest import METADATA_KEY, Manifest
from engines.yolact.detect import Detections, YolactDetector

OPSET = 20
MAX_BATCH = 64


def export_onnx(detector: YolactDetector, manifest: Manifest, path: Path) -> None:
    """Write one ONNX file with the graph of `Detections` and the manifest in it.

    Everything in the graph has a static shape but the batch, so that the same file runs in
    OpenVINO and ONNX Runtime and builds for TensorRT.

    Args:
        detector: On the CPU, in float32.
        path: Replaced at once when the file is whole.
    """
    size = detector.network.config.input_size
    # Two frames: with one, the exporter would take the batch for a constant.
    frames = torch.zeros((2, size, size, 3), dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the exporter's own parts, nothing to act on
        program = torch.onnx.export(
            detector.eval(),
            (frames,),
            dynamo=True,
            opset_version=OPSET,
            input_names=["frames"],
            output_names=list(Detections._fields),
            dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=MAX_BATCH)},),
            verbose=False,
        )
    assert program is not None  # with dynamo=True it always returns one
    tools = {
        "torch": torch.__version__,
        "onnx": onnx.__version__,
        "python": platform.python_version(),
    }
    partial = path.with_name(f".{path.name}.partial")
    program.model.metadata_props[METADATA_KEY] = replace(manifest, tools=tools).to_json()
    program.save(str(partial))
    partial.replace(path)
