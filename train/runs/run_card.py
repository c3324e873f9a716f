"""What a folder of training says of itself: `run.json`, from which its engine can be exported."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from maskstream.engines.files.disk import write_text_atomically
from maskstream.errors import ConfigError

RUN_CARD_NAME = "run.json"
CHECKPOINT_NAME = "last.pt"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCard:
    """The facts that exporting needs, and that repeating the run needs."""

    family: str = "yolact"
    """Cards of version 0.1 do not say it; there was no other."""
    network: dict[str, Any]
    """The fields of the family's configuration."""
    class_names: tuple[str, ...]
    command: tuple[str, ...]
    """The command line that began the run."""
    data: dict[str, int]
    """Annotation file -> number of its images."""
    versions: dict[str, str]

    def write(self, folder: Path) -> None:
        """Write the card into a run's folder."""
        write_text_atomically(folder / RUN_CARD_NAME, json.dumps(asdict(self), indent=2) + "\n")


def read_run_card(folder: Path) -> RunCard:
    """Read a run's card.

    Raises:
        ConfigError: The folder has none, or it cannot be read.
    """
    path = folder / RUN_CARD_NAME
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return RunCard(
            family=values.get("family", "yolact"),
            network=dict(values["network"]),
            class_names=tuple(values["class_names"]),
            command=tuple(values["command"]),
            data=values["data"],
            versions=values["versions"],
        )
    except FileNotFoundError as exc:
        raise ConfigError(
            f"{path}: no such file; the folder of a `maskstream train` run is needed."
        ) from exc
    except (OSError, ValueError, TypeError, KeyError) as exc:
        raise ConfigError(
            f"{path}: cannot be read ({exc!r}); the card of a `maskstream train` run is needed."
        ) from exc


def check_run_folder(folder: Path, *, is_resumed: bool) -> None:
    """Check that a folder can take a run: a new one, or the one to go on with.

    Raises:
        ConfigError: It holds a run already, or none to go on with, or is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: is a file; a folder is needed.")
    has_run = (folder / CHECKPOINT_NAME).is_file()
    if has_run and not is_resumed:
        raise ConfigError(f"{folder}: holds a run; go on with --resume, or name another folder.")
    if is_resumed and not has_run:
        raise ConfigError(
            f"{folder}: holds no {CHECKPOINT_NAME} to go on from; leave out --resume."
        )


def training_versions() -> dict[str, str]:
    """Return the versions of what a trained network depends on."""
    names = ("maskstream", "torch", "torchvision", "numpy", "opencv-python")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}
