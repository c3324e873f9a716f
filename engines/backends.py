"""The runtimes by name, which of them work here and why not, and the choice among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec

from maskstream.engines.errors import BackendError, UnavailableError
from maskstream.engines.interface.backend import (
    Backend,
    BackendOptions,
    Model,
    Provider,
    graph_name,
)
from maskstream.engines.runtimes.nvidia import why_no_gpu


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """One way of running graphs; what it needs is imported when it is used.

    Attributes:
        open: Raises `UnavailableError` where the runtime or the device is not here.
        why_not: Returns why it cannot be used here, in a phrase; None where it can.
        gpu: The name and the device that put it on a GPU; None where it has no such way.
        stand_in: What runs the same graphs on the processor where a device is not here.
    """

    open: Callable[[Model, BackendOptions], Backend]
    why_not: Callable[[], str | None]
    gpu: tuple[str, str | None] | None = None
    stand_in: str | None = None


def _why_not(package: str) -> str | None:
    return None if find_spec(package) else f"{package} is not installed"


def _openvino(model: Model, options: BackendOptions) -> Backend:
    from maskstream.engines.runtimes.openvino.backend import OpenVinoBackend

    return OpenVinoBackend(model, options)


def _onnxruntime(provider: Provider) -> Runtime:
    def why_not() -> str | None:
        if (reason := _why_not("onnxruntime")) is not None:
            return f"{reason}: pip install 'maskstream[onnxruntime]'"
        from maskstream.engines.runtimes.onnxruntime_backend import why_no_provider

        return why_no_provider(provider)

    def open_graph(model: Model, options: BackendOptions) -> Backend:
        if (reason := why_not()) is not None:
            raise UnavailableError(reason)
        from maskstream.engines.runtimes.onnxruntime_backend import OnnxRuntimeBackend

        return OnnxRuntimeBackend(model, options, provider=provider)

    gpu = ("onnxruntime:cuda", None) if provider == "cpu" else None
    return Runtime(open=open_graph, why_not=why_not, gpu=gpu, stand_in="onnxruntime")


def _tensorrt(flavor_name: str) -> Runtime:
    def why_not() -> str | None:
        from maskstream.engines.runtimes.tensorrt.opening import why_not as reason

        return reason(flavor_name)

    def open_plan(model: Model, options: BackendOptions) -> Backend:
        if (reason := why_not()) is not None:
            raise UnavailableError(reason)
        from maskstream.engines.runtimes.tensorrt.opening import open_tensorrt

        return open_tensorrt(model, options, flavor_name=flavor_name)

    return Runtime(open=open_plan, why_not=why_not)


def _torch(model: Model, options: BackendOptions) -> Backend:
    raise BackendError(
        f"--backend torch: {graph_name(model)} is an exported graph, which PyTorch does not run; "
        "give it the folder or a checkpoint of a training run."
    )


BACKENDS: Mapping[str, Runtime] = {
    "openvino": Runtime(
        open=_openvino,
        why_not=partial(_why_not, "openvino"),
        gpu=("openvino", "GPU"),
        stand_in="openvino",
    ),
    "onnxruntime": _onnxruntime("cpu"),
    "onnxruntime:cuda": _onnxruntime("cuda"),
    "onnxruntime:tensorrt": _onnxruntime("tensorrt"),
    "onnxruntime:coreml": _onnxruntime("coreml"),
    "tensorrt": _tensorrt("tensorrt"),
    "tensorrt-rtx": _tensorrt("tensorrt-rtx"),
    "torch": Runtime(open=_torch, why_not=partial(_why_not, "torch")),
    "torch:compile": Runtime(open=_torch, why_not=partial(_why_not, "torch")),
}
"""By the name that ``--backend`` takes."""

_BEST_ON_NVIDIA = ("tensorrt", "tensorrt-rtx", "onnxruntime:cuda")
_BEST_ON_CPU = "openvino"
_Choice = tuple[str, str | None]
"""A name of `BACKENDS`, and a device or None."""


def open_backend(
    model: Model, options: BackendOptions, *, backend: str = "auto", require_gpu: bool = False
) -> tuple[Backend, str]:
    """Open a graph in the runtime that was asked for, or in the best one.

    A device that was asked for and is not here is replaced by the processor, which the reason
    says; ``require_gpu`` fails instead.

    Args:
        backend: A name of `BACKENDS`, or "auto".
        require_gpu: Whether to fail rather than to run on the processor.

    Returns:
        The backend, and why it and no other; empty where it is what was asked for.

    Raises:
        BackendError: There is none of that name, nothing of what was asked for is here, or the
            graph is refused.
    """
    check_backend(backend)
    check_device(backend, options.device)
    no_gpu = why_no_gpu() if backend == "auto" else None
    missing = [] if no_gpu is None else [no_gpu]
    for name, device in _choices(backend, options.device, require_gpu=require_gpu):
        try:
            opened = BACKENDS[name].open(model, replace(options, device=device))
        except UnavailableError as exc:
            missing.append(f"not {_shown(name, device)}: {exc}")
            continue
        if require_gpu and opened.device == "cpu":
            opened.close()
            missing.append(f"{_shown(name, device)} runs on the processor")
            continue
        return opened, "; ".join(missing)
    reasons = "; ".join(missing)
    if require_gpu:
        raise BackendError(f"--require-gpu: {reasons}.")
    raise BackendError(f"--backend {backend}: {reasons.removeprefix(f'not {backend}: ')}.")


def auto_backend() -> str:
    """Return the backend that "auto" would try first, as far as can be told without a graph."""
    choices = _choices("auto", None, require_gpu=False)
    return next((name for name, _ in choices if BACKENDS[name].why_not() is None), _BEST_ON_CPU)


def check_backend(backend: str) -> None:
    """Check the name of a backend.

    Raises:
        BackendError: There is no such backend.
    """
    if backend not in ("auto", *BACKENDS):
        raise BackendError(
            f"--backend: {backend!r} was given; it must be auto or one of {', '.join(BACKENDS)}."
        )


def check_device(backend: str, device: str | None) -> None:
    """Check that a device is named together with the backend that knows it.

    Raises:
        BackendError: It is not.
    """
    if backend == "auto" and device is not None:
        raise BackendError(
            f"--device: {device} was given without --backend; each backend has names of its own, "
            f"so add one of {', '.join(BACKENDS)}."
        )


def _choices(backend: str, device: str | None, *, require_gpu: bool) -> list[_Choice]:
    """Return what to try, the best first."""
    if backend == "auto":
        best = [(name, None) for name in _BEST_ON_NVIDIA if name in BACKENDS]
        on_nvidia: list[_Choice] = [] if why_no_gpu() else [*best]
        on_cpu = BACKENDS[_BEST_ON_CPU]
        last = on_cpu.gpu if require_gpu and on_cpu.gpu else (_BEST_ON_CPU, None)
        return [*on_nvidia, last]
    runtime = BACKENDS[backend]
    if require_gpu:
        return [runtime.gpu if device is None and runtime.gpu else (backend, device)]
    wished: _Choice = (backend, device)
    instead: _Choice = (runtime.stand_in or backend, None)
    return [wished] if instead == wished or runtime.stand_in is None else [wished, instead]


def _shown(name: str, device: str | None) -> str:
    return name if device is None else f"{name} on {device}"
