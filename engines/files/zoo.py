"""The engines that can be run by name: shipped ones, and released ones once they are fetched."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from maskstream.engines.errors import EngineFileError
from maskstream.engines.files.disk import user_cache_dir
from maskstream.engines.files.foreign import FAMILY, is_yolo_seg, make_manifest
from maskstream.engines.files.manifest import METADATA_KEY, Manifest
from maskstream.engines.files.onnx_metadata import ModelFacts, read_model
from maskstream.engines.files.plan_file import PLAN_SUFFIX, read_plan_manifest

SHIPPED_FOLDER = Path(__file__).parents[1] / "weights"
"""Where the engines lie that come with the package."""


@dataclass(frozen=True, slots=True)
class ZooEntry:
    """An engine that a name stands for."""

    name: str
    path: Path
    manifest: Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Weights that others have published, and that become an engine when they are fetched.

    Attributes:
        name: Of the engine and of its configuration.
        repository: On the model host, such as "dbolya/yolact-base".
        file_name: In the repository.
        mask_ap: On COCO test-dev, as published; in [0, 1].
        licence: SPDX expression.
        sha256: Of the file; None where it is not known, and the first fetch decides.
    """

    name: str
    repository: str
    file_name: str
    mask_ap: float
    licence: str
    sha256: str | None = None


def _yolact(name: str, mask_ap: float) -> Release:
    return Release(
        name=name,
        repository=f"dbolya/{name}",
        file_name=f"{name.replace('-', '_')}_54_800000.pth",
        mask_ap=mask_ap,
        licence="MIT",
    )


MODEL_HOST = "https://huggingface.co"
"""Where the repositories of the releases are."""
RELEASES = (
    _yolact("yolact-resnet50", 0.282),
    _yolact("yolact-darknet53", 0.287),
    _yolact("yolact-base", 0.298),
    _yolact("yolact-im700", 0.312),
    _yolact("yolact-plus-resnet50", 0.341),
    _yolact("yolact-plus-base", 0.346),
)
"""The YOLACT authors' own weights."""


def fetched_folder() -> Path:
    """Return the folder of the engines that were fetched."""
    return user_cache_dir() / "engines"


def list_engines() -> list[ZooEntry]:
    """Return the engines that can be run by name, sorted by it."""
    files = _named_files()
    return [ZooEntry(name, files[name], read_manifest(files[name])) for name in sorted(files)]


def resolve_engine(name_or_path: str) -> Path:
    """Return the file that a name or a path stands for; a file of that path comes first.

    Raises:
        EngineFileError: There is neither.
    """
    path = Path(name_or_path)
    if path.is_file():
        return path
    known = _named_files()
    if name_or_path in known:
        return known[name_or_path]
    if path.is_dir():
        raise EngineFileError(f"{name_or_path}: is a folder; an .onnx file or a name is needed.")
    if name_or_path in (release.name for release in RELEASES):
        raise EngineFileError(
            f"{name_or_path}: is not here yet; maskstream engines fetch {name_or_path}"
        )
    names = ", ".join(sorted(known)) or "none"
    raise EngineFileError(f"{name_or_path}: no such engine file; engines with a name: {names}.")


def _named_files() -> dict[str, Path]:
    """Return the engine files by name; a shipped one hides a fetched one."""
    folders = (fetched_folder(), SHIPPED_FOLDER)
    return {path.stem: path for folder in folders for path in folder.glob("*.onnx")}


def read_manifest(path: Path, family: str | None = None) -> Manifest:
    """Return what an engine file says about itself; the graph is not loaded.

    A file without our manifest is an engine too if it is laid out as one of a family that others
    export.

    Args:
        family: What the file is to be; without our manifest it is read as that. None recognises
            it by its shapes.

    Raises:
        EngineFileError: It is no engine, or one of another family.
    """
    if path.suffix == PLAN_SUFFIX:
        return read_plan_manifest(path).engine
    if path.suffix.lower() != ".onnx":
        raise EngineFileError(f"{path}: ends in {path.suffix!r}; an .onnx engine file is needed.")
    model = read_model(path)
    text = model.metadata.get(METADATA_KEY)
    if text is None:
        return _foreign_manifest(path, model, family)
    manifest = Manifest.from_json(text, where=str(path))
    if family not in (None, manifest.family):
        raise EngineFileError(
            f"--family: {family!r} was given; {path} says that it is {manifest.family!r}."
        )
    return manifest


def _foreign_manifest(path: Path, model: ModelFacts, family: str | None) -> Manifest:
    """Return the manifest of a file that has none of ours."""
    if family not in (None, FAMILY):
        raise EngineFileError(
            f"--family: {family!r} was given; {path} is without our manifest, and of such files "
            f"{FAMILY} alone can be run."
        )
    if family is None and not is_yolo_seg(model):
        raise EngineFileError(
            f"{path}: is an ONNX model without our manifest, and its outputs are not those of "
            f"{FAMILY}; make engines with `maskstream export`."
        )
    return make_manifest(path, model)
