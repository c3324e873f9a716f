"""Write a PyTorch module that takes frames as one ONNX file."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import onnx
import torch
from torch import nn

from maskstream.engines.files.manifest import METADATA_KEY, Manifest
from maskstream.engines.limits import MAX_BATCH

OPSET = 20


def write_engine_graph(
    module: nn.Module, output_names: Sequence[str], manifest: Manifest, path: Path
) -> None:
    """Write an engine file: everything in the graph has a static shape but the batch.

    Args:
        module: Takes (B, S, S, 3) uint8 RGB frames; on the CPU, in float32.
        output_names: Of what it returns, in its order.
        manifest: Goes into the file, with the versions of what made it.
        path: Replaced at once when the file is whole.
    """
    tools = {
        "torch": torch.__version__,
        "onnx": onnx.__version__,
        "python": platform.python_version(),
    }
    metadata = {METADATA_KEY: replace(manifest, tools=tools).to_json()}
    write_graph(module, manifest.input_size, output_names, metadata, path)


def write_graph(
    module: nn.Module, side: int, output_names: Sequence[str], metadata: dict[str, str], path: Path
) -> None:
    """Write one ONNX file; arguments as of `write_engine_graph`, ``side`` that of the frames."""
    # Two frames: with one, the exporter would take the batch for a constant.
    frames = torch.zeros((2, side, side, 3), dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the exporter's own parts, nothing to act on
        program = torch.onnx.export(
            module.eval(),
            (frames,),
            dynamo=True,
            opset_version=OPSET,
            input_names=["frames"],
            output_names=list(output_names),
            dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=MAX_BATCH)},),
            verbose=False,
        )
    assert program is not None  # with dynamo=True it always returns one
    program.model.metadata_props.update(metadata)
    partial = path.with_name(f".{path.name}.partial")
    program.save(str(partial))
    partial.replace(path)
