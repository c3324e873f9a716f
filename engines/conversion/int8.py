"""From a float32 graph to one whose convolutions compute in 8-bit integers.

Calibrated, not trained: a few pictures tell the range of each activation. The first layer of each
graph, which sees the pixels, and the last ones, whose values are decoded, stay as they are, and so
does all that holds no convolution: box decoding, softmax, NMS, mask products.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from maskstream.engines.errors import EngineError
from maskstream.engines.files.manifest import METADATA_KEY, Manifest
from maskstream.engines.interface.backend import to_planes

_QUANTISED = "Conv"


Sample = tuple[NDArray[np.uint8], ...]
"""What an engine's graphs get at a time: frames (B, S, S, 3), and where there is a second one crops
(N, C, C, 3), N from 1."""


def write_int8(source: Path, manifest: Manifest, samples: Iterable[Sample], target: Path) -> None:
    """Write an engine file as one of INT8.

    Args:
        source: In float32.
        manifest: Of ``source``, but for what it says of accuracy, which is the new file's.
        samples: RGB, fitted into the input, such as the engine will see.
        target: Replaced at once when the file is whole.

    Raises:
        EngineError: The graph is in INT8 already, or there is too little in it.
    """
    model = onnx.load(source)
    kept = _kept_layers(model.graph)
    if not any(node.op_type == _QUANTISED and node.name not in kept for node in model.graph.node):
        raise EngineError(f"{source}: has no convolutions that could become INT8; nothing is done.")
    if any(node.op_type == "DequantizeLinear" for node in model.graph.node):
        raise EngineError(f"{source}: is in INT8 already; the float32 engine is needed.")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".maskstream-") as folder:
        whole = Path(folder) / target.name
        with _without_advice():
            quantize_static(
                model,
                whole,
                _Samples(model.graph, manifest, samples),
                # Pairs of quantise and dequantise, which every runtime reads.
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=[_QUANTISED],
                nodes_to_exclude=sorted(kept),
                per_channel=True,
                # Seven bits of weights: processors without VNNI add two products of eight bits in
                # sixteen, which overflow. Nothing is lost by it (docs/figures.md).
                reduce_range=True,
                activation_type=QuantType.QInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,
                extra_options={
                    # With a zero point OpenVINO computes most layers in float after all.
                    "ActivationSymmetric": True,
                    # One picture's extremes would make all steps coarse: on `person` the mask AP
                    # falls by 1.4 hundredths without this, and by 0.4 with it.
                    "CalibMovingAverage": True,
                    # TensorRT takes no biases of 32 bits.
                    "QuantizeBias": False,
                },
            )
        made = onnx.load(whole)
        _describe(made, manifest, target.stem)
        onnx.save(made, whole)
        whole.replace(target)


def _kept_layers(graph: GraphProto) -> frozenset[str]:
    """Return the names of convolutions that follow no other, or that no other one follows."""
    is_made: dict[str, bool] = {}  # by a convolution, before or at the node
    is_first = []
    for node in graph.node:
        follows = any(is_made.get(name, False) for name in node.input)
        is_first.append(not follows)
        is_made.update(dict.fromkeys(node.output, follows or node.op_type == _QUANTISED))
    readers: dict[str, list[int]] = {}
    for index, node in enumerate(graph.node):
        for name in node.input:
            readers.setdefault(name, []).append(index)
    leads: list[bool] = [False] * len(graph.node)  # to a convolution; nodes stand in their order
    for index in reversed(range(len(graph.node))):
        leads[index] = any(
            leads[reader] or graph.node[reader].op_type == _QUANTISED
            for name in graph.node[index].output
            for reader in readers.get(name, ())
        )
    return frozenset(
        node.name
        for node, starts, is_followed in zip(graph.node, is_first, leads, strict=True)
        if node.op_type == _QUANTISED and (starts or not is_followed)
    )


class _Samples(CalibrationDataReader):  # type: ignore[misc]
    """Gives the calibration one sample after the other."""

    def __init__(self, graph: GraphProto, manifest: Manifest, samples: Iterable[Sample]) -> None:
        self._inputs = [given.name for given in graph.input]
        self._takes_planes = manifest.layout == "planes"
        self._samples = iter(samples)

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        sample = next(self._samples, None)
        if sample is None:
            return None
        frames, *crops = sample
        first = to_planes(frames) if self._takes_planes else frames
        return dict(zip(self._inputs, (first, *crops), strict=False))


def _describe(model: ModelProto, manifest: Manifest, name: str) -> None:
    """Write what has become of the engine into its manifest, if it has one of ours."""
    for entry in model.metadata_props:
        if entry.key == METADATA_KEY:
            tools = {**manifest.tools, "onnxruntime": onnxruntime.__version__}
            made = replace(manifest, name=name, precision="int8", tools=tools)
            entry.value = made.to_json()


@contextmanager
def _without_advice() -> Iterator[None]:
    """Keep ONNX Runtime from advising steps that the graph has behind it, on the root logger."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
