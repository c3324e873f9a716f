"""From a float32 graph to one whose network computes in float16.

The result is strongly typed: each tensor's type stands in the graph, as TensorRT 11 and TensorRT
for RTX ask for, and it runs in ONNX Runtime too. Only what lies between weighted layers becomes
float16. What ends a network (softmax, exp, box decoding, NMS, mask products) stays float32, as does
what is before its first layer, where pixels are normalised.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from maskstream.engines.errors import EngineError

FLOAT16_MAX = 65504.0
FLOAT16_SUFFIX = "__fp16"
"""What the float16 form of a tensor has behind its name."""
_WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_BETWEEN = frozenset(
    {
        "Add", "AveragePool", "BatchNormalization", "Clip", "Concat", "DepthToSpace", "Dropout",
        "Elu", "Expand", "Flatten", "GlobalAveragePool", "HardSigmoid", "HardSwish", "Identity",
        "LeakyRelu", "MaxPool", "Mul", "PRelu", "Pad", "ReduceMean", "Relu", "Reshape", "Resize",
        "Sigmoid", "Slice", "Split", "Squeeze", "Sub", "Tanh", "Transpose", "Unsqueeze",
    }
)  # fmt: skip
"""Operators that become float16 where they link weighted layers; a path ends at any other one.

So TopK, Exp, Softmax and GridSample cut a tail off, though a network that scores masks has weighted
layers behind them.
"""


def to_fp16(
    model: ModelProto,
    keep: frozenset[str] = frozenset(),
    *,
    is_emulated: bool = False,
) -> ModelProto:
    """Return a graph that computes between its weighted layers in float16.

    Args:
        model: In float32, not changed; inputs and outputs keep their types.
        keep: Tensors that stay in float32 with the nodes beside them, such as those with values
            near `FLOAT16_MAX`.
        is_emulated: Return a float32 graph instead that rounds to float16 wherever the other would.
            Runtimes that lack float16 kernels compute the other in float32 and round nothing but
            its weights; this one shows what a GPU gives, which adds up in float32 and rounds.

    Raises:
        EngineError: No weighted layer is left that could become float16.
    """
    inferred = onnx.shape_inference.infer_shapes(model)
    halves = _fp16_nodes(inferred.graph, keep)
    if not halves:
        raise EngineError("to FP16: the graph has no weighted layers; a network is needed.")
    writer = _Writer(inferred, is_emulated)
    for index, node in enumerate(inferred.graph.node):
        writer.add(node, is_half=index in halves)
    return writer.finished(model)


def fp16_tensors(model: ModelProto, keep: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """Return the tensors that `to_fp16` would have a float16 form of, in the graph's order.

    Weights are not among them.
    """
    graph = onnx.shape_inference.infer_shapes(model).graph
    halves = _fp16_nodes(graph, keep)
    floats = _floats(graph) - set(_constants(graph))
    touched = (
        name
        for index, node in enumerate(graph.node)
        if index in halves
        for name in (*node.input, *node.output)
    )
    return tuple(dict.fromkeys(name for name in touched if name in floats))


def _floats(graph: GraphProto) -> set[str]:
    """Return the float32 tensors."""
    values = [*graph.input, *graph.output, *graph.value_info]
    return {
        value.name for value in values if value.type.tensor_type.elem_type == TensorProto.FLOAT
    } | {tensor.name for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT}


def _fp16_nodes(graph: GraphProto, keep: frozenset[str]) -> frozenset[int]:
    """Return the places of the nodes that are weighted, or between two that are."""
    nodes = list(graph.node)
    constants = _constants(graph)
    weighted = {
        index for index, node in enumerate(nodes)
        if _is_weighted(node, constants) and keep.isdisjoint((*node.input, *node.output))
    }  # fmt: skip
    after = _reached(nodes, weighted, is_backward=False)
    before = _reached(nodes, weighted, is_backward=True)
    return frozenset(
        index
        for index in weighted | (after & before)
        if keep.isdisjoint((*nodes[index].input, *nodes[index].output))
        and _weights_fit(nodes[index], constants)
    )


def _reached(nodes: Sequence[NodeProto], weighted: set[int], *, is_backward: bool) -> set[int]:
    """Return the nodes on paths of `_BETWEEN` that start at weighted ones."""
    live: set[str] = set()
    found = set()
    for index in reversed(range(len(nodes))) if is_backward else range(len(nodes)):
        node = nodes[index]
        arriving, leaving = (node.output, node.input) if is_backward else (node.input, node.output)
        is_linked = node.op_type in _BETWEEN and not live.isdisjoint(arriving)
        if is_linked:
            found.add(index)
        if is_linked or index in weighted:
            live.update(name for name in leaving if name)
    return found


def _is_weighted(node: NodeProto, constants: dict[str, TensorProto]) -> bool:
    return node.op_type in _WEIGHTED and any(name in constants for name in node.input[1:])


def _constants(graph: GraphProto) -> dict[str, TensorProto]:
    return {tensor.name: tensor for tensor in graph.initializer}


def _weights_fit(node: NodeProto, constants: dict[str, TensorProto]) -> bool:
    tensors = (constants[name] for name in node.input if name in constants)
    return all(
        np.abs(numpy_helper.to_array(tensor)).max(initial=0) <= FLOAT16_MAX
        for tensor in tensors if tensor.data_type == TensorProto.FLOAT
    )  # fmt: skip


class _Writer:
    """Nodes of the new graph. A tensor ``x`` in float16 is called ``x__fp16``."""

    def __init__(self, inferred: ModelProto, is_emulated: bool) -> None:
        graph = inferred.graph
        self._is_emulated = is_emulated
        self._constants = _constants(graph)
        self._floats = _floats(graph)
        self._outputs = [output.name for output in graph.output]
        self._nodes: list[NodeProto] = []
        self._weights: dict[str, TensorProto] = {}
        self._singles = set(self._constants) | {info.name for info in graph.input}
        self._halves: set[str] = set()

    def add(self, node: NodeProto, *, is_half: bool) -> None:
        """Write a node, and the casts that its inputs need."""
        written = NodeProto()
        written.CopyFrom(node)
        for place, name in enumerate(node.input):
            if not name:
                continue
            # The scales of Resize are float32 by its definition.
            is_taken = is_half and name in self._floats and (node.op_type != "Resize" or place == 0)
            written.input[place] = self._half(name) if is_taken else self._single(name)
        for place, name in enumerate(node.output):
            if is_half and name in self._floats:
                written.output[place] = self._half_output(name)
            else:
                self._singles.add(name)
        self._nodes.append(written)
        self._round_outputs(node, is_half=is_half)

    def finished(self, model: ModelProto) -> ModelProto:
        """Return the whole model."""
        for name in self._outputs:
            self._single(name)
        new = ModelProto()
        new.CopyFrom(model)
        del new.graph.node[:], new.graph.value_info[:], new.graph.initializer[:]
        new.graph.node.extend(self._nodes)
        used = {name for node in self._nodes for name in node.input} | set(self._outputs)
        kept = [tensor for name, tensor in self._constants.items() if name in used]
        new.graph.initializer.extend([*kept, *self._weights.values()])
        onnx.checker.check_model(new)
        return new

    def _half_output(self, name: str) -> str:
        self._halves.add(name)
        return f"{name}__exact" if self._is_emulated else name + FLOAT16_SUFFIX

    def _round_outputs(self, node: NodeProto, *, is_half: bool) -> None:
        if is_half and self._is_emulated:
            for name in node.output:
                if name in self._halves:
                    self._nodes.extend(_rounding(f"{name}__exact", name + FLOAT16_SUFFIX))

    def _half(self, name: str) -> str:
        """Return the name of a tensor's float16 form, made where it does not exist."""
        half = name + FLOAT16_SUFFIX
        if name in self._constants:
            array = numpy_helper.to_array(self._constants[name]).astype(np.float16)
            array = array.astype(np.float32) if self._is_emulated else array
            self._weights[half] = numpy_helper.from_array(array, half)
        elif name not in self._halves:
            self._halves.add(name)
            self._nodes.extend(
                _rounding(name, half) if self._is_emulated
                else [_cast(name, half, TensorProto.FLOAT16)]
            )  # fmt: skip
        return half

    def _single(self, name: str) -> str:
        """Return the name of a tensor in its own type, made from the float16 form if need be."""
        if name not in self._singles and name in self._halves:
            self._singles.add(name)
            self._nodes.append(_cast(name + FLOAT16_SUFFIX, name, TensorProto.FLOAT))
        return name


def _rounding(source: str, target: str) -> Iterator[NodeProto]:
    yield _cast(source, f"{target}__rounded", TensorProto.FLOAT16)
    yield _cast(f"{target}__rounded", target, TensorProto.FLOAT)


def _cast(source: str, target: str, to: int) -> NodeProto:
    return helper.make_node("Cast", [source], [target], name=f"cast_{target}", to=to)
