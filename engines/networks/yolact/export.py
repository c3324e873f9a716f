"""Write a trained YOLACT network as an engine file."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from maskstream.engines.conversion.torch_to_onnx import write_engine_graph, write_graph
from maskstream.engines.files.manifest import Manifest
from maskstream.engines.networks.yolact.detect import Detections, YolactDetector
from maskstream.engines.networks.yolact.network import Yolact

RAW_OUTPUT_NAMES = ("loc", "conf", "mask", "proto")


def export_onnx(detector: YolactDetector, manifest: Manifest, path: Path) -> None:
    """Write one ONNX file with the graph of `Detections` and the manifest in it.

    Everything in the graph has a static shape but the batch, so that the same file runs in
    OpenVINO and ONNX Runtime and builds for TensorRT.

    Args:
        detector: On the CPU, in float32.
        path: Replaced at once when the file is whole.
    """
    write_engine_graph(detector, Detections._fields, manifest, path)


def export_raw_onnx(network: Yolact, path: Path) -> None:
    """Write one ONNX file with what the network says before anything is decoded; it is no engine.

    The outputs are named as in the released code: ``loc`` (B, P, 4), ``conf`` (B, P, 1 + classes)
    before the softmax, ``mask`` (B, P, M) after the tanh, ``proto`` (B, Hp, Wp, M) after the ReLU.

    Args:
        network: On the CPU, in float32.
        path: Replaced at once when the file is whole.
    """
    write_graph(_RawNetwork(network), network.config.input_size, RAW_OUTPUT_NAMES, {}, path)


class _RawNetwork(nn.Module):
    """A network without the semantic map, which exists in training only."""

    def __init__(self, network: Yolact) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.network(frames)[: len(RAW_OUTPUT_NAMES)])
