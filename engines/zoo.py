"""The engines that can be run by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engines.errors import EngineFileError
from engines.manifest import METADATA_KEY, Manifest
from engines.onnx_metadata import read_metadata

SHIPPED_FOLDER = Path(__file__).parent / "weights"
"""Where the engines lie that come with the package."""


@dataclass(frozen=True, slots=True)
class ZooEntry:
    """An engine that a name stands for."""

    name: str
    path: Path
    manifest: Manifest


def list_engines() -> list[ZooEntry]:
    """Return the engines that can be run by name, sorted by it."""
    return [
        ZooEntry(path.stem, path, read_manifest(path))
        for path in sorted(SHIPPED_FOLDER.glob("*.onnx"))
    ]


def resolve_engine(name_or_path: str) -> Path:
    """Return the file that a name or a path stands for; a file of that path comes first.

    Raises:
        EngineFileError: There is neither.
    """
    path = Path(name_or_path)
    if path.is_file():
        return path
    shipped = SHIPPED_FOLDER / f"{name_or_path}.onnx"
    if path.name == name_or_path and shipped.is_file():
        return shipped
    names = ", ".join(sorted(file.stem for file in SHIPPED_FOLDER.glob("*.onnx"))) or "none"
    if path.is_dir():
        raise EngineFileError(f"{name_or_path}: is a folder; an .onnx file or a name is needed.")
    raise EngineFileError(f"{name_or_path}: no such engine file; engines with a name: {names}.")


def read_manifest(path: Path) -> Manifest:
    """Return what an engine file says about itself; the graph is not loaded.

    Raises:
        EngineFileError: It is no engine of ours.
    """
    if path.suffix.lower() != ".onnx":
        raise EngineFileError(f"{path}: ends in {path.suffix!r}; an .onnx engine file is needed.")
    text = read_metadata(path).get(METADATA_KEY)
    if text is None:
        raise EngineFileError(
            f"{path}: is an ONNX model without our manifest; make engines with `maskstream export`."
        )
    return Manifest.from_json(text, where=str(path))
