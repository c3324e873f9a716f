"""Get a released engine: download its weights, check them, import them, keep the engine."""

import json
from collections.abc import Callable
from pathlib import Path

from maskstream.engines.errors import EngineError
from maskstream.engines.files.class_names import COCO
from maskstream.engines.files.disk import user_cache_dir, write_text_atomically
from maskstream.engines.files.zoo import RELEASES, Release, fetched_folder, list_engines
from maskstream.engines.networks.yolact.config import get_config
from maskstream.tools.arguments.download import DownloadError, download
from maskstream.tools.arguments.extras import needs_training_parts
from maskstream.tools.engine_files.engine_file import write_engine
from maskstream.tools.engine_files.import_command import sha256_of

Say = Callable[[str], None]


def find_release(name: str) -> Release:
    """Return the release of that name.

    Raises:
        EngineError: There is none, or it came with maskstream.
    """
    for release in RELEASES:
        if release.name == name:
            return release
    if any(entry.name == name for entry in list_engines()):
        raise EngineError(f"{name}: is here; nothing has to be fetched to use it.")
    names = ", ".join(release.name for release in RELEASES)
    raise EngineError(f"{name}: nothing to fetch under that name; use one of {names}.")


def fetch_engine(release: Release, mirror: str, say: Say) -> Path:
    """Return the path of a released engine, fetched and imported if it is not here.

    Args:
        mirror: Where the model host's files are, without the repository's name.
        say: Takes a line for each step.

    Raises:
        DownloadError: The weights were not had, or are not those that they should be.
        WeightsError: They do not fit their network.
    """
    engine = fetched_folder() / f"{release.name}.onnx"
    if engine.is_file():
        say(f"{release.name}: here since an earlier fetch")
        return engine
    with needs_training_parts("engines fetch"):
        from maskstream.engines.networks.yolact.weights import load_network
    weights = user_cache_dir() / "weights" / release.file_name
    try:
        for folder in (engine.parent, weights.parent):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise DownloadError(
            f"{exc.filename}: {exc.strerror}; a folder that can be written to is needed."
        ) from exc
    if not weights.is_file():
        url = f"{mirror.rstrip('/')}/{release.repository}/resolve/main/{release.file_name}"
        say(f"{release.name}: {url}")
        download(url, weights)
    try:
        sha256 = _checked_hash(release, weights)
        say(f"{release.name}: making an engine of {release.file_name}")
        network = load_network(weights, get_config(release.name))
    except EngineError:
        weights.unlink()  # The next fetch must not find it.
        raise
    write_engine(
        network,
        engine,
        name=release.name,
        names=COCO,
        source=(
            f"{release.repository}, {release.file_name}, SHA-256 {sha256}; "
            "AP as published, on COCO test-dev"
        ),
        licence=release.licence,
        metrics={"segm.AP": release.mask_ap},
    )
    _record(release, sha256)
    return engine


def recorded_hashes() -> dict[str, str]:
    """Return the SHA-256 of each file that was fetched before and fitted, by file name."""
    path = _record_path()
    if not path.is_file():
        return {}
    try:
        hashes: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as exc:
        raise DownloadError(f"{path}: cannot be read ({exc}); delete it.") from exc
    return hashes


def _checked_hash(release: Release, weights: Path) -> str:
    """Return a file's hash, which must be the pinned one, or the one that was seen before.

    Raises:
        DownloadError: It is another.
    """
    found = sha256_of(weights)
    recorded = recorded_hashes().get(release.file_name)
    expected = release.sha256 or recorded or found
    if found != expected:
        known = "pinned" if release.sha256 else f"recorded in {_record_path()} when first fetched"
        raise DownloadError(
            f"{release.file_name}: SHA-256 {found} where {expected} is {known}; it is not the file "
            "that it was."
        )
    return found


def _record(release: Release, sha256: str) -> None:
    hashes = recorded_hashes() | {release.file_name: sha256}
    write_text_atomically(_record_path(), json.dumps(hashes, indent=2) + "\n")


def _record_path() -> Path:
    return user_cache_dir() / "weights" / "sha256.json"
