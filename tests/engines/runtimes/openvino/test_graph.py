"""A graph that moves less memory computes what it did before."""

import numpy as np
import openvino
import pytest
from openvino import opset15 as ops

from maskstream.engines import resolve_engine
from maskstream.engines.runtimes.openvino.graph import move_less

SIDE = 6


def values(*shape, seed):
    return np.random.default_rng(seed).normal(0, 0.5, shape).astype(np.float32)


def convolution(port, count, seed):
    """Returns a 1x1 convolution with bias and slopes, as ShuffleNet's, of a port."""
    kernel = values(count, port.get_shape()[1], 1, 1, seed=seed)
    made = ops.convolution(port, kernel, [1, 1], [0, 0], [0, 0], [1, 1])
    biased = ops.add(made, values(1, count, 1, 1, seed=seed + 1))
    return ops.prelu(biased, values(count, seed=seed + 2)).output(0)


def depthwise(port, seed):
    count = port.get_shape()[1]
    kernel = values(count, 1, 1, 3, 3, seed=seed)
    made = ops.group_convolution(port, kernel, [1, 1], [1, 1], [1, 1], [1, 1])
    return ops.add(made, values(1, count, 1, 1, seed=seed + 1)).output(0)


def shuffle(port, groups=2):
    _, count, rows, columns = port.get_shape()
    apart = np.array([1, groups, count // groups, rows, columns])
    swapped = ops.transpose(ops.reshape(port, apart, False), np.array([0, 2, 1, 3, 4]))
    return ops.reshape(swapped, np.array([1, count, rows, columns]), False).output(0)


def joined(*ports):
    return ops.concat(list(ports), 1).output(0)


def unit(port, seed):
    """Half of the channels pass by, the others go through convolutions."""
    passing, taken = ops.split(port, np.int64(1), 2).outputs()
    made = depthwise(convolution(taken, 4, seed), seed + 3)
    return shuffle(joined(passing, convolution(made, 4, seed + 6)))


def stage(port):
    """Returns the end of three units, where all channels are shuffled."""
    begun = shuffle(joined(convolution(port, 4, 1), convolution(port, 4, 5)))
    return unit(unit(begun, 10), 30)


def model(build):
    given = ops.parameter([1, 3, SIDE, SIDE], np.float32, name="given")
    return openvino.Model([ops.result(port) for port in build(given.output(0))], [given])


def outputs(graph, given):
    hints = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    return list(openvino.Core().compile_model(graph, "CPU", hints)([given]).values())


def count_of(graph, kind):
    return sum(node.get_type_name() == kind for node in graph.get_ops())


def assert_the_same_after(graph, given):
    before = outputs(graph, given)
    move_less(graph)
    for ours, theirs in zip(outputs(graph, given), before, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_shuffles_are_gone_and_their_channels_arrive_where_they_did():
    # The end is read by a convolution, and by a depthwise one that passes its channels on.
    graph = model(
        lambda given: [
            convolution(stage(given), 5, 50),
            convolution(depthwise(stage(given), 60), 5, 70),
        ]
    )
    assert count_of(graph, "Transpose") == 6
    assert_the_same_after(graph, values(1, 3, SIDE, SIDE, seed=0))
    assert count_of(graph, "Transpose") == 0


def shuffle_count(graph):
    turns = (node for node in graph.get_ops() if node.get_type_name() == "Transpose")
    return sum(len(node.get_output_partial_shape(0)) == 5 for node in turns)


def test_the_shipped_network_has_no_shuffle_left():
    graph = openvino.Core().read_model(resolve_engine("person-light"))
    assert shuffle_count(graph) == 16  # one a unit of ShuffleNet
    move_less(graph)
    assert shuffle_count(graph) == 0


def test_a_network_in_int8_has_none_either_and_is_computed_in_int8():
    frames = np.random.default_rng(0).integers(0, 256, (1, 416, 416, 3), np.uint8)
    compiled, prototypes = [], []
    for is_rewritten in (False, True):
        graph = openvino.Core().read_model(resolve_engine("person-light-int8"))
        if is_rewritten:
            move_less(graph)
        assert shuffle_count(graph) == (0 if is_rewritten else 16)
        graph.reshape(frames.shape)
        hints = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
        compiled.append(openvino.Core().compile_model(graph, "CPU", hints))
        prototypes.append(compiled[-1](frames)["prototypes"])
    counts = [int8_layer_count(one) for one in compiled]
    # Of 131 convolutions 17 are kept in floats: the first, and those whose values are decoded.
    assert counts == [114, 114]
    gap = np.abs(prototypes[1] - prototypes[0]).mean() / np.abs(prototypes[0]).mean()
    assert gap < 0.02, "nothing but the rounding of another order"


def int8_layer_count(compiled):
    """Return how many convolutions are computed in 8 bits."""
    layers = [node.get_rt_info() for node in compiled.get_runtime_model().get_ops()]
    computed = [
        layer["runtimePrecision"].astype(str)
        for layer in layers
        if "layerType" in layer and layer["layerType"].astype(str) == "Convolution"
    ]
    return computed.count("u8") + computed.count("i8")


def test_two_readers_of_the_same_channels_both_find_them():
    def build(given):
        end = stage(given)
        return [convolution(end, 5, 50), convolution(depthwise(end, 60), 6, 70)]

    graph = model(build)
    assert_the_same_after(graph, values(1, 3, SIDE, SIDE, seed=0))
    assert count_of(graph, "Transpose") == 0


LEFT_ALONE = {
    "read by no convolution": lambda given: [ops.sigmoid(stage(given)).output(0)],
    "made by no convolution": lambda given: [
        convolution(shuffle(ops.sigmoid(joined(given, given)).output(0)), 5, 1)
    ],
    "read twice": lambda given: (
        lambda made: [convolution(shuffle(made), 5, 5), convolution(made, 5, 9)]
    )(convolution(given, 4, 1)),
    "half read": lambda given: [
        convolution(ops.split(stage(given), np.int64(1), 2).output(0), 5, 50)
    ],
}


@pytest.mark.parametrize("build", LEFT_ALONE.values(), ids=LEFT_ALONE)
def test_channels_that_go_elsewhere_too_are_left_alone(build):
    graph = model(build)
    shuffles = count_of(graph, "Transpose")
    assert_the_same_after(graph, values(1, 3, SIDE, SIDE, seed=0))
    assert count_of(graph, "Transpose") == shuffles > 0


def frames_model(*, scale):
    given = ops.parameter([1, SIDE, SIDE, 3], np.uint8, name="frames")
    port = ops.transpose(ops.convert(given, np.float32), np.array([0, 3, 1, 2]))
    for operation, constant in scale:
        port = operation(port, constant)
    return openvino.Model([ops.result(convolution(port.output(0), 4, 1))], [given])


@pytest.mark.parametrize(
    ("scale", "is_moved"),
    [
        ([(ops.subtract, values(1, 3, 1, 1, seed=3)), (ops.divide, np.float32(58))], True),
        ([(ops.multiply, np.full((1, 3, 1, 1), 0.5, np.float32))], True),
        ([(ops.add, values(1, 3, SIDE, SIDE, seed=4))], False),
        ([], False),
    ],
    ids=["by channel and all", "by channel", "by pixel", "not at all"],
)
def test_frames_are_scaled_before_they_are_turned(scale, is_moved):
    frames = np.random.default_rng(0).integers(0, 256, (1, SIDE, SIDE, 3), np.uint8)
    graph = frames_model(scale=scale)
    assert_the_same_after(graph, frames)
    (turn,) = (node for node in graph.get_ops() if node.get_type_name() == "Transpose")
    assert (turn.input_value(0).get_node().get_type_name() == "Reshape") == is_moved


def outputs_of(graph, given):
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    return openvino.Core().compile_model(graph, "CPU", settings)([given])[0]


@pytest.mark.parametrize("step", [ops.tanh, ops.sigmoid])
def test_of_what_is_gathered_only_that_is_worked_out(step):
    given = ops.parameter([1, 50, 4], np.float32, name="given")
    rows = np.tile(np.array([40, 7, 7]).reshape(1, 3, 1), (1, 1, 4))
    graph = openvino.Model([ops.result(ops.gather_elements(step(given), rows, 1))], [given])
    graph.outputs[0].add_names({"gathered"})
    numbers = values(1, 50, 4, seed=0)
    expected = outputs_of(graph.clone(), numbers)
    move_less(graph)
    assert "gathered" in graph.outputs[0].get_names()
    (done,) = [node for node in graph.get_ops() if node.get_type_name() in ("Tanh", "Sigmoid")]
    assert list(done.output(0).get_shape()) == [1, 3, 4]
    np.testing.assert_allclose(outputs_of(graph, numbers), expected, atol=1e-6)


def test_what_others_read_too_is_worked_out_in_full():
    given = ops.parameter([1, 50, 4], np.float32, name="given")
    full = ops.tanh(given)
    rows = np.tile(np.array([40, 7, 7]).reshape(1, 3, 1), (1, 1, 4))
    gathered = ops.gather_elements(full, rows, 1)
    graph = openvino.Model([ops.result(gathered), ops.result(full)], [given])
    move_less(graph)
    (done,) = [node for node in graph.get_ops() if node.get_type_name() == "Tanh"]
    assert list(done.output(0).get_shape()) == [1, 50, 4]
