"""`maskstream export`: a trained network as one engine file."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from engines.manifest import Manifest
from stream.errors import ConfigError
from tools.engine_file import (
    EngineOutputOption,
    LicenceOption,
    RawOption,
    check_engine_output,
)
from tools.extras import needs_training_parts
from tools.run_card import RunCard, read_run_card


def export(
    run: Annotated[Path, typer.Argument(help="The folder of a `maskstream train` run.")],
    output: EngineOutputOption,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="Of the run; if left out, best.pt where there is one, else last.pt."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What people call it; the file's name if left out.")
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="Data and training in a phrase; the run's own if left out.")
    ] = None,
    licence: LicenceOption = "",
    metrics: Annotated[
        Path | None, typer.Option(help="What `maskstream eval --output` wrote; kept in the file.")
    ] = None,
    raw: RawOption = False,
    crops: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="The folder of a run of fcn, which masks the boxes of the first, a run of yolov3.",
        ),
    ] = None,
) -> None:
    """Write one ONNX file: weights, graph and a manifest, for every backend.

    A detector and an FCN become one engine: `maskstream export runs/boxes --crops runs/masks -o
    pair.onnx`; of a detector alone the masks are its boxes.
    """
    check_engine_output(output)
    card = read_run_card(run)
    if raw and crops is not None:
        raise ConfigError("--crops: a pair has no raw form; leave out --raw.")
    figures = {} if metrics is None else _flat_metrics(metrics)
    with needs_training_parts("export"):
        from tools.trained_run import load_average, newest_of, recipe_of
    recipe = recipe_of(card, run)
    network = load_average(recipe, checkpoint or newest_of(run))
    if raw:
        _export_raw(card, network, output)
    else:
        pair = None if crops is None else _Pair.read(card, network, crops)
        manifest = replace(
            recipe.manifest() if pair is None else pair.manifest,
            name=name or output.stem,
            source=_phrase(card, pair) if source is None else source,
            licence=licence,
            metrics=figures,
        )
        # Ten seconds and more; where the output is no terminal this shows nothing.
        with Console(stderr=True).status(f"{output.name}: exporting"):
            if pair is None:
                recipe.export(network, manifest, output)
            else:
                pair.export(manifest, output)
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB")


class _Pair:
    """A detector and what masks its boxes."""

    def __init__(self, detector: Any, fcn: Any, names: tuple[str, ...], fcn_card: RunCard) -> None:
        from engines.yolo_fcn.export import pair_manifest
        from engines.yolov3.detect import YoloDetector

        self._detector, self._fcn = YoloDetector(detector), fcn
        self.manifest = pair_manifest(self._detector, fcn, names)
        self.fcn_card = fcn_card

    @classmethod
    def read(cls, card: RunCard, detector: Any, folder: Path) -> "_Pair":
        """Return a detector with the FCN of a run.

        Raises:
            ConfigError: One of the two runs is of another family.
        """
        from tools.trained_run import load_average, newest_of, recipe_of

        fcn_card = read_run_card(folder)
        if (card.family, fcn_card.family) != ("yolov3", "fcn"):
            raise ConfigError(
                f"--crops: {folder} is a run of {fcn_card.family} for one of {card.family}; a run "
                "of fcn for one of yolov3 is needed."
            )
        fcn = load_average(recipe_of(fcn_card, folder), newest_of(folder))
        return cls(detector, fcn, card.class_names, fcn_card)

    def export(self, manifest: Manifest, path: Path) -> None:
        """Write the two as one engine file."""
        from engines.yolo_fcn.export import export_pair

        export_pair(self._detector, self._fcn, manifest, path)


def _export_raw(card: RunCard, network: Any, output: Path) -> None:
    """Write what a network says before it is decoded.

    Raises:
        ConfigError: Its family has no such form.
    """
    if card.family == "yolact":
        from engines.yolact.export import export_raw_onnx

        export_raw_onnx(network, output)
    elif card.family == "fcn":
        from engines.graph_file import write_graph
        from engines.yolo_fcn.export import CropProbabilities

        write_graph(CropProbabilities(network), network.crop_px, ["masks"], {}, output)
    else:
        raise ConfigError(f"--raw: the run is of {card.family}; yolact and fcn have raw outputs.")


def _phrase(card: RunCard, pair: _Pair | None) -> str:
    """Return what was trained on what, in a phrase."""
    cards = [card] if pair is None else [card, pair.fcn_card]
    return "; ".join(
        f"{one.network['name']} trained on "
        + " and ".join(f"{Path(name).name} ({count} images)" for name, count in one.data.items())
        for one in cards
    )


def _flat_metrics(path: Path) -> dict[str, float]:
    """Read what `maskstream eval` wrote, as ``{"segm.AP50": 0.48}``.

    Raises:
        ConfigError: The file is something else.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return {
            f"{kind}.{name}": float(document[kind][name])
            for kind in ("segm", "bbox")
            for name in document[kind]
        }
    except (OSError, ValueError, TypeError, KeyError) as exc:
        raise ConfigError(
            f"{path}: holds no figures ({exc!r}); a file of `maskstream eval --output` is needed."
        ) from exc
