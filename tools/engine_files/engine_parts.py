"""What an engine file is made of: a trained network or an engine, and what masks its boxes."""

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx

from maskstream.engines.files.manifest import Manifest
from maskstream.engines.files.onnx_parts import split_graphs
from maskstream.engines.files.zoo import read_manifest
from maskstream.engines.networks.yolact.export import export_raw_onnx
from maskstream.engines.networks.yolo_fcn.export import (
    Crops,
    export_crops,
    fcn_crops,
    join_graphs,
    joined_manifest,
)
from maskstream.errors import ConfigError
from maskstream.train.runs.run_card import RunCard, read_run_card
from maskstream.train.runs.trained_run import load_average, newest_of, recipe_of

_JOINABLE = ("yolact", "yolo")
"""Families of engines to which a graph of crops can be joined."""


def export_network(run: Path, checkpoint: Path | None, facts: dict[str, Any], output: Path) -> None:
    """Write the network of a run as an engine.

    Args:
        run: Its folder.
        checkpoint: Of the run; None for the best, or the last.
        facts: Fields of the manifest.
        output: Replaced at once when the file is whole.

    Raises:
        ConfigError: The folder holds no run.
    """
    card = read_run_card(run)
    recipe = recipe_of(card, run)
    network = load_average(recipe, checkpoint or newest_of(run))
    manifest = replace(recipe.manifest(), **{"source": _phrase(card), **facts})
    recipe.export(network, manifest, output)


def export_raw(run: Path, checkpoint: Path | None, output: Path) -> None:
    """Write what a network says before it is decoded; arguments as of `export_network`.

    Raises:
        ConfigError: Its family has no such form.
    """
    card = read_run_card(run)
    network: Any = load_average(recipe_of(card, run), checkpoint or newest_of(run))
    if card.family == "yolact":
        export_raw_onnx(network, output)
    elif card.family == "fcn":
        export_crops(network, output)
    else:
        raise ConfigError(f"--raw: the run is of {card.family}; yolact and fcn have raw outputs.")


def export_pair(
    run: Path,
    checkpoint: Path | None,
    crops: Path,
    share_max: float,
    facts: dict[str, Any],
    output: Path,
) -> None:
    """Write an engine of two stages; other arguments as of `export_network`.

    Args:
        run: A run's folder, or an engine file.
        crops: The folder of a run of fcn, or an engine file of two stages, of which the second is
            taken.
        share_max: As `joined_manifest` takes it.

    Raises:
        ConfigError: One of the two cannot be taken for this.
    """
    with TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as folder:
        second = _second(crops, Path(folder))
        first = _first(run, checkpoint, Path(folder))
    manifest = joined_manifest(first.manifest, second.crops, share_max)
    source = "; ".join((first.manifest.source, second.source))
    manifest = replace(manifest, **{"source": source, **facts})
    join_graphs(first.model, second.model, manifest, output)


@dataclass(frozen=True, slots=True)
class _First:
    """The graph that takes frames, and what it says of itself."""

    model: onnx.ModelProto
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class _Second:
    """The graph that takes crops."""

    model: onnx.ModelProto
    crops: Crops
    source: str


def _first(run: Path, checkpoint: Path | None, folder: Path) -> _First:
    path = run
    if run.suffix.lower() != ".onnx":
        path = folder / "first.onnx"
        export_network(run, checkpoint, {}, path)
    manifest = read_manifest(path)
    if manifest.family not in _JOINABLE or manifest.crop_px is not None:
        stages = "" if manifest.crop_px is None else " and of two stages already"
        raise ConfigError(
            f"{run}: is of {manifest.family}{stages}; one of {' or '.join(_JOINABLE)} with one "
            "stage is needed for --crops."
        )
    return _First(onnx.load(path), manifest)


def _second(crops: Path, folder: Path) -> _Second:
    if crops.suffix.lower() == ".onnx":
        manifest = read_manifest(crops)
        if manifest.crop_px is None:
            raise ConfigError(f"--crops: {crops} has one stage; an engine of two is needed.")
        model = onnx.load_from_string(split_graphs(crops)["crops"])
        side_px = model.graph.output[0].type.tensor_type.shape.dim[-1].dim_value
        facts = Crops(manifest.crop_px, side_px, manifest.crop_margin)
        # The origin of an engine of two is told in two parts.
        return _Second(model, facts, manifest.source.rpartition("; ")[2])
    card = read_run_card(crops)
    if card.family != "fcn":
        raise ConfigError(f"--crops: {crops} is a run of {card.family}; one of fcn is needed.")
    fcn = load_average(recipe_of(card, crops), newest_of(crops))
    path = folder / "crops.onnx"
    export_crops(fcn, path)
    return _Second(onnx.load(path), fcn_crops(fcn), _phrase(card))


def _phrase(card: RunCard) -> str:
    """Return what was trained on what, in a phrase."""
    data = " and ".join(f"{Path(name).name} ({count} images)" for name, count in card.data.items())
    return f"{card.network['name']} trained on {data}"
