"""`maskstream export`: a trained network as one engine file."""

import json
from pathlib import Path
from typing import Annotated

import typer

from engines.manifest import Manifest
from stream.errors import ConfigError
from tools.checks import check_file
from tools.extras import needs_training_parts
from tools.run_card import CHECKPOINT_NAME, RunCard, read_run_card


def export(
    run: Annotated[Path, typer.Argument(help="The folder of a `maskstream train` run.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE.onnx", help="The engine file.")
    ],
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
    licence: Annotated[str, typer.Option(help="SPDX expression or a phrase.")] = "",
    metrics: Annotated[
        Path | None, typer.Option(help="What `maskstream eval --output` wrote; kept in the file.")
    ] = None,
) -> None:
    """Write one ONNX file: weights, graph and a manifest, for every backend."""
    if output.suffix.lower() != ".onnx":
        raise ConfigError(f"{output}: the name ends in {output.suffix!r}; it must end in .onnx.")
    check_file(output)
    card = read_run_card(run)
    manifest = Manifest(
        family="yolact",
        name=name or output.stem,
        input_size=card.network.input_size,
        class_names=card.class_names,
        patch_px=card.network.prototype_size,
        source=_phrase(card) if source is None else source,
        licence=licence,
        metrics={} if metrics is None else _flat_metrics(metrics),
        tools={},
    )
    best = run / "best.pt"
    newest = best if best.is_file() else run / CHECKPOINT_NAME
    _write(checkpoint or newest, card, manifest, output)
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB")


def _write(weights: Path, card: RunCard, manifest: Manifest, output: Path) -> None:
    """Load the averaged weights of a checkpoint and export the network that they fill."""
    with needs_training_parts("export"):
        from engines.yolact.detect import YolactDetector
        from engines.yolact.export import export_onnx
        from engines.yolact.network import Yolact
        from train.checkpoint import load_checkpoint
    network = Yolact(card.network)
    try:
        network.load_state_dict(load_checkpoint(weights)["average"])
    except RuntimeError as exc:  # torch lists every key that does not fit, over many lines
        raise ConfigError(
            f"{weights}: its weights do not fit the network of {output}'s run; "
            "a checkpoint of that run is needed."
        ) from exc
    export_onnx(YolactDetector(network), manifest, output)


def _phrase(card: RunCard) -> str:
    """Return what the network was trained on, in a phrase."""
    data = " and ".join(f"{Path(name).name} ({count} images)" for name, count in card.data.items())
    return f"{card.network.name} trained on {data}"


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
