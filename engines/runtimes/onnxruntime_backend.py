"""Run an exported graph in ONNX Runtime, by the execution provider that is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as errors

from maskstream.engines.errors import BackendError, UnavailableError
from maskstream.engines.interface.backend import (
    EVERYTHING,
    BackendOptions,
    Model,
    Outputs,
    Provider,
    Wanted,
    check_frames,
    closed_error,
    graph_name,
    in_parts,
    to_planes,
)
from maskstream.engines.runtimes.nvidia import why_no_gpu

PROVIDERS: dict[Provider, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
}
_ON_NVIDIA = ("cuda", "tensorrt")
_PREFERRED_BATCH = {"cpu": 1}
_PREFERRED_BATCH_ELSEWHERE = 8
_ERRORS_ONLY = 3
_REFUSALS = (
    errors.Fail,
    errors.InvalidArgument,
    errors.InvalidGraph,
    errors.InvalidProtobuf,
    errors.NoSuchFile,
    errors.NotImplemented,
    errors.RuntimeException,
)
"""They have no class in common."""
_INPUT_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class OnnxRuntimeBackend:
    """One graph in a session of one provider; what that cannot compute falls to the processor.

    It computes in what the graph is written in.

    Args:
        options: A device is "cuda:1" or just "1", for the providers that have several.

    Raises:
        UnavailableError: The provider does not start, or has no such device.
        BackendError: ONNX Runtime refuses the graph, or computes in another precision.
    """

    def __init__(
        self, model: Model, options: BackendOptions, *, provider: Provider = "cpu"
    ) -> None:
        if options.precision not in (None, options.graph_precision):
            raise BackendError(
                f"--precision: {options.precision} was given; ONNX Runtime computes in what the "
                f"graph is written in, which is {options.graph_precision}."
            )
        self.name = "onnxruntime" if provider == "cpu" else f"onnxruntime:{provider}"
        self.device = _device(provider, options.device)
        self.precision: str = options.graph_precision
        usual = _PREFERRED_BATCH.get(provider, _PREFERRED_BATCH_ELSEWHERE)
        self.preferred_batch = options.batch or usual
        self._input_size = options.input_size
        self._layout = options.layout
        self._session: Any = _open_session(model, options, provider, self.device)
        (entry,) = self._session.get_inputs()
        self._input, self._is_batch_of_one = entry.name, entry.shape[0] == 1
        self._dtype = _INPUT_DTYPES.get(entry.type, np.float32)
        self._outputs = [output.name for output in self._session.get_outputs()]

    def infer(self, frames: NDArray[np.uint8], wanted: Wanted = EVERYTHING) -> Outputs:
        """See `engines.interface.backend.Backend.infer`."""
        if self._session is None:
            raise closed_error(self.name)
        check_frames(frames, self._input_size, backend=self.name)
        return in_parts(self._run, frames, 1 if self._is_batch_of_one else self.preferred_batch)

    def close(self) -> None:
        """See `engines.interface.backend.Backend.close`."""
        self._session = None

    def _run(self, frames: NDArray[np.uint8]) -> Outputs:
        values = frames if self._layout == "frames" else to_planes(frames, self._dtype)
        outputs = self._session.run(self._outputs, {self._input: values})
        return dict(zip(self._outputs, outputs, strict=True))


def why_no_provider(provider: Provider) -> str | None:
    """Return why a provider cannot be used here, in a phrase; None where it seems that it can."""
    if PROVIDERS[provider] not in onnxruntime.get_available_providers():
        package = " (onnxruntime-gpu has it)" if provider in _ON_NVIDIA else ""
        return f"onnxruntime {onnxruntime.__version__} is built without it{package}"
    return why_no_gpu() if provider in _ON_NVIDIA else None


def _device(provider: Provider, device: str | None) -> str:
    """Return the device's name: "cpu", "coreml", or "cuda:" and its number.

    Raises:
        BackendError: The provider has no device of that name.
    """
    if provider not in _ON_NVIDIA:
        if device not in (None, provider):
            raise BackendError(
                f"--device: {device} was given; this backend's only one is {provider}; ONNX "
                "Runtime's others are backends of their own, such as onnxruntime:cuda."
            )
        return provider
    number = (device or "0").removeprefix("cuda").removeprefix(":") or "0"
    if not number.isdecimal():
        raise BackendError(f"--device: {device} was given; cuda:0, cuda:1 and so on are needed.")
    return f"cuda:{number}"


def _open_session(model: Model, options: BackendOptions, provider: Provider, device: str) -> Any:
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    # Waiting threads would spin on cores that the other stages need.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    settings.log_severity_level = _ERRORS_ONLY
    wanted: list[Any] = [PROVIDERS[provider]]
    if provider in _ON_NVIDIA:
        onnxruntime.preload_dlls()  # of NVIDIA's wheels, where CUDA is installed by them
        wanted = [(PROVIDERS[provider], {"device_id": device.removeprefix("cuda:")})]
    graph = str(model) if not isinstance(model, bytes) else model
    try:
        session = onnxruntime.InferenceSession(graph, settings, providers=wanted)
    except _REFUSALS as exc:
        reason = str(exc).strip().splitlines()[0]
        raise BackendError(
            f"{graph_name(model)}: ONNX Runtime refuses the graph ({reason})."
        ) from exc
    # Where a provider's libraries are missing it says so on stderr and goes on without.
    if session.get_providers()[0] != PROVIDERS[provider]:
        raise UnavailableError(f"{PROVIDERS[provider]} does not start; its libraries are missing")
    return session
