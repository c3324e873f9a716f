"""`maskstream export`: a trained network as one engine file."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from maskstream.errors import ConfigError
from maskstream.tools.arguments.extras import needs_training_parts
from maskstream.tools.engine_files.engine_file import (
    EngineOutputOption,
    LicenceOption,
    MetricsOption,
    RawOption,
    check_engine_output,
    read_metrics,
)
from maskstream.train.runs.run_card import read_run_card

RunArgument = Annotated[
    Path,
    typer.Argument(help="The folder of a `maskstream train` run; with --crops an engine file too."),
]
CheckpointOption = Annotated[
    Path | None,
    typer.Option(help="Of the run; if left out, best.pt where there is one, else last.pt."),
]
NameOption = Annotated[
    str | None, typer.Option(help="What people call it; the file's name if left out.")
]
SourceOption = Annotated[
    str | None, typer.Option(help="Data and training in a phrase; the run's own if left out.")
]
CropsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER|FILE",
        help="The folder of a run of fcn, or an engine file of two stages: masks the boxes of "
        "the first, which is of yolov3 or yolact.",
    ),
]
MaskScoresOption = Annotated[
    bool,
    typer.Option("--mask-scores", help="Let scores be multiplied by how sure the masks are."),
]
CropShareMaxOption = Annotated[
    float,
    typer.Option(
        min=0.0,
        max=1.0,
        help="With --crops for yolact: boxes that cover more of the frame keep their masks.",
    ),
]


def export(
    run: RunArgument,
    output: EngineOutputOption,
    checkpoint: CheckpointOption = None,
    name: NameOption = None,
    source: SourceOption = None,
    licence: LicenceOption = "",
    metrics: MetricsOption = None,
    raw: RawOption = False,
    crops: CropsOption = None,
    mask_scores: MaskScoresOption = False,
    crop_share_max: CropShareMaxOption = 0.05,
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
    facts: dict[str, Any] = {
        "name": name or output.stem,
        "licence": licence,
        "metrics": read_metrics(metrics),
        **({} if source is None else {"source": source}),
        **({"has_mask_scores": True} if mask_scores else {}),
    }
    if run.is_dir():
        read_run_card(run)  # what is no run is told before PyTorch is loaded
    with needs_training_parts("export"):
        from maskstream.tools.engine_files.engine_parts import (
            export_network,
            export_pair,
            export_raw,
        )
    # Ten seconds and more; where the output is no terminal this shows nothing.
    with Console(stderr=True).status(f"{output.name}: exporting"):
        if raw:
            export_raw(run, checkpoint, output)
        elif crops is None:
            export_network(run, checkpoint, facts, output)
        else:
            export_pair(run, checkpoint, crops, crop_share_max, facts, output)
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB")
