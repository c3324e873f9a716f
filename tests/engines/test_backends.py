"""Which backend a graph is opened in, and what is said where it is another than was asked for."""

import subprocess

import pytest

from maskstream.engines import backends as registry
from maskstream.engines.backends import BACKENDS, Runtime, open_backend
from maskstream.engines.errors import BackendError, UnavailableError
from maskstream.engines.interface.backend import BackendOptions
from maskstream.engines.runtimes import nvidia
from tests.helpers.engines.tiny import tiny_engine_file

OPTIONS = BackendOptions(input_size=64, batch=1)


class FakeBackend:
    def __init__(self, name, device):
        self.name, self.device, self.precision, self.preferred_batch = name, device, "fp32", 1
        self.is_closed = False

    def close(self):
        self.is_closed = True


def runtime(name, *, missing=None, device="cpu", **facts):
    """Returns a runtime that opens a fake, or says what is missing where a device was asked for."""

    def open_fake(model, options):
        if missing is not None and (options.device or device) != "cpu":
            raise UnavailableError(missing)
        return FakeBackend(name, options.device or device)

    return Runtime(open=open_fake, why_not=lambda: missing if device != "cpu" else None, **facts)


def opened(monkeypatch, runtimes, *, no_gpu=None, device=None, **wanted):
    monkeypatch.setattr(registry, "BACKENDS", runtimes)
    monkeypatch.setattr(registry, "why_no_gpu", lambda: no_gpu)
    options = BackendOptions(input_size=64, device=device)
    backend, reason = open_backend(b"", options, **wanted)
    return backend.name, backend.device, reason


CPU_ONLY = {
    "openvino": runtime(
        "openvino", missing="it lists no GPU", gpu=("openvino", "GPU"), stand_in="openvino"
    ),
    "onnxruntime": runtime("onnxruntime", gpu=("onnxruntime:cuda", None), stand_in="onnxruntime"),
    "onnxruntime:cuda": runtime(
        "onnxruntime:cuda", missing="no CUDA", device="cuda:0", stand_in="onnxruntime"
    ),
    "tensorrt": runtime("tensorrt", missing="not installed", device="cuda:0"),
}
WITH_CUDA = CPU_ONLY | {"onnxruntime:cuda": runtime("onnxruntime:cuda", device="cuda:0")}


def test_auto_takes_the_processor_s_best_where_there_is_no_gpu(monkeypatch):
    found = opened(monkeypatch, CPU_ONLY, no_gpu="no driver")
    assert found == ("openvino", "cpu", "no driver")


def test_auto_takes_the_best_on_the_gpu_that_is_here_and_says_what_is_better_but_missing(
    monkeypatch,
):
    found = opened(monkeypatch, WITH_CUDA)
    assert found == ("onnxruntime:cuda", "cuda:0", "not tensorrt: not installed")


def test_auto_goes_down_to_the_processor_with_all_reasons(monkeypatch):
    name, device, reason = opened(monkeypatch, CPU_ONLY)
    assert (name, device) == ("openvino", "cpu")
    assert reason == "not tensorrt: not installed; not onnxruntime:cuda: no CUDA"


def test_what_was_asked_for_and_is_here_needs_no_reason(monkeypatch):
    assert opened(monkeypatch, CPU_ONLY, backend="onnxruntime") == ("onnxruntime", "cpu", "")
    assert opened(monkeypatch, WITH_CUDA, backend="onnxruntime:cuda") == (
        "onnxruntime:cuda", "cuda:0", "",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("backend", "device", "found"),
    [
        ("onnxruntime:cuda", None, ("onnxruntime", "cpu", "not onnxruntime:cuda: no CUDA")),
        ("openvino", "GPU", ("openvino", "cpu", "not openvino on GPU: it lists no GPU")),
    ],
)
def test_the_processor_stands_in_for_a_gpu_and_the_reason_is_told(
    monkeypatch, backend, device, found
):
    assert opened(monkeypatch, CPU_ONLY, backend=backend, device=device) == found


@pytest.mark.parametrize(
    ("backend", "device", "text"),
    [
        ("auto", None, "not openvino on GPU: it lists no GPU"),
        ("openvino", None, "not openvino on GPU"),
        ("openvino", "cpu", "openvino on cpu runs on the processor"),
        ("onnxruntime", None, "not onnxruntime:cuda: no CUDA"),
        ("onnxruntime:cuda", None, "not onnxruntime:cuda: no CUDA"),
        ("tensorrt", None, "not tensorrt: not installed"),
    ],
)
def test_a_gpu_that_is_required_is_not_stood_in_for(monkeypatch, backend, device, text):
    with pytest.raises(BackendError, match=rf"--require-gpu: .*{text}"):
        opened(monkeypatch, CPU_ONLY, backend=backend, device=device, require_gpu=True)


def test_a_gpu_that_is_required_and_here_is_taken(monkeypatch):
    found = opened(monkeypatch, WITH_CUDA, backend="onnxruntime", require_gpu=True)
    assert found == ("onnxruntime:cuda", "cuda:0", "")


def test_what_has_no_stand_in_fails_with_its_reason(monkeypatch):
    with pytest.raises(BackendError, match="--backend tensorrt: not installed"):
        opened(monkeypatch, CPU_ONLY, backend="tensorrt")


def test_a_device_goes_with_a_backend():
    with pytest.raises(BackendError, match="--device: GPU was given without --backend"):
        open_backend(b"", BackendOptions(input_size=64, device="GPU"))


def test_pytorch_runs_no_exported_graph():
    with pytest.raises(BackendError, match="is an exported graph"):
        open_backend(tiny_engine_file(), OPTIONS, backend="torch")


def test_auto_is_told_before_a_graph_is_opened(monkeypatch):
    monkeypatch.setattr(registry, "BACKENDS", WITH_CUDA)
    monkeypatch.setattr(registry, "why_no_gpu", lambda: None)
    assert registry.auto_backend() == "onnxruntime:cuda"
    monkeypatch.setattr(registry, "why_no_gpu", lambda: "no driver")
    assert registry.auto_backend() == "openvino"


def test_each_runtime_says_in_a_phrase_why_it_cannot_be_used():
    for name, entry in BACKENDS.items():
        reason = entry.why_not()
        assert reason is None or ("\n" not in reason and not reason.endswith(".")), name
    assert BACKENDS["openvino"].why_not() is None
    assert BACKENDS["onnxruntime"].why_not() is None


@pytest.mark.parametrize(
    ("initialised", "count", "reason"),
    [
        (0, 1, None),
        (0, 0, "the NVIDIA driver finds no GPU"),
        (100, 0, "the NVIDIA driver finds no GPU (cuInit failed with 100)"),
    ],
)
def test_the_driver_is_asked_for_gpus(tmp_path, monkeypatch, initialised, count, reason):
    """A library with the driver's two functions, compiled here."""
    source, library = tmp_path / "driver.c", tmp_path / "libcuda.so.1"
    source.write_text(
        f"int cuInit(unsigned flags) {{ return {initialised}; }}\n"
        f"int cuDeviceGetCount(int *count) {{ *count = {count}; return 0; }}\n"
    )
    subprocess.run(["gcc", "-shared", "-o", library, source], check=True)
    monkeypatch.setattr(nvidia, "_DRIVER", str(library))
    assert nvidia.why_no_gpu.__wrapped__() == reason


def test_without_a_driver_there_is_no_gpu(monkeypatch):
    monkeypatch.setattr(nvidia, "_DRIVER", "libno-such-driver.so.1")
    assert "no NVIDIA driver is here" in str(nvidia.why_no_gpu.__wrapped__())
