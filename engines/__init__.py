"""What a picture means: networks, weights, decoding, runtimes and export."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from engines.backends.base import Backend
from engines.engine import Engine
from engines.errors import BackendError
from engines.zoo import read_manifest, resolve_engine

__all__ = ["BACKENDS", "Engine", "open_engine", "read_manifest", "resolve_engine"]


def _openvino(path: Path, threads: int, batch: int | None) -> Backend:
    from engines.backends.openvino_backend import OpenVinoBackend

    return OpenVinoBackend(path, threads=threads, batch=batch)


BACKENDS: Mapping[str, Callable[[Path, int, int | None], Backend]] = {"openvino": _openvino}
"""What opens an engine file, by the name that ``--backend`` takes; imported when first used."""


def open_engine(
    name_or_path: str, *, backend: str = "auto", threads: int = 1, batch: int | None = None
) -> Engine:
    """Load an engine.

    Args:
        name_or_path: As `engines.zoo.resolve_engine` takes it.
        backend: A key of `BACKENDS`, or "auto" for the best one for the file.
        threads: That the runtime may use, at least 1.
        batch: Frames that will come at once; None for as many as the backend prefers.

    Raises:
        EngineFileError: There is no such engine, or it is no engine.
        BackendError: The backend is unknown or refuses the graph.
    """
    path = resolve_engine(name_or_path)
    manifest = read_manifest(path)
    make = BACKENDS.get("openvino" if backend == "auto" else backend)
    if make is None:
        raise BackendError(
            f"--backend: {backend!r} is not known; use auto or one of {', '.join(BACKENDS)}."
        )
    return Engine(make(path, threads, batch), manifest)
