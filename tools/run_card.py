"""What a folder of training says of itself: `run.json`, from which its engine can be exported."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from engines.yolact.config import Normalization, YolactConfig, get_config
from stream.errors import ConfigError
from stream.report import write_text_atomically

RUN_CARD_NAME = "run.json"
CHECKPOINT_NAME = "last.pt"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCard:
    """The facts that exporting needs, and that repeating the run needs."""

    network: YolactConfig
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
            network=_network(values["network"]),
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


def choose_network(name: str, *, class_count: int, input_size: int | None) -> YolactConfig:
    """Return a network of the family for a number of classes, at its own size or at another.

    Args:
        input_size: Side of the square input in pixels, a multiple of 32; the sides of the priors
            are scaled with it. None keeps the network's own.

    Raises:
        EngineError: There is no network of that name.
        ConfigError: The size is impossible.
    """
    config = replace(get_config(name), class_count=class_count)
    if input_size is None:
        return config
    if input_size < 64 or input_size % 32:
        raise ConfigError(f"--input-size: {input_size} was given; it must be 64, 96, 128, ...")
    factor = input_size / config.input_size
    scales = tuple(tuple(side * factor for side in level) for level in config.prior_scales)
    return replace(config, input_size=input_size, prior_scales=scales)


def _network(values: dict[str, Any]) -> YolactConfig:
    """Return a configuration from plain values; lists are tuples again."""
    known = {field.name for field in fields(YolactConfig)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f"unknown keys {unknown}")
    normalization = {key: tuple(value) for key, value in values["normalization"].items()}
    changed = {
        "prior_scales": tuple(tuple(level) for level in values["prior_scales"]),
        "aspect_ratios": tuple(values["aspect_ratios"]),
        "normalization": Normalization(**normalization),
    }
    return YolactConfig(**{**values, **changed})
