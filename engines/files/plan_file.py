"""A built engine on disk: the plan, ``NAME.engine``, and what it is, ``NAME.engine.json``.

An engine of two stages has a plan for each, the second in ``NAME.crops.engine``.

A plan runs only with the version that built it and on the GPUs it was built for, and it has to be
trusted: the runtime executes what is in it. So everything is checked before it is given one.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from maskstream.engines.errors import BackendError, EngineFileError
from maskstream.engines.files.manifest import Manifest

PLAN_SUFFIX = ".engine"


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU as far as an engine has to fit it.

    Attributes:
        name: As its driver says, such as "NVIDIA GeForce RTX 4090".
        sm: Its compute capability, such as "sm89".
    """

    name: str
    sm: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanManifest:
    """What a plan is, and what it was made from and for.

    Attributes:
        engine: The ONNX file's own manifest.
        onnx_path: The ONNX file; where it is not there, one of its name beside the plan is.
        onnx_sha256: Of that file.
        plan_sha256: Of the plan.
        flavor: A key of `engines.runtimes.tensorrt.flavors.FLAVORS`.
        version: Of that package.
        gpu_name: The GPU it was built on; empty where it was built ahead for a capability.
        sms: Compute capabilities that it runs on, such as ("sm89",).
        precision: "fp16" or "fp32".
        batches: Batch sizes it was built for, rising; it runs every size up to the last.
        workspace_bytes: Most GPU memory that a layer may take for itself; 0 for no limit.
        tools: Versions of what else made the file.
    """

    engine: Manifest
    onnx_path: str
    onnx_sha256: str
    plan_sha256: str
    flavor: str
    version: str
    gpu_name: str
    sms: tuple[str, ...]
    precision: str
    batches: tuple[int, ...]
    workspace_bytes: int
    tools: dict[str, str]

    def to_json(self) -> str:
        """Return the text that lies beside the plan."""
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str, *, where: str) -> PlanManifest:
        """Read what `to_json` wrote.

        Raises:
            EngineFileError: The text is no such manifest.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            known = {field.name for field in fields(cls)}
            values = {key: value for key, value in values.items() if key in known}
            values["engine"] = Manifest.from_json(json.dumps(values["engine"]), where=where)
            values["sms"] = tuple(values["sms"])
            values["batches"] = tuple(int(size) for size in values["batches"])
            return cls(**values)
        except (ValueError, TypeError, KeyError, AttributeError) as exc:
            raise EngineFileError(
                f"{where}: cannot be read ({exc}); build the engine again."
            ) from exc

    def find_onnx(self, plan: Path) -> Path:
        """Return where the ONNX file lies, or where it should."""
        named = Path(self.onnx_path)
        return named if named.is_file() else plan.with_name(named.name)

    def build_command(self, plan: Path) -> str:
        """Return the command that builds the plan again for the GPU it is run on."""
        words = ["maskstream", "build", str(self.find_onnx(plan)), "-o", str(plan)]
        words += ["--fp16"] if self.precision == "fp16" else []
        words += ["--batch", ",".join(map(str, self.batches)), "--flavor", self.flavor]
        if self.workspace_bytes:
            words += ["--workspace-mib", str(self.workspace_bytes >> 20)]
        return shlex.join(words)


def manifest_path(plan: Path) -> Path:
    """Return where the manifest of a plan lies."""
    return plan.with_name(plan.name + ".json")


def crops_plan_path(plan: Path) -> Path:
    """Return where the second graph's plan lies, beside that of the first."""
    return plan.with_suffix(f".crops{PLAN_SUFFIX}")


def sha256(data: bytes) -> str:
    """Return the hash that manifests hold."""
    return hashlib.sha256(data).hexdigest()


def write_plan(path: Path, plan: bytes, manifest: PlanManifest) -> None:
    """Write a plan and its manifest; each file is replaced at once when it is whole."""
    for target, data in ((manifest_path(path), manifest.to_json().encode()), (path, plan)):
        partial = target.with_name(f".{target.name}.partial")
        partial.write_bytes(data)
        partial.replace(target)


def read_plan_manifest(path: Path) -> PlanManifest:
    """Return what a plan is; the plan itself is not read.

    Raises:
        EngineFileError: There is no manifest beside it, or it cannot be read.
    """
    beside = manifest_path(path)
    try:
        text = beside.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise EngineFileError(
            f"{path}: has no {beside.name} beside it; `maskstream build` writes both."
        ) from exc
    return PlanManifest.from_json(text, where=str(beside))


def check_plan_backend(path: Path, backend: str) -> str:
    """Return the backend that runs an engine of `maskstream build`: the flavor that built it.

    Raises:
        BackendError: Another one was asked for.
    """
    flavor = read_plan_manifest(path).flavor
    if backend not in ("auto", flavor):
        raise BackendError(f"--backend: {backend} was given; {path} runs in {flavor} alone.")
    return flavor


def read_plan(
    path: Path, *, version: str, gpu: Gpu, onnx_sha256: str | None = None
) -> tuple[PlanManifest, bytes]:
    """Return a plan once it is certain that it is whole, is the one that was built, and fits.

    Args:
        version: Of the installed package of the plan's flavor.
        gpu: That it is to run on.
        onnx_sha256: Of the graph that is wanted; None compares with the file it was built from,
            where there is one.

    Raises:
        EngineFileError: Something does not fit; the text says which command builds it again.
    """
    manifest = read_plan_manifest(path)
    try:
        plan = path.read_bytes()
    except OSError as exc:
        raise EngineFileError(f"{path}: cannot be read ({exc.strerror}).") from exc
    if onnx_sha256 is None:
        source = manifest.find_onnx(path)
        onnx_sha256 = sha256(source.read_bytes()) if source.is_file() else manifest.onnx_sha256
    misfit = _misfit(manifest, sha256(plan), version, gpu, onnx_sha256)
    if misfit is not None:
        raise EngineFileError(f"{path}: {misfit}; build it again: {manifest.build_command(path)}")
    return manifest, plan


def _misfit(
    manifest: PlanManifest, plan_sha256: str, version: str, gpu: Gpu, onnx_sha256: str
) -> str | None:
    """Return what does not fit, in words."""
    if plan_sha256 != manifest.plan_sha256:
        return "is not what was built: it is cut short or was changed"
    if onnx_sha256 != manifest.onnx_sha256:
        return f"was built from another {Path(manifest.onnx_path).name}"
    if version != manifest.version:
        return f"was built with {manifest.flavor} {manifest.version}, here is {version}"
    if gpu.sm not in manifest.sms:
        return f"was built for {', '.join(manifest.sms)}, here is {gpu.name} ({gpu.sm})"
    if manifest.gpu_name not in ("", gpu.name):
        return f"was built on {manifest.gpu_name}, here is {gpu.name}"
    return None
