"""Options of `maskstream run` that say what looks at the frames, and what of it is kept."""

from typing import Annotated

import typer
from pydantic import BaseModel, Field

from maskstream.engines.backends import BACKENDS
from maskstream.engines.decoding.second_stage import MAX_CROPS
from maskstream.engines.interface.backend import Precision
from maskstream.stream.options import MAX_BATCH, MAX_TOP_K

_ENGINE = "Engine"
FamilyOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        rich_help_panel=_ENGINE,
        help="Read an ONNX file without a manifest as this: yolo-seg. If left out, it is "
        "recognised by its outputs.",
    ),
]


class EngineSettings(BaseModel):
    """What looks at the frames."""

    engine: Annotated[
        str,
        typer.Option(
            metavar="PATH|NAME",
            rich_help_panel=_ENGINE,
            help="An engine file, or a name that `maskstream engines` lists.",
        ),
    ] = "person"
    backend: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            rich_help_panel=_ENGINE,
            help=f"The runtime: auto for the best one here, or {', '.join(BACKENDS)}.",
        ),
    ] = "auto"
    device: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            rich_help_panel=_ENGINE,
            help="Of the backend, as it names it: GPU with openvino, cuda:1 with others.",
        ),
    ] = None
    precision: Annotated[
        Precision | None,
        typer.Option(
            rich_help_panel=_ENGINE,
            help="To compute in; if left out, the quickest that the backend offers.",
        ),
    ] = None
    require_gpu: Annotated[
        bool,
        typer.Option(
            "--require-gpu",
            rich_help_panel=_ENGINE,
            help="Fail rather than run on the processor.",
        ),
    ] = False
    family: FamilyOption = None
    batch: Annotated[
        int | None,
        typer.Option(
            rich_help_panel=_ENGINE,
            help=f"Most frames that go through the network at once, 1 to {MAX_BATCH}. If left "
            "out, what suits the engine, and 1 where a source is live or somebody looks on.",
        ),
        Field(ge=1, le=MAX_BATCH),
    ] = None
    score: Annotated[
        float | None,
        typer.Option(
            rich_help_panel=_ENGINE,
            help="Leave out what scores less, 0 to 1; if left out, what the engine says.",
        ),
        Field(ge=0, le=1),
    ] = None
    top_k: Annotated[
        int,
        typer.Option(rich_help_panel=_ENGINE, help=f"Most instances in a frame, 1 to {MAX_TOP_K}."),
        Field(ge=1, le=MAX_TOP_K),
    ] = 15
    max_crops: Annotated[
        int,
        typer.Option(
            rich_help_panel=_ENGINE,
            help="Most boxes of a batch that an engine of two stages masks; the least likely of "
            "more are left out, and counted.",
        ),
        Field(ge=1),
    ] = MAX_CROPS
    classes: Annotated[
        str | None,
        typer.Option(metavar="NAME,NAME", rich_help_panel=_ENGINE, help="Keep only these classes."),
    ] = None
