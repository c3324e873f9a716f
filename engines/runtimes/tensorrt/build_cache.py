"""From an engine file to a plan with its manifest, built now or kept from an earlier run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from maskstream.engines.errors import EngineFileError, UnavailableError
from maskstream.engines.files.disk import user_cache_dir
from maskstream.engines.files.manifest import METADATA_KEY, Manifest
from maskstream.engines.files.onnx_parts import split_graphs
from maskstream.engines.files.plan_file import (
    PLAN_SUFFIX,
    Gpu,
    PlanManifest,
    read_plan,
    sha256,
    write_plan,
)
from maskstream.engines.interface.backend import to_planes
from maskstream.engines.runtimes.tensorrt.builder import BuildSettings, build_plan
from maskstream.engines.runtimes.tensorrt.flavors import Flavor

if TYPE_CHECKING:
    from maskstream.engines.conversion.layer_differences import Fp16Graph

_LOG = logging.getLogger("maskstream")
Watch = Callable[[float, str], None]
"""Is told the share that is done, 0 to 1, and what is being done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """An ONNX graph that a plan is made of.

    Attributes:
        data: The file's bytes.
        path: The file; a name alone where it is a part of one.
        manifest: Of the engine that it is, or is a part of.
    """

    data: bytes
    path: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        """What errors call it."""
        return self.path.name


def graph_parts(graph: Graph) -> list[Graph]:
    """Return the graphs of an engine of two stages, that of the crops last; of others the one."""
    crop_px = graph.manifest.crop_px
    if crop_px is None:
        return [graph]
    parts = split_graphs(graph.path)
    of_crops = replace(graph.manifest, input_size=crop_px)
    return [
        replace(graph, data=parts["frames"]),
        replace(graph, data=parts["crops"], manifest=of_crops),
    ]


def joined_graphs(models: Sequence[Any]) -> Any:
    """Return graphs that `graph_parts` parted as one ONNX model again."""
    whole, *others = models
    for other in others:
        for name in ("node", "initializer", "input", "output", "value_info"):
            getattr(whole.graph, name).extend(getattr(other.graph, name))
    return whole


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOrder:
    """What is wanted of a plan; a plan that is kept is taken if all of it is the same.

    Attributes:
        flavor: What builds it.
        gpu: That it is to run on; its name is empty where it is built ahead.
        precision: "fp16" or "fp32".
        batches: As `BuildSettings` takes them.
        workspace_bytes: As `BuildSettings` takes it.
    """

    flavor: Flavor
    gpu: Gpu
    precision: str = "fp16"
    batches: tuple[int, ...] = (1, 4, 8)
    workspace_bytes: int = 0


def make_plan(
    graph: Graph,
    order: PlanOrder,
    watch: Watch = lambda share, phase: None,
    half: Fp16Graph | None = None,
) -> tuple[bytes, PlanManifest]:
    """Build a plan.

    Args:
        graph: In float32, or float16 where that is what is ordered.
        half: What `to_fp16_file` made of it; made here if None and if it is ordered.

    Raises:
        BackendError: The builder refuses the graph or the GPU.
    """
    data = graph.data
    if order.precision == "fp16" and graph.manifest.precision != "fp16":
        data = (half or to_fp16_file(graph, watch)).model.SerializeToString()
    version = str(order.flavor.load().__version__)
    # A GPU that is here needs no target: the builder asks it, and knows more kinds that way.
    is_ahead = not order.gpu.name
    settings = BuildSettings(
        batches=order.batches,
        sm=order.gpu.sm if is_ahead else None,
        workspace_bytes=order.workspace_bytes,
        timing_cache=_plans_folder() / f"timing-{order.flavor.name}-{version}-{order.gpu.sm}.cache",
    )
    plan = build_plan(data, order.flavor, settings, subject=graph.name, watch=watch)
    return plan, PlanManifest(
        engine=replace(graph.manifest, precision=order.precision),
        onnx_path=str(graph.path),
        onnx_sha256=sha256(graph.data),
        plan_sha256=sha256(plan),
        flavor=order.flavor.name,
        version=version,
        gpu_name=order.gpu.name,
        sms=(order.gpu.sm,),
        precision=order.precision,
        batches=order.batches,
        workspace_bytes=order.workspace_bytes,
        tools={"maskstream": metadata.version("maskstream")},
    )


def to_fp16_file(
    graph: Graph, watch: Watch = lambda share, phase: None, frames: Any = None
) -> Fp16Graph:
    """Return an engine's float16 form, compared with it layer by layer; its manifest says so.

    Args:
        frames: (B, S, S, 3) pictures to compare on; synthetic ones if None.

    Raises:
        EngineError: It cannot be converted.
        UnavailableError: What that needs is not installed.
    """
    try:
        import onnx

        from maskstream.engines.conversion.layer_differences import checked_fp16, synthetic_frames
    except ModuleNotFoundError as exc:
        raise UnavailableError(
            f"{exc.name} is not installed, which FP16 engines are made with: "
            "pip install 'maskstream[tensorrt]'"
        ) from exc
    model = onnx.load_from_string(graph.data)
    side, layout = graph.manifest.input_size, graph.manifest.layout
    pictures = synthetic_frames(side) if frames is None else frames
    given: NDArray[Any] = pictures if layout == "frames" else to_planes(pictures)
    made = checked_fp16(model, given, lambda share: watch(share, "comparing layers"))
    onnx.helper.set_model_props(
        made.model,
        {
            **{entry.key: entry.value for entry in model.metadata_props},
            METADATA_KEY: replace(graph.manifest, precision="fp16").to_json(),
        },
    )
    return made


def kept_plan(
    graph: Graph, order: PlanOrder, watch: Watch = lambda share, phase: None
) -> tuple[bytes, PlanManifest]:
    """Return a plan of the user's cache, built where there is none that fits.

    Raises:
        BackendError: The builder refuses the graph or the GPU.
    """
    version = str(order.flavor.load().__version__)
    path = kept_path(graph, order)
    try:
        manifest, plan = read_plan(
            path, version=version, gpu=order.gpu, onnx_sha256=sha256(graph.data)
        )
    except EngineFileError:
        _LOG.warning(
            "%s: %s builds it for %s; this takes minutes, once.",
            graph.name,
            order.flavor.name,
            order.gpu.name,
        )
        plan, manifest = make_plan(graph, order, watch)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_plan(path, plan, manifest)
    return plan, manifest


def kept_path(graph: Graph, order: PlanOrder) -> Path:
    """Return where the user's cache keeps a plan; everything that it hangs on is in the name."""
    facts = (
        sha256(graph.data), order.flavor.name, order.flavor.load().__version__, order.gpu.name,
        order.gpu.sm, order.precision, order.batches, order.workspace_bytes,
    )  # fmt: skip
    key = sha256(repr(facts).encode())[:16]
    return _plans_folder() / f"{graph.path.stem}-{key}{PLAN_SUFFIX}"


def _plans_folder() -> Path:
    return user_cache_dir() / "plans"
