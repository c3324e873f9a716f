"""Where a float16 form of a graph differs from the graph, tensor by tensor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto

from maskstream.engines.conversion.fp16 import FLOAT16_MAX, FLOAT16_SUFFIX, fp16_tensors, to_fp16

RANGE_MAX = FLOAT16_MAX / 8
"""Values beyond this stay in float32: other frames may have larger ones than those looked at."""
_TENSORS_AT_ONCE = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerDifference:
    """How far a tensor is from what it is in float32.

    Attributes:
        tensor: Its name in the graph.
        operator: What makes it, such as "Conv".
        largest: The largest magnitude in float32.
        relative_error: Root mean square of the difference over that of the tensor.
    """

    tensor: str
    operator: str
    largest: float
    relative_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fp16Graph:
    """A float16 graph, and how it was checked.

    Attributes:
        differences: Of every float16 tensor, the largest relative error first.
        kept: Tensors that stay in float32 because of their range.
    """

    model: ModelProto
    differences: tuple[LayerDifference, ...]
    kept: frozenset[str]


def checked_fp16(
    model: ModelProto,
    frames: NDArray[np.uint8],
    watch: Callable[[float], None] = lambda share: None,
) -> Fp16Graph:
    """Return the float16 form of a graph, compared with it on frames layer by layer.

    Args:
        model: In float32.
        frames: (B, S, S, 3) RGB as the graph takes them.
        watch: Is told the share that is done, 0 to 1.

    Raises:
        EngineError: The graph cannot be converted.
    """
    kept: frozenset[str] = frozenset()
    while True:
        differences = layer_differences(model, frames, kept, watch)
        wide = frozenset(row.tensor for row in differences if row.largest > RANGE_MAX)
        if not wide:
            break
        kept |= wide
    return Fp16Graph(model=to_fp16(model, kept), differences=tuple(differences), kept=kept)


def layer_differences(
    model: ModelProto,
    frames: NDArray[np.uint8],
    kept: frozenset[str] = frozenset(),
    watch: Callable[[float], None] = lambda share: None,
) -> list[LayerDifference]:
    """Return how far each float16 tensor is from float32, the largest relative error first."""
    names = fp16_tensors(model, kept)
    rounded = to_fp16(model, kept, is_emulated=True)
    operators = {name: node.op_type for node in model.graph.node for name in node.output}
    found: list[LayerDifference] = []
    for start in range(0, len(names), _TENSORS_AT_ONCE):
        part = names[start : start + _TENSORS_AT_ONCE]
        exact = _run(model, part, frames)
        ours = _run(rounded, [name + FLOAT16_SUFFIX for name in part], frames)
        found.extend(
            _difference(name, operators.get(name, "input"), first, second)
            for name, first, second in zip(part, exact, ours, strict=True)
        )
        watch(min(1.0, (start + len(part)) / len(names)))
    return sorted(found, key=lambda row: -np.nan_to_num(row.relative_error, nan=np.inf))


def synthetic_frames(side_px: int, count: int = 2) -> NDArray[np.uint8]:
    """Return (count, side, side, 3) pictures of coloured patches of all sizes, from dark to bright.

    For checks where no pictures are at hand; every run gives the same ones.
    """
    random = np.random.default_rng(0)
    frames = np.zeros((count, side_px, side_px, 3), np.float32)
    for cells in (4, 16, 64, side_px):
        for frame in frames:
            patches = random.normal(0, 60, (cells, cells, 3)).astype(np.float32)
            frame += cv2.resize(patches, (side_px, side_px), interpolation=cv2.INTER_CUBIC)
    return np.clip(frames + 128, 0, 255).astype(np.uint8)


def _difference(
    name: str, operator: str, exact: NDArray[np.float32], ours: NDArray[np.float32]
) -> LayerDifference:
    scale = float(np.sqrt(np.mean(np.square(exact, dtype=np.float64))))
    error = float(np.sqrt(np.mean(np.square(ours - exact, dtype=np.float64))))
    return LayerDifference(
        tensor=name,
        operator=operator,
        largest=float(np.abs(exact).max(initial=0)),
        relative_error=error / scale if scale > 0 else error,
    )


def _run(
    model: ModelProto, names: Sequence[str], frames: NDArray[np.uint8]
) -> list[NDArray[np.float32]]:
    """Run a graph for some of its inner tensors."""
    shown = ModelProto()
    shown.CopyFrom(model)
    del shown.graph.output[:]
    shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        shown.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    values: list[NDArray[np.float32]] = session.run(
        list(names), {session.get_inputs()[0].name: frames}
    )
    return values
