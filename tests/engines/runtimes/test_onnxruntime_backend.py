"""ONNX Runtime: graphs in half precision, and providers that are not here."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from maskstream.engines.errors import BackendError, UnavailableError
from maskstream.engines.interface.backend import BackendOptions
from maskstream.engines.runtimes import onnxruntime_backend
from maskstream.engines.runtimes.onnxruntime_backend import PROVIDERS, OnnxRuntimeBackend
from tests.helpers.engines.tiny import tiny_engine_file

OPTIONS = BackendOptions(input_size=4)


def half_graph(*, is_foreign=False):
    """Returns a graph of float16 that adds a frame's values up, scaled to [0, 1]."""
    shape: list[str | int | None] = ["batch", 3, 4, 4] if is_foreign else ["batch", 4, 4, 3]
    kind = TensorProto.FLOAT16 if is_foreign else TensorProto.UINT8
    scale = 1.0 if is_foreign else 1 / 255
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["frames"], ["half"], to=TensorProto.FLOAT16),
            helper.make_node("Mul", ["half", "scale"], ["scaled"]),
            helper.make_node("ReduceSum", ["scaled", "axes"], ["sums"], keepdims=0),
        ],
        "sums",
        [helper.make_tensor_value_info("frames", kind, shape)],
        [helper.make_tensor_value_info("sums", TensorProto.FLOAT16, ["batch"])],
        [
            helper.make_tensor("scale", TensorProto.FLOAT16, [], [scale]),
            helper.make_tensor("axes", TensorProto.INT64, [3], [1, 2, 3]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    return model.SerializeToString()


@pytest.mark.parametrize("is_foreign", [False, True])
def test_a_graph_in_half_precision_runs(is_foreign):
    options = BackendOptions(
        input_size=4, graph_precision="fp16", layout="planes" if is_foreign else "frames"
    )
    backend = OnnxRuntimeBackend(half_graph(is_foreign=is_foreign), options)
    frames = np.zeros((2, 4, 4, 3), np.uint8)
    frames[1, 0, 0] = 255, 0, 51
    sums = backend.infer(frames)["sums"]
    assert sums.dtype == np.float16
    np.testing.assert_allclose(sums, [0.0, 1.2], atol=2e-3)
    assert (backend.name, backend.device, backend.precision) == ("onnxruntime", "cpu", "fp16")


def test_another_precision_than_the_graph_s_is_refused():
    options = BackendOptions(input_size=4, graph_precision="fp16", precision="bf16")
    with pytest.raises(BackendError, match=r"bf16 was given; .* written in, which is fp16\."):
        OnnxRuntimeBackend(half_graph(), options)


def test_a_graph_that_it_refuses_is_one_line(tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(tiny_engine_file().read_bytes().replace(b"Softmax", b"Sofdmax"))
    with pytest.raises(BackendError, match=r"broken\.onnx: ONNX Runtime refuses") as caught:
        OnnxRuntimeBackend(broken, BackendOptions(input_size=64))
    assert "\n" not in str(caught.value)
    with pytest.raises(BackendError, match="the graph: ONNX Runtime refuses"):
        OnnxRuntimeBackend(b"no graph", OPTIONS)


def test_a_provider_is_missing_for_a_reason():
    assert onnxruntime_backend.why_no_provider("cpu") is None
    assert "is built without it" in str(onnxruntime_backend.why_no_provider("coreml"))


@pytest.mark.filterwarnings("ignore:Specified provider:UserWarning")
def test_a_provider_that_does_not_start_is_not_replaced_in_silence(monkeypatch):
    """As where CUDA's libraries are missing: the session then has the processor's provider."""
    assert PROVIDERS["coreml"] not in onnxruntime.get_available_providers()
    with pytest.raises(UnavailableError, match="CoreMLExecutionProvider does not start"):
        OnnxRuntimeBackend(half_graph(), OPTIONS, provider="coreml")


def test_a_device_that_a_provider_has_not_is_a_mistake():
    for device in ("cuda", "gpu"):
        with pytest.raises(BackendError, match="onnxruntime:cuda"):
            OnnxRuntimeBackend(
                half_graph(), BackendOptions(input_size=4, device=device), provider="cpu"
            )
    with pytest.raises(BackendError, match="cuda:0, cuda:1 and so on"):
        OnnxRuntimeBackend(
            half_graph(), BackendOptions(input_size=4, device="big"), provider="cuda"
        )
