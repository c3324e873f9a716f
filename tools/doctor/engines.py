"""What can run an engine here, and which engines there are."""

import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from maskstream.engines.backends import BACKENDS, auto_backend
from maskstream.engines.errors import EngineError
from maskstream.engines.files.zoo import SHIPPED_FOLDER, read_manifest
from maskstream.engines.runtimes.nvidia import why_no_gpu
from maskstream.tools.arguments.extras import with_install_command
from maskstream.tools.doctor.findings import Finding, error, ok, warning

DEFAULT_ENGINE = "person"
PACKAGES = ("maskstream", "numpy", "opencv-python", "av", "openvino")


def check_packages() -> Finding:
    """Look at the versions of what a run is made of."""
    missing, found = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    text = ", ".join(found)
    if missing:
        # Another build of the same library, such as one without windows, goes by another name.
        return warning("packages", text, f"not installed by that name: {', '.join(missing)}")
    return ok("packages", text)


def check_openvino() -> Iterator[Finding]:
    """Ask OpenVINO for its devices, and what numbers each is quick with."""
    todo = f"install it again: {sys.executable} -m pip install --force-reinstall openvino"
    try:
        import openvino

        core = openvino.Core()
        devices = list(core.available_devices)
        for device in devices:
            name = str(core.get_property(device, "FULL_DEVICE_NAME")).strip()
            abilities = core.get_property(device, "OPTIMIZATION_CAPABILITIES")
            precisions = ", ".join(_precisions(abilities))
            yield ok("openvino", f"{device}: {name}, {precisions}")
    except (ImportError, RuntimeError) as exc:
        reason = str(exc).strip().splitlines()[-1:] or [type(exc).__name__]
        yield error("openvino", reason[0], todo)
        return
    if not devices:
        yield error("openvino", "no device", todo)


def check_backends() -> Iterator[Finding]:
    """Say which backends can be used here, and why the others cannot."""
    reasons = {name: runtime.why_not() for name, runtime in BACKENDS.items()}
    here = [name for name, reason in reasons.items() if reason is None]
    yield ok("backend", f"{', '.join(here)}; auto takes {auto_backend()}")
    is_gpu_idle = why_no_gpu() is None and auto_backend() == "openvino"
    for name, reason in reasons.items():
        if reason is None:
            continue
        found = f"not {name}: {with_install_command(reason)}"
        if is_gpu_idle and name in ("tensorrt", "onnxruntime:cuda"):
            yield warning("backend", found, "without it, engines do not run on the GPU")
        else:
            yield ok("backend", found)


def check_engines(folder: Path = SHIPPED_FOLDER) -> Iterator[Finding]:
    """Read the manifest of each engine that has a name.

    Args:
        folder: Where they lie.
    """
    paths = sorted(folder.glob("*.onnx"))
    for path in paths:
        try:
            manifest = read_manifest(path)
        except EngineError as exc:
            yield error("engine", str(exc), "install maskstream again, or remove the file")
            continue
        names = manifest.class_names
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        size = manifest.input_size
        yield ok("engine", f"{path.stem}: {manifest.family}, {size} x {size} px, {shown}")
    if not any(path.stem == DEFAULT_ENGINE for path in paths):
        found = f"{DEFAULT_ENGINE}, which runs if no other is named, is missing"
        yield warning("engine", found, "install maskstream again, or use run --engine FILE.onnx")


def _precisions(abilities: object) -> list[str]:
    wanted = ("FP32", "FP16", "BF16", "INT8")
    there = (
        {str(ability) for ability in abilities} if isinstance(abilities, list | tuple) else set()
    )
    return [name.lower() for name in wanted if name in there]
