"""Open an engine, or a network that is not exported yet, in what was asked for."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from maskstream.engines import Engine, open_engine, read_manifest, resolve_engine
from maskstream.engines.backends import check_backend
from maskstream.engines.errors import BackendError, UnavailableError
from maskstream.engines.files.manifest import Manifest
from maskstream.engines.limits import Precision
from maskstream.errors import ConfigError
from maskstream.tools.arguments.extras import needs_training_parts

if TYPE_CHECKING:
    from maskstream.train.yolact.nms import Nms

NETWORK_OPENER = f"{__name__}:open_network"
"""For a run, in the place of `engines.open_engine`."""
_NETWORK_SUFFIXES = (".pt", ".pth")
_WAYS = ("auto", "torch", "torch:compile")


def is_network(engine: str) -> bool:
    """Return whether this is the folder or a checkpoint of a training run, not an engine file."""
    path = Path(engine)
    return path.is_dir() or path.suffix in _NETWORK_SUFFIXES


def check_runtime(engine: str, backend: str) -> None:
    """Check that a backend can run an engine, as far as its name says.

    Raises:
        BackendError: It cannot, or there is no such backend.
    """
    check_backend(backend)
    if is_network(engine) and backend not in _WAYS:
        raise BackendError(
            f"--backend: {backend} was given; {engine} is not exported, which torch and "
            f"torch:compile run; or export it: maskstream export {engine} -o FILE.onnx"
        )


def manifest_of(engine: str, family: str | None = None) -> Manifest:
    """Return what an engine, or a network, says about itself.

    Raises:
        EngineFileError, ConfigError: It is neither.
    """
    if not is_network(engine):
        return read_manifest(resolve_engine(engine), family)
    with needs_training_parts(f"--engine {engine}"):
        from maskstream.train.errors import TrainError
        from maskstream.train.runs.checkpoint_engine import checkpoint_manifest
    try:
        return checkpoint_manifest(Path(engine))
    except TrainError as exc:
        raise ConfigError(str(exc)) from exc


def open_any(
    engine: str,
    *,
    backend: str = "auto",
    device: str | None = None,
    precision: Precision | None = None,
    require_gpu: bool = False,
    threads: int = 1,
    batch: int | None = None,
    family: str | None = None,
) -> Engine:
    """Open an engine or a network; arguments and errors as of `engines.open_engine`.

    Where it runs in something else than what was asked for, standard error says so.
    """
    opened = (open_network if is_network(engine) else open_engine)(
        engine,
        backend=backend,
        device=device,
        precision=precision,
        require_gpu=require_gpu,
        threads=threads,
        batch=batch,
        family=family,
    )
    if opened.reason and (backend != "auto" or device is not None):
        print(
            f"maskstream: runs in {opened.backend} on {opened.device}, {opened.reason}.",
            file=sys.stderr,
        )
    return opened


def open_network(
    engine: str,
    *,
    backend: str = "auto",
    device: str | None = None,
    precision: Precision | None = None,
    require_gpu: bool = False,
    threads: int = 1,
    batch: int | None = None,
    family: str | None = None,
    nms: "Nms | None" = None,
) -> Engine:
    """Open a network that is not exported, in PyTorch.

    Args:
        engine: The folder of a training run, or a checkpoint.
        nms: Of its detections, None for what its engine would have; the other arguments are
            those of `engines.open_engine`.

    Raises:
        BackendError: PyTorch cannot do what is asked for.
        ConfigError: The file cannot be used.
    """
    check_runtime(engine, backend)
    if family is not None:
        raise ConfigError(f"--family: is for ONNX files; {engine} is a network of ours.")
    if precision not in (None, "fp32"):
        raise BackendError(
            f"--precision: {precision} was given; networks that are not exported run in fp32."
        )
    with needs_training_parts(f"--engine {engine}"):
        import torch

        from maskstream.train.errors import TrainError
        from maskstream.train.runs.checkpoint_engine import open_checkpoint
    torch.set_num_threads(threads)
    is_gpu_there = torch.cuda.is_available()
    wanted = device or ("cuda" if require_gpu or is_gpu_there else "cpu")
    is_compiled = backend == "torch:compile"
    reason = "" if device or is_gpu_there else "PyTorch finds no CUDA device"
    try:
        opened = open_checkpoint(Path(engine), nms=nms, device=wanted, is_compiled=is_compiled)
    except UnavailableError as exc:
        reason = f"not torch on {wanted}: {exc}"
        if require_gpu:
            raise BackendError(f"--require-gpu: {reason}.") from exc
        opened = open_checkpoint(Path(engine), nms=nms, is_compiled=is_compiled)
    except TrainError as exc:
        raise ConfigError(str(exc)) from exc
    opened.reason = reason
    if require_gpu and opened.device == "cpu":
        opened.close()
        raise BackendError("--require-gpu: --device cpu was given; leave one of them out.")
    return opened
