"""Open an engine, or what it is built from, on a GPU of this machine."""

from __future__ import annotations

from pathlib import Path

from maskstream.engines.errors import BackendError
from maskstream.engines.files.manifest import Manifest
from maskstream.engines.files.plan_file import PLAN_SUFFIX, PlanManifest, read_plan
from maskstream.engines.files.zoo import read_manifest
from maskstream.engines.interface.backend import BackendOptions, Model
from maskstream.engines.interface.fit import FitKind
from maskstream.engines.runtimes.nvidia import why_no_gpu
from maskstream.engines.runtimes.tensorrt.backend import TensorRtBackend
from maskstream.engines.runtimes.tensorrt.build_cache import Graph, PlanOrder, kept_plan
from maskstream.engines.runtimes.tensorrt.device import Device, open_device
from maskstream.engines.runtimes.tensorrt.flavors import Flavor, get_flavor
from maskstream.engines.runtimes.tensorrt.loaded_plan import TensorRtNetwork


def why_not(flavor_name: str) -> str | None:
    """Return why a flavor cannot be used here, in a phrase; None where it can."""
    return get_flavor(flavor_name).why_not() or why_no_gpu()


def open_tensorrt(model: Model, options: BackendOptions, *, flavor_name: str) -> TensorRtBackend:
    """Open an engine of `maskstream build`, or an ONNX engine, which is built on first use.

    Raises:
        UnavailableError: The flavor, the driver or the GPU is not here.
        EngineFileError: The engine does not fit; the text says which command builds it again.
        BackendError: The request cannot be met.
    """
    flavor = get_flavor(flavor_name)
    flavor.load()
    device = open_device(_number(options.device))
    try:
        plan, manifest, fit = _plan(model, options, flavor, device)
        network = TensorRtNetwork(plan, flavor, Path(manifest.onnx_path).name)
    except BaseException:
        device.close()
        raise
    return TensorRtBackend(
        network,
        device,
        name=flavor.name,
        precision=manifest.precision,
        options=options,
        fit=fit,
    )


def _plan(
    model: Model, options: BackendOptions, flavor: Flavor, device: Device
) -> tuple[bytes, PlanManifest, FitKind]:
    version = str(flavor.load().__version__)
    if isinstance(model, Path) and model.suffix == PLAN_SUFFIX:
        manifest, plan = read_plan(model, version=version, gpu=device.gpu)
        _check_precision(options, manifest.precision, str(model))
        return plan, manifest, manifest.engine.fit
    graph = _graph(model, options)
    precision = options.precision or "fp16"
    if precision not in ("fp16", "fp32") or (
        precision == "fp32" and options.graph_precision == "fp16"
    ):
        raise BackendError(
            f"--precision: {precision} was given; {flavor.name} computes in fp16, or in fp32 where "
            "the graph is written in it."
        )
    plan, manifest = kept_plan(graph, PlanOrder(flavor=flavor, gpu=device.gpu, precision=precision))
    return plan, manifest, graph.manifest.fit


def _graph(model: Model, options: BackendOptions) -> Graph:
    if isinstance(model, Path):
        return Graph(data=model.read_bytes(), path=model.resolve(), manifest=read_manifest(model))
    # A part of a file: what its manifest would say of it is in the options.
    part = Manifest(
        family="",
        name="part",
        input_size=options.input_size,
        class_names=(),
        patch_px=1,
        layout=options.layout,
        precision=options.graph_precision,
        metrics={},
        tools={},
    )
    return Graph(data=model, path=Path("part.onnx"), manifest=part)


def _check_precision(options: BackendOptions, precision: str, subject: str) -> None:
    if options.precision not in (None, precision):
        raise BackendError(
            f"--precision: {options.precision} was given; {subject} was built in {precision}."
        )


def _number(device: str | None) -> int:
    """Return the GPU that "cuda:1", or "1", stands for."""
    number = (device or "0").removeprefix("cuda").removeprefix(":") or "0"
    if not number.isdecimal():
        raise BackendError(f"--device: {device} was given; cuda:0, cuda:1 and so on are needed.")
    return int(number)
