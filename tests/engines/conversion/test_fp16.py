"""Which parts of a graph become float16, and what that does to its numbers."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from maskstream.engines.conversion.fp16 import fp16_tensors, to_fp16
from maskstream.engines.errors import EngineError

RANDOM = np.random.default_rng(0)
WEIGHTS = {
    "first": RANDOM.normal(size=(4, 3, 1, 1)).astype(np.float32),
    "second": RANDOM.normal(size=(4, 4, 1, 1)).astype(np.float32),
    "third": RANDOM.normal(size=(4, 4, 1, 1)).astype(np.float32),
}


def graph(nodes, weights, output="out", sides=("n", 4, 6, 6), kind=TensorProto.FLOAT):
    """A model from uint8 frames (n, 3, 6, 6) to one output."""
    return helper.make_model(
        helper.make_graph(
            nodes, "g",
            [helper.make_tensor_value_info("frames", TensorProto.UINT8, ["n", 3, 6, 6])],
            [helper.make_tensor_value_info(output, kind, list(sides))],
            [numpy_helper.from_array(array, name) for name, array in weights.items()],
        ),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=10,
    )  # fmt: skip


def node(kind, inputs, output, **attributes):
    return helper.make_node(kind, inputs, [output], **attributes)


def network(tail=()):
    """Normalised frames through two layers, an activation between them, and a tail."""
    return [
        node("Cast", ["frames"], "floats", to=TensorProto.FLOAT),
        node("Mul", ["floats", "scale"], "scaled"),
        node("Conv", ["scaled", "first"], "a"),
        node("Relu", ["a"], "b"),
        node("Conv", ["b", "second"], "c"),
        *tail,
    ]


SCALE = {"scale": np.array(1 / 255, np.float32)}
PLAIN = graph(network([node("Softmax", ["c"], "out", axis=1)]), {**SCALE, **WEIGHTS})


def run(model, count=2):
    frames = np.random.default_rng(1).integers(0, 256, (count, 3, 6, 6), np.uint8)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"frames": frames})[0]


def types_of(model):
    """Each tensor's type by its name, as strict inference finds it."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    return {
        value.name: value.type.tensor_type.elem_type
        for value in (*inferred.graph.value_info, *inferred.graph.output)
    } | {tensor.name: tensor.data_type for tensor in inferred.graph.initializer}


def test_layers_and_what_links_them_become_float16():
    assert fp16_tensors(PLAIN) == ("scaled", "a", "b", "c")


def test_pixels_are_normalised_and_the_end_is_computed_in_float32():
    types = types_of(to_fp16(PLAIN))
    assert types["first__fp16"] == types["a__fp16"] == types["b__fp16"] == TensorProto.FLOAT16
    assert types["floats"] == types["scaled"] == types["out"] == TensorProto.FLOAT
    assert types["scale"] == TensorProto.FLOAT  # of the multiplication before the first layer


def test_unused_weights_are_not_kept_beside_their_float16_form():
    names = {tensor.name for tensor in to_fp16(PLAIN).graph.initializer}
    assert names == {"scale", "first__fp16", "second__fp16"}


def test_the_given_model_is_not_changed_and_its_metadata_is_kept():
    model = onnx.ModelProto()
    model.CopyFrom(PLAIN)
    helper.set_model_props(model, {"maskstream": "{}"})
    before = model.SerializeToString()
    assert to_fp16(model).metadata_props[0].key == "maskstream"
    assert model.SerializeToString() == before


def test_numbers_are_near_those_of_float32():
    np.testing.assert_allclose(run(to_fp16(PLAIN)), run(PLAIN), atol=2e-3)


def test_the_emulated_graph_rounds_where_a_gpu_does():
    """By hand, in numpy: round inputs and weights, add up in float32, round the sum."""
    model = graph([*network()[:3], node("Conv", ["a", "second"], "out")], {**SCALE, **WEIGHTS})
    frames = np.random.default_rng(1).integers(0, 256, (2, 3, 6, 6), np.uint8)

    def rounded(array):
        return array.astype(np.float16).astype(np.float32)

    values = rounded(frames.astype(np.float32) * SCALE["scale"])
    for name in ("first", "second"):
        weights = rounded(WEIGHTS[name][:, :, 0, 0])
        values = rounded(np.einsum("oi,nihw->nohw", weights, values))
    ours = run(to_fp16(model, is_emulated=True))
    # The runtime may add up in another order, which can change the last bit of a float16.
    np.testing.assert_allclose(ours, values, rtol=2**-10, atol=1e-6)
    assert (rounded(ours) == ours).all()


@pytest.mark.parametrize("kind", ["Softmax", "Exp", "Sin"])
def test_a_layer_behind_the_end_does_not_drag_the_end_into_float16(kind):
    """As where masks are scored: a network, its decoding, and another network."""
    model = graph(
        network(
            [
                node("Add", ["c", "scale"], "d"),
                node(kind, ["d"], "e"),
                node("Mul", ["e", "scale"], "f"),
                node("Conv", ["f", "third"], "out"),
            ]
        ),
        {**SCALE, **WEIGHTS},
    )
    assert fp16_tensors(model) == ("scaled", "a", "b", "c", "f", "out")
    types = types_of(to_fp16(model))
    assert {types[name] for name in "def"} == {TensorProto.FLOAT}
    assert types["out"] == TensorProto.FLOAT  # cast back, as it is an output
    assert np.isfinite(run(to_fp16(model))).all()


def test_kept_tensors_stay_in_float32():
    types = types_of(to_fp16(PLAIN, frozenset({"c"})))
    assert types["c"] == types["second"] == TensorProto.FLOAT
    assert types["a__fp16"] == TensorProto.FLOAT16
    assert fp16_tensors(PLAIN, frozenset({"c"})) == ("scaled", "a")  # b leads nowhere now


def test_what_a_kept_tensor_goes_into_stays_in_float32_too():
    assert fp16_tensors(PLAIN, frozenset({"a"})) == ("b", "c")
    assert fp16_tensors(PLAIN, frozenset({"b"})) == ("scaled", "a")


def test_weights_beyond_float16_stay_in_float32():
    weights = {**SCALE, **WEIGHTS, "second": WEIGHTS["second"] * 1e6}
    assert fp16_tensors(graph(PLAIN.graph.node, weights)) == ("scaled", "a", "b")


def test_the_scales_of_a_resize_stay_in_float32():
    model = graph(
        [
            *network()[:3],
            node("Resize", ["a", "", "twice"], "b", mode="nearest"),
            node("Conv", ["b", "second"], "out"),
        ],
        {**SCALE, **WEIGHTS, "twice": np.array([1, 1, 2, 2], np.float32)},
        sides=("n", 4, 12, 12),
    )
    assert fp16_tensors(model) == ("scaled", "a", "b", "out")
    assert types_of(to_fp16(model))["twice"] == TensorProto.FLOAT
    assert run(to_fp16(model)).shape == (2, 4, 12, 12)


def test_a_graph_without_layers_is_refused():
    model = graph([node("Cast", ["frames"], "out", to=TensorProto.FLOAT)], {}, sides=("n", 3, 6, 6))
    with pytest.raises(EngineError, match="no weighted layers"):
        to_fp16(model)
