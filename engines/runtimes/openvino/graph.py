"""A graph rewritten so that OpenVINO's processor plugin does less; what it says is the same.

A YOLACT takes tanh of the coefficients of all its 10,842 cells, and keeps those of 100. Kept first,
they save 4 % of the engine ``person-light``'s time (`_gather_first`).

Convolutions in bfloat16 work with the channels innermost, and two things are slow there:

- A channel shuffle (ShuffleNet) goes through memory one number at a time, a sixth of the engine
  ``person``'s time. Where a channel lies is only a matter of the weights before and after it, so
  each is taken straight to the convolution that reads it (`_Shuffles`).
  Weights of INT8 are sorted as they are (`_Int8Weights`).
- Frames come with the channels innermost too, but graphs turn them into planes at once, and the
  plugin turns them back. Turned after scaling instead, nothing is moved (`_turn_late`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from openvino import Type
from openvino import opset15 as ops
from openvino.passes import ConstantFolding, Manager

_Channels = NDArray[np.int64]
"""Channels by their numbers in `_Shuffles`, in the order in which they lie in a tensor."""
_SCALING = frozenset({"Add", "Multiply", "Subtract", "Divide"})
_CHANNELWISE = _SCALING | {"PRelu", "Relu", "Clamp", "Convert"}
CONVOLUTIONS = frozenset({"Convolution", "GroupConvolution"})
_BY_ITSELF = {"Tanh": ops.tanh, "Sigmoid": ops.sigmoid}
_NUMBERED_MAX = 1 << 24
"""A float32 is exact up to here."""
TO_PLANES = [0, 3, 1, 2]
_SWAP_GROUPS = [0, 2, 1, 3, 4]


def move_less(graph: Any) -> None:
    """Rewrite ``graph`` in place, where something of the above is found."""
    stored = _int8_weights(graph)
    for weights in stored:
        weights.set_aside()
    fold(graph)  # else a bias is worked out by a dozen nodes
    _turn_late(graph.inputs[0])
    _Shuffles(graph).remove()
    _gather_first(graph)
    for weights in stored:
        weights.put_back()
    graph.validate_nodes_and_infer_types()


def fold(graph: Any) -> None:
    """Work out, in place, what is constant."""
    passes = Manager()
    passes.register_pass(ConstantFolding())
    passes.run_passes(graph)


class _Int8Weights:
    """A convolution's weights of 8 bits, which become floats only by a product with their scales.

    Folded, they would be floats, and so would what the convolution computes in. So they are set
    aside, and stand-ins that say which weight is which are sorted in their place.
    """

    def __init__(self, node: Any, weights: NDArray[np.int8], scales: NDArray[np.float32]) -> None:
        self._node = node
        self._weights = weights
        self._scales = scales

    def set_aside(self) -> None:
        """Put their numbers in the weights' place."""
        numbers = np.arange(self._weights.size, dtype=np.float32)
        _set(self._node, 1, numbers.reshape(self._weights.shape))

    def put_back(self) -> None:
        """Put the weights where their numbers are by now."""
        numbers = _constant(self._node, 1)
        assert numbers is not None
        order = numbers.astype(np.int64)
        rows = order.reshape(len(order), -1)[:, 0] * len(order) // order.size
        floats = ops.convert(ops.constant(self._weights.reshape(-1)[order]), np.float32)
        scaled = ops.multiply(floats, ops.constant(self._scales[rows]))
        self._node.input(1).replace_source_output(scaled.output(0))


def _int8_weights(graph: Any) -> list[_Int8Weights]:
    """Return the weights of 8 bits whose scales are one an output, and whose zero is 0.

    Those of a convolution with more of them than floats can number become floats.
    """
    stored = {
        node.get_friendly_name(): (node, weights)
        for node in graph.get_ordered_ops()
        if node.get_type_name() in CONVOLUTIONS and (weights := _stored_int8(node)) is not None
    }
    if not stored:
        return []
    folded = graph.clone()
    fold(folded)
    found = []
    for twin in folded.get_ordered_ops():
        floats = _constant(twin, 1) if twin.get_friendly_name() in stored else None
        if floats is not None:
            node, weights = stored[twin.get_friendly_name()]
            weights = weights.reshape(floats.shape)
            scales = _scales(weights, floats)
            if np.allclose(weights * scales, floats, rtol=1e-5, atol=0):
                found.append(_Int8Weights(node, weights, scales))
    return found


def _stored_int8(node: Any) -> NDArray[np.int8] | None:
    source = node.input_value(1).get_node()
    while source.get_type_name() in ("Reshape", "Multiply", "Subtract", "Convert"):
        source = source.input_value(0).get_node()
    if source.get_type_name() != "Constant" or source.get_element_type() != Type.i8:
        return None
    weights = np.array(source.data)
    return weights if weights.size <= _NUMBERED_MAX else None


def _scales(weights: NDArray[np.int8], floats: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what each output's weights are multiplied by, of as many dimensions as they have."""
    largest = [
        np.abs(values.astype(np.float32)).reshape(len(weights), -1).max(axis=1)
        for values in (floats, weights)
    ]
    scales: NDArray[np.float32] = (largest[0] / np.maximum(largest[1], 1)).astype(np.float32)
    return scales.reshape(-1, *[1] * (weights.ndim - 1))


def _turn_late(frames: Any) -> None:
    """Let frames be turned into planes after what is done to each channel by itself."""
    turn = only_reader(frames)
    while turn is not None and turn.get_type_name() == "Convert":
        turn = only_reader(turn.output(0))
    order = None if turn is None or turn.get_type_name() != "Transpose" else _constant(turn, 1)
    if turn is None or order is None or order.tolist() != TO_PLANES:
        return
    sizes = _sizes(turn.input_value(0))
    if sizes is None:
        return
    rows, columns, channels = sizes
    last = turn
    while (node := only_reader(last.output(0))) is not None:
        values = _constant(node, 1) if node.get_type_name() in _SCALING else None
        if values is None or values.shape not in ((), (1, channels, 1, 1)):
            break
        if values.ndim == 4:
            # Three numbers at a time would leave most of a vector idle, so rows are scaled whole.
            _set(node, 1, np.tile(values.reshape(-1), columns).reshape(1, 1, -1))
        last = node
    if last is turn:
        return
    readers = list(last.output(0).get_target_inputs())
    lines = ops.reshape(turn.input_value(0), np.array([0, rows, columns * channels]), True)
    for reader in turn.output(0).get_target_inputs():
        reader.replace_source_output(lines.output(0))
    pixels = ops.reshape(last.output(0), np.array([0, rows, columns, channels]), True)
    turned = ops.transpose(pixels, np.array(TO_PLANES))
    for reader in readers:
        reader.replace_source_output(turned.output(0))


def _gather_first(graph: Any) -> None:
    """Let what is done to each number by itself be done to those alone that are gathered."""
    for node in graph.get_ordered_ops():
        gather = only_reader(node.output(0)) if node.get_type_name() in _BY_ITSELF else None
        if gather is None or gather.get_type_name() != "GatherElements":
            continue
        readers = list(gather.output(0).get_target_inputs())
        gather.input(0).replace_source_output(node.input_value(0))
        done = _BY_ITSELF[node.get_type_name()](gather.output(0)).output(0)
        done.add_names(gather.output(0).get_names())  # where it is an output of the graph
        gather.output(0).set_names(set())
        for reader in readers:
            reader.replace_source_output(done)


class _Shuffles:
    """Channel shuffles of a graph, with the splits and concatenations between them.

    All these only move channels. So each channel is followed from the tensor that a convolution
    makes, its source, to the one that a convolution reads, its goal. A source's weights are then
    sorted by goal, a goal is joined from slices of its sources, and its reader's weights follow.
    """

    def __init__(self, graph: Any) -> None:
        self._sources: list[tuple[Any, _Channels]] = []  # (port, its channels)
        self._ports: list[tuple[Any, _Channels]] = []  # of what moves channels
        self._followed: dict[tuple[str, int], _Channels] = {}
        self._movers: set[str] = set()
        self._shuffled: set[int] = set()
        self._channel_count = 0
        for node in graph.get_ordered_ops():
            self._follow(node)

    def remove(self) -> None:
        """Do it, if each shuffled channel goes from a convolution to one other and no further."""
        goals = self._goals()
        if goals is None:
            return
        goal_of = np.full(self._channel_count, -1)
        for number, (_, channels) in enumerate(goals):
            goal_of[channels] = number
        slices: list[list[tuple[Any, _Channels]]] = [[] for _ in goals]
        for port, own in self._sources:
            if goal_of[own[0]] >= 0:
                order = np.argsort(goal_of[own], kind="stable")
                for node in _makers(port) or ():
                    _sort(node, order, is_reader=False)
                numbers, counts = np.unique(goal_of[own], return_counts=True)
                parts = np.split(own[order], np.cumsum(counts)[:-1])
                slicing = zip(_split(port, counts), parts, strict=True)
                for number, piece in zip(numbers, slicing, strict=True):
                    slices[number].append(piece)
        for (port, channels), pieces in zip(goals, slices, strict=True):
            self._join(port, channels, pieces)

    def _join(self, port: Any, channels: _Channels, pieces: list[tuple[Any, _Channels]]) -> None:
        """Let the readers of ``port`` read pieces of it side by side."""
        readers, ports = self._readers(port), [piece for piece, _ in pieces]
        joined = ops.concat(ports, 1).output(0) if len(ports) > 1 else ports[0]
        if any(reader.get_node().get_type_name() == "FakeQuantize" for reader in readers):
            joined = _out_of_reach(joined)
        place = {int(channel): at for at, channel in enumerate(channels)}
        order = np.array([place[int(one)] for _, part in pieces for one in part])
        for reader in readers:
            for node in _takers(reader.get_node()) or ():
                _sort(node, order, is_reader=True)
            reader.replace_source_output(joined)

    def _follow(self, node: Any) -> None:
        """Note which channel lies where in what ``node`` gives, if it only moves them."""
        kind = node.get_type_name()
        if kind == "Concat" and node.get_attributes()["axis"] == 1:
            parts = [self._channels(port) for port in node.input_values()]
            known = [part for part in parts if part is not None]
            if len(known) == len(parts):
                self._note(node, [np.concatenate(known)])
        elif kind in ("Split", "VariadicSplit"):
            axis, channels = _constant(node, 1), self._channels(node.input_value(0))
            if axis is not None and int(axis) == 1 and channels is not None:
                counts = [port.get_partial_shape()[1].get_length() for port in node.outputs()]
                self._note(node, np.split(channels, np.cumsum(counts)[:-1]))
        elif (shuffle := _shuffle(node)) is not None:
            first, groups = shuffle
            channels = self._channels(first.input_value(0))
            if channels is not None:
                self._shuffled.update(channels.tolist())
                self._movers.add(first.get_name())
                self._note(node, [channels.reshape(groups, -1).T.reshape(-1)])

    def _channels(self, port: Any) -> _Channels | None:
        """Return the channels in ``port``, which is their source where none are known."""
        key = port.get_node().get_name(), port.get_index()
        sizes = _sizes(port)
        if key not in self._followed and sizes is not None and len(sizes) == 3:
            self._followed[key] = np.arange(self._channel_count, self._channel_count + sizes[0])
            self._channel_count += sizes[0]
            self._sources.append((port, self._followed[key]))
        return self._followed.get(key)

    def _note(self, node: Any, moved: list[_Channels]) -> None:
        self._movers.add(node.get_name())
        for port, channels in zip(node.outputs(), moved, strict=True):
            self._followed[node.get_name(), port.get_index()] = channels
            self._ports.append((port, channels))

    def _readers(self, port: Any) -> list[Any]:
        inputs = port.get_target_inputs()
        return [one for one in inputs if one.get_node().get_name() not in self._movers]

    def _goals(self) -> list[tuple[Any, _Channels]] | None:
        """Return the tensors that are read, with their channels; None where nothing can be done."""
        for port, own in self._sources:
            is_ours = not self._shuffled.isdisjoint(own.tolist())
            if is_ours and (self._readers(port) or _makers(port) is None):
                return None
        goals: list[tuple[Any, _Channels]] = []
        for port, channels in self._ports:
            readers = self._readers(port)
            if readers and not self._shuffled.isdisjoint(channels.tolist()):
                if any(_takers(one.get_node()) is None or one.get_index() for one in readers):
                    return None
                goals.append((port, channels))
        arrived = [int(one) for _, channels in goals for one in channels]
        return goals if goals and sorted(arrived) == sorted(self._shuffled) else None


def _shuffle(node: Any) -> tuple[Any, int] | None:
    """Return the node that begins a shuffle which ends with ``node``, and its count of groups."""
    chain = [node]
    for kind in ("Reshape", "Transpose", "Reshape"):
        if chain[-1].get_type_name() != kind:
            return None
        chain.append(chain[-1].input_value(0).get_node())
    last, swap, first = chain[:3]
    order = _constant(swap, 1)
    came, apart, went = map(_sizes, (first.input_value(0), first.output(0), last.output(0)))
    if order is None or order.tolist() != _SWAP_GROUPS or not came or not apart:
        return None
    is_whole = came == went and apart == [apart[0], came[0] // apart[0], *came[1:]]
    is_alone = all(only_reader(one.output(0)) is not None for one in (first, swap))
    return (first, apart[0]) if is_whole and is_alone else None


def _makers(port: Any) -> list[Any] | None:
    """Return the nodes down to the convolution that makes ``port``; None where others look on."""
    nodes = [port.get_node()]
    while nodes[-1].get_type_name() != "Convolution":
        if not _can_sort(nodes[-1]):
            return None
        below = nodes[-1].input_value(0)
        if len(below.get_target_inputs()) > 1:
            return None
        nodes.append(below.get_node())
    return nodes if _can_sort(nodes[-1]) else None


def _takers(node: Any) -> list[Any] | None:
    """Return the nodes from ``node`` on that notice an order of channels; None where others do.

    A depthwise convolution passes the order on, one over all channels does not.
    """
    if not _can_sort(node):
        return None
    if node.get_type_name() == "Convolution":
        return [node]
    nodes = [node]
    for reader in node.output(0).get_target_inputs():
        further = None if reader.get_index() else _takers(reader.get_node())
        if further is None:
            return None
        nodes += further
    return nodes


def _can_sort(node: Any) -> bool:
    kind = node.get_type_name()
    values = _constant(node, 1) if node.get_input_size() == 2 else None
    if kind == "GroupConvolution":
        return values is not None and values.shape[1:3] == (1, 1)
    if kind == "Convolution":
        return values is not None
    if kind == "FakeQuantize":
        limits = [_constant(node, index) for index in range(1, 5)]
        return all(limit is not None and limit.size == 1 for limit in limits)
    if kind in _CHANNELWISE:
        return node.get_input_size() == 1 or (values is not None and _channel_axis(values) != -1)
    return False


def _sort(node: Any, order: _Channels, *, is_reader: bool) -> None:
    """Let a node that can be sorted take (or a convolution that is no reader, give) this order."""
    values = _constant(node, 1) if node.get_input_size() == 2 else None
    if values is None:
        return
    kind = node.get_type_name()
    axis = int(is_reader) if kind == "Convolution" else 0
    if kind in _CHANNELWISE:
        found = _channel_axis(values)
        if found is None:
            return
        axis = found
    _set(node, 1, values.take(order, axis))


def _channel_axis(values: NDArray[Any]) -> int | None:
    """Return where channels are counted; None for one value for all, -1 for anything else."""
    if values.size == 1:
        return None
    if values.ndim == 1:  # a slope of each channel
        return 0
    return 1 if values.ndim == 4 and values.shape[1] == values.size else -1


def _split(port: Any, counts: NDArray[np.int64]) -> list[Any]:
    """Return slices of ``port``, of so many channels each."""
    if len(counts) == 1:
        return [port]
    parts: list[Any] = ops.variadic_split(port, np.int64(1), counts.astype(np.int64)).outputs()
    return parts


def _out_of_reach(port: Any) -> Any:
    """Return what ``port`` gives, but not to the plugin's passes for INT8.

    They would quantise each part by itself before all are joined, and get it wrong: with OpenVINO
    2026.4 the AP of ``person-light-int8`` falls to nothing. What they do not know stops them.
    """
    return ops.maximum(port, np.finfo(np.float32).min).output(0)


def _sizes(port: Any) -> list[int] | None:
    """Return the sizes behind the batch; None where they are not known."""
    shape = port.get_partial_shape()
    if shape.rank.is_dynamic or any(size.is_dynamic for size in list(shape)[1:]):
        return None
    return [size.get_length() for size in list(shape)[1:]]


def only_reader(port: Any) -> Any | None:
    """Return the one node that reads ``port``; None where there are more or none."""
    readers = list(port.get_target_inputs())
    return readers[0].get_node() if len(readers) == 1 else None


def _constant(node: Any, index: int) -> NDArray[Any] | None:
    if node.get_input_size() <= index:
        return None
    source = node.input_value(index).get_node()
    return np.asarray(source.data) if source.get_type_name() == "Constant" else None


def _set(node: Any, index: int, values: NDArray[Any]) -> None:
    made = ops.constant(np.ascontiguousarray(values))
    node.input(index).replace_source_output(made.output(0))
