"""Comparing a float16 graph with its float32 one."""

import numpy as np
from onnx import TensorProto

from maskstream.engines.conversion.layer_differences import (
    RANGE_MAX,
    checked_fp16,
    layer_differences,
    synthetic_frames,
)
from tests.engines.conversion.test_fp16 import PLAIN, SCALE, WEIGHTS, graph, node, types_of


def frames():
    return np.random.default_rng(2).integers(0, 256, (2, 3, 6, 6), np.uint8)


def test_every_float16_tensor_is_compared_the_worst_first():
    rows = layer_differences(PLAIN, frames())
    assert {row.tensor for row in rows} == {"scaled", "a", "b", "c"}
    assert {row.tensor: row.operator for row in rows}["b"] == "Relu"
    errors = [row.relative_error for row in rows]
    assert errors == sorted(errors, reverse=True)
    # Half a unit in the last place of ten bits is 2^-11; roundings add up, but few do.
    assert 2**-14 < errors[0] < 2**-8


def test_tensors_of_a_large_range_are_kept_in_float32_and_what_reads_them():
    large, small = np.float32(30_000), np.float32(1e-4)
    weights = {**SCALE, **WEIGHTS, "first": WEIGHTS["first"] * large}
    weights["second"] = WEIGHTS["second"] * small
    nodes = [*PLAIN.graph.node[:-1], node("Conv", ["c", "third"], "out")]
    made = checked_fp16(graph(nodes, weights), frames())
    assert made.kept == {"a", "b"}
    assert {row.tensor for row in made.differences} == {"c", "out"}
    assert all(row.largest <= RANGE_MAX for row in made.differences)
    types = types_of(made.model)
    assert types["a"] == types["b"] == types["c"] == TensorProto.FLOAT


def test_progress_ends_at_the_whole():
    told: list[float] = []
    checked_fp16(PLAIN, frames(), told.append)
    assert told[-1] == 1.0


def test_synthetic_frames_are_the_same_every_time_and_use_the_whole_range():
    first = synthetic_frames(64)
    assert first.shape == (2, 64, 64, 3)
    np.testing.assert_array_equal(first, synthetic_frames(64))
    assert first.min() == 0
    assert first.max() == 255
