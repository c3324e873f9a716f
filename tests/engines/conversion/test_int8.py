"""INT8 engines: what of the graph becomes INT8, and how near it stays to float32."""

import numpy as np
import onnx
import pytest

from maskstream.engines import open_engine, read_manifest
from maskstream.engines.conversion.int8 import write_int8
from maskstream.engines.errors import EngineError
from tests.helpers.engines.foreign import foreign_file
from tests.helpers.engines.tiny import CLASS_NAMES, tiny_engine_file


def _frames(count, seed=1):
    return np.random.default_rng(seed).integers(0, 256, (count, 64, 64, 3), np.uint8)


def _samples(count):
    return [(frame[None],) for frame in _frames(count)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    source = tiny_engine_file()
    path = tmp_path_factory.mktemp("int8") / "small.onnx"
    write_int8(source, read_manifest(source), _samples(8), path)
    return path


def test_all_convolutions_but_the_first_and_the_last_are_int8(made):
    graph = onnx.load(made).graph
    makers = {name: node.op_type for node in graph.node for name in node.output}
    layers = [node for node in graph.node if node.op_type == "Conv"]
    is_int8 = [makers.get(node.input[1]) == "DequantizeLinear" for node in layers]
    assert not is_int8[0]
    # Locations, classes and coefficients of five levels, and the prototypes.
    assert is_int8.count(False) == 1 + 3 * 5 + 1
    assert sum(is_int8) > 30


def test_what_ends_the_network_has_nothing_of_int8(made):
    graph = onnx.load(made).graph
    makers = {name: node.op_type for node in graph.node for name in node.output}
    for node in graph.node:
        if node.op_type in ("Softmax", "Exp", "TopK", "GatherElements"):
            assert "DequantizeLinear" not in {makers.get(name) for name in node.input}


def test_the_manifest_says_int8(made):
    manifest = read_manifest(made)
    assert (manifest.precision, manifest.name) == ("int8", "small")
    assert manifest.class_names == CLASS_NAMES
    assert "onnxruntime" in manifest.tools


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_every_runtime_computes_what_float32_says_but_for_rounding(made, backend):
    frames = _frames(4, seed=7)
    with (
        open_engine(str(tiny_engine_file()), backend="openvino", precision="fp32") as exact,
        open_engine(str(made), backend=backend) as near,
    ):
        ours, theirs = exact.infer(frames), near.infer(frames)
    wanted = ours["prototypes"]
    error = np.abs(theirs["prototypes"] - wanted).mean() / np.abs(wanted).mean()
    assert 0 < error < 0.15
    assert np.abs(np.sort(theirs["scores"]) - np.sort(ours["scores"])).mean() < 0.03


def test_a_file_of_others_stays_what_it_is(tmp_path):
    source = foreign_file()
    manifest = read_manifest(source)
    with pytest.raises(EngineError, match="no convolutions that could become"):
        write_int8(source, manifest, _samples(1), tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())


def test_int8_is_not_made_of_int8(made, tmp_path):
    with pytest.raises(EngineError, match="INT8 already"):
        write_int8(made, read_manifest(made), _samples(1), tmp_path / "x.onnx")
