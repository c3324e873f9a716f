"""`maskstream export`: a trained network as one engine file."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from stream.errors import ConfigError
from tools.engine_file import (
    EngineOutputOption,
    LicenceOption,
    RawOption,
    check_engine_output,
)
from tools.extras import needs_training_parts


def export(
    run: Annotated[
        Path,
        typer.Argument(
            help="The folder of a `maskstream train` run; with --crops an engine file too."
        ),
    ],
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
            metavar="FOLDER|FILE",
            help="The folder of a run of fcn, or an engine file of two stages: masks the boxes of "
            "the first, which is of yolov3 or yolact.",
        ),
    ] = None,
    mask_scores: Annotated[
        bool,
        typer.Option("--mask-scores", help="Let scores be multiplied by how sure the masks are."),
    ] = False,
    crop_share_max: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=1.0,
            help="With --crops for yolact: boxes that cover more of the frame keep their masks.",
        ),
    ] = 0.05,
) -> None:
    """Write one ONNX file: weights, graph and a manifest, for every backend.

    A detector and an FCN become one engine: `maskstream export runs/boxes --crops runs/masks -o
    pair.onnx`; of a detector alone the masks are its boxes. To a network of yolact an FCN gives
    the masks of small boxes.
    """
    check_engine_output(output)
    if raw and crops is not None:
        raise ConfigError("--crops: a pair has no raw form; leave out --raw.")
    if crops is None and run.is_file():
        raise ConfigError(f"{run}: is a file; a run's folder is needed without --crops.")
    figures = {} if metrics is None else _flat_metrics(metrics)
    facts: dict[str, Any] = {"name": name or output.stem, "licence": licence, "metrics": figures}
    if source is not None:
        facts["source"] = source
    if mask_scores:
        facts["has_mask_scores"] = True
    with needs_training_parts("export"):
        from tools.engine_parts import export_network, export_pair, export_raw
    # Ten seconds and more; where the output is no terminal this shows nothing.
    with Console(stderr=True).status(f"{output.name}: exporting"):
        if raw:
            export_raw(run, checkpoint, output)
        elif crops is None:
            export_network(run, checkpoint, facts, output)
        else:
            export_pair(run, checkpoint, crops, crop_share_max, facts, output)
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB")


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
