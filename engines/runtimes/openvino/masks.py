"""A graph rewritten so that it makes masks only for frames in which somebody looks at one.

A quarter of a YOLACT's or a light Mask R-CNN's work is for masks alone, and most frames of a camera
show nobody. So what only masks are made of moves into a branch (an If), which is taken where a row
counts, by boxes and scores that are known before.

A branch takes its maps as planes, and convolutions work with the channels innermost. So maps are
turned before they go in and back within, where the plugin need not move anything for it: else they
would be moved twice, which took a twentieth of a YOLACT's time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import opset15 as ops

from maskstream.engines.interface.backend import Wanted
from maskstream.engines.runtimes.openvino.graph import CONVOLUTIONS, TO_PLANES, fold, only_reader

_TOLD = "wanted"
"""Name of the input that says what is wanted."""
_FIRST = frozenset({"boxes", "scores", "class_ids"})
_DECIDING = frozenset({"boxes", "scores"})
_FROM_INT8 = frozenset({"Convert", "Subtract", "Multiply"})
"""What follows upon a rounding, until there are floats again."""
_FROM_PLANES = [0, 2, 3, 1]
_LOOSE = 0.9
"""Limits are taken so much lower: bfloat16 may round a score or a box down, never so far."""


def mask_if_wanted(graph: Any) -> bool:
    """Rewrite ``graph`` in place, and give it a second input, for `told`.

    Args:
        graph: Of a static batch size.

    Returns:
        Whether it was: it gives boxes and scores, and something besides that they do without.
    """
    results = {name: result for result in graph.get_results() for name in _names(result)}
    if not results.keys() >= _DECIDING:
        return False
    before = set(_above(result for name, result in results.items() if name in _FIRST))
    late = [result for result in graph.get_results() if not _names(result) & _FIRST]
    late = [result for result in late if result.input_value(0).get_node().get_name() not in before]
    if not late:
        return False
    wanted = ops.parameter([3], np.float32, _TOLD)
    wanted.output(0).set_names({_TOLD})
    scores, boxes = (results[name].input_value(0) for name in ("scores", "boxes"))
    condition = _condition(scores, boxes, wanted)
    branch = ops.if_op(condition.output(0))
    taken, passed = _bodies(late, before, branch)
    for result, its, zero in zip(late, taken, passed, strict=True):
        made = branch.set_output(its, zero)
        names = result.input_value(0).get_names()
        its.input_value(0).set_names(set())
        made.set_names(names)
        result.input(0).replace_source_output(made)
    graph.add_parameters([wanted])
    graph.validate_nodes_and_infer_types()
    return True


def told(wanted: Wanted) -> NDArray[np.float32]:
    """Return what the second input takes."""
    limits = (_LOOSE * wanted.score_min, _LOOSE * wanted.mask_area_min, wanted.small_count_max)
    return np.array(limits, np.float32)


def _condition(scores: Any, boxes: Any, wanted: Any) -> Any:
    """Return whether any frame has a row that counts and is large, or more rows than are small."""
    score_min, area_min, count_max = ops.split(wanted, np.int64(0), 3).outputs()
    counts = ops.greater_equal(scores, score_min)  # (B, K)
    edges = ops.split(boxes, np.int64(2), 4).outputs()  # four of (B, K, 1)
    sides = (ops.subtract(edges[2], edges[0]), ops.subtract(edges[3], edges[1]))
    areas = ops.squeeze(ops.multiply(*sides), np.array([2]))
    large = ops.logical_and(counts, ops.greater_equal(areas, area_min))
    has_large = ops.reduce_logical_or(large, np.array([0, 1]), False)
    number = ops.reduce_sum(ops.convert(counts, np.float32), np.array([1]), False)
    has_many = ops.reduce_logical_or(ops.greater(number, count_max), np.array([0]), False)
    return ops.logical_or(has_large, has_many)


def _bodies(late: list[Any], before: Collection[str], branch: Any) -> tuple[list[Any], list[Any]]:
    """Move what ``late`` outputs are made of into a branch; return its results, taken or not."""
    entries: dict[tuple[str, int], tuple[Any, Any, Any]] = {}
    for node in _above(late, without=before).values():
        for port in node.inputs():
            source = port.get_source_output()
            maker = source.get_node()
            if maker.get_name() not in before:
                continue
            if maker.get_type_name() == "Constant":  # as a parameter it would be constant no more
                port.replace_source_output(ops.constant(np.array(maker.data)).output(0))
                continue
            key = maker.get_name(), source.get_index()
            if key not in entries:
                entries[key] = _entry(source, is_map=node.get_type_name() in CONVOLUTIONS)
            port.replace_source_output(entries[key][2])
    taken = [ops.result(result.input_value(0)) for result in late]
    zeros = [np.zeros(list(one.shape), one.get_element_type().to_dtype()) for one in taken]
    passed = [ops.result(ops.constant(zero).output(0)) for zero in zeros]
    inside = [parameter for _, parameter, _ in entries.values()]
    made = openvino.Model(taken, inside, "masks")
    _to_floats(made)
    branch.set_then_body(made)
    branch.set_else_body(openvino.Model(passed, [], "no masks"))
    for given, parameter, _ in entries.values():
        branch.set_input(given, parameter, None)
    return taken, passed


def _to_floats(graph: Any) -> None:
    """Undo what is meant for INT8: the plugin computes a branch in floats, and would only round."""
    for node in graph.get_ordered_ops():
        if node.get_type_name() != "FakeQuantize":
            continue
        rounded = node
        while (reader := only_reader(rounded.output(0))) is not None:
            if reader.get_type_name() not in _FROM_INT8:
                break
            rounded = reader
        for target in rounded.output(0).get_target_inputs():
            target.replace_source_output(node.input_value(0))
    fold(graph)


def _entry(source: Any, *, is_map: bool) -> tuple[Any, Any, Any]:
    """Return what a branch is given for ``source``, its parameter, and what is read within."""
    given = ops.transpose(source, np.array(_FROM_PLANES)).output(0) if is_map else source
    parameter = ops.parameter(given.get_partial_shape(), given.get_element_type())
    within = ops.transpose(parameter, np.array(TO_PLANES)) if is_map else parameter
    return given, parameter, within.output(0)


def _names(result: Any) -> frozenset[str]:
    return frozenset(result.input_value(0).get_names())


def _above(nodes: Iterable[Any], without: Collection[str] = ()) -> dict[str, Any]:
    """Return nodes and all that they are made of by name, but for some."""
    found: dict[str, Any] = {}
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if node.get_name() in found or node.get_name() in without:
            continue
        found[node.get_name()] = node
        waiting += [port.get_node() for port in node.input_values()]
    return found
