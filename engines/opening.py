"""Open an engine: find its file, choose a runtime, and hand both to an `Engine`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from maskstream.engines.backends import open_backend
from maskstream.engines.engine import Engine
from maskstream.engines.errors import BackendError, EngineFileError
from maskstream.engines.files.manifest import Manifest
from maskstream.engines.files.onnx_parts import split_graphs
from maskstream.engines.files.plan_file import PLAN_SUFFIX, check_plan_backend, crops_plan_path
from maskstream.engines.files.zoo import read_manifest, resolve_engine
from maskstream.engines.interface.backend import (
    Backend,
    BackendOptions,
    Model,
    graph_name,
)
from maskstream.engines.limits import Precision


def open_engine(
    name_or_path: str,
    *,
    backend: str = "auto",
    device: str | None = None,
    precision: Precision | None = None,
    require_gpu: bool = False,
    threads: int = 1,
    batch: int | None = None,
    family: str | None = None,
) -> Engine:
    """Load an engine.

    Args:
        name_or_path: As `engines.files.zoo.resolve_engine` takes it.
        backend: A key of `BACKENDS`, or "auto" for the best one here.
        device: As the backend names it; None for its usual one.
        precision: To compute in; None for the quickest that the backend offers on its own.
        require_gpu: Whether to fail rather than to run on the processor.
        threads: That the runtime may use, at least 1.
        batch: Frames that will come at once; None for as many as the backend prefers.
        family: As `engines.files.zoo.read_manifest` takes it.

    Raises:
        EngineFileError: There is no such engine, or it is no engine.
        BackendError: The backend is unknown, not here, or refuses the graph.
    """
    path = resolve_engine(name_or_path)
    manifest = read_manifest(path, family)
    if path.suffix == PLAN_SUFFIX:
        backend = check_plan_backend(path, backend)
    options = BackendOptions(
        input_size=manifest.input_size,
        layout=manifest.layout,
        threads=threads,
        batch=batch,
        device=device,
        graph_precision=manifest.precision,
        precision=precision,
        masks_are_rare=manifest.crop_share_max is not None,
    )
    if manifest.crop_px is None:
        opened, reason = open_backend(path, options, backend=backend, require_gpu=require_gpu)
        return Engine(opened, manifest, reason=reason)
    return _open_two_stages(path, manifest, options, backend=backend, require_gpu=require_gpu)


def _open_two_stages(
    path: Path, manifest: Manifest, options: BackendOptions, *, backend: str, require_gpu: bool
) -> Engine:
    """Load an engine whose file holds a second graph, which masks crops of the boxes."""
    assert manifest.crop_px is not None
    graphs = _graphs(path)

    def open_part(name: str, part: BackendOptions) -> tuple[Backend, str]:
        try:
            return open_backend(graphs[name], part, backend=backend, require_gpu=require_gpu)
        except BackendError as exc:  # a runtime that is given bytes cannot name their file
            words, unnamed = str(exc), f"{graph_name(b'')}:"
            if not words.startswith(unnamed):
                raise
            raise BackendError(words.replace(unnamed, f"{path}, from {name}:", 1)) from exc

    opened, reason = open_part("frames", options)
    try:
        masks, _ = open_part("crops", replace(options, input_size=manifest.crop_px, batch=None))
    except BaseException:
        opened.close()
        raise
    return Engine(opened, manifest, crop_backend=masks, reason=reason)


def _graphs(path: Path) -> Mapping[str, Model]:
    """Return the two graphs of an engine of two stages, by their inputs' names."""
    if path.suffix == PLAN_SUFFIX:
        return {"frames": path, "crops": crops_plan_path(path)}
    graphs = split_graphs(path)
    for name in ("frames", "crops"):
        if name not in graphs:
            raise EngineFileError(
                f"{path}: has no graph that takes {name}, which its manifest promises; export the "
                "engine again."
            )
    return graphs
