"""Options of `maskstream run` that say where frames and results go."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel

from maskstream.stream.codecs.hardware import AUTO
from maskstream.stream.options import ColorBy
from maskstream.stream.telemetry.status import Encoding

_OUTPUT = "Output"
_PICTURE = "Picture"
_CODECS = "Codecs"
_RECORDING = "Recording in chunks"


class OutputSettings(BaseModel):
    """Where frames and results go, and how frames are drawn."""

    outputs: Annotated[
        list[str] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            rich_help_panel=_OUTPUT,
            help="Where frames go, as listed above; any number of times.",
        ),
    ] = None
    results: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OUT",
            rich_help_panel=_OUTPUT,
            help="Where goes what was seen, one JSON object a frame: FILE.ndjson, a folder for "
            "several sources, or tcp://HOST:PORT or ipc:///PATH for ZeroMQ; any number of times.",
        ),
    ] = None
    results_format: Annotated[
        Encoding, typer.Option(rich_help_panel=_OUTPUT, help="Of results on ZeroMQ.")
    ] = "json"
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=_OUTPUT,
            help="Write the run's figures as JSON: counts, rates, latencies, the bottleneck.",
        ),
    ] = None
    web: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            rich_help_panel=_OUTPUT,
            help="Show a live page there: the same as -o http://HOST:PORT.",
        ),
    ] = None
    web_token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=_OUTPUT,
            help="Show the page only to who has the token in this file; needed where other "
            "machines can ask.",
        ),
    ] = None
    display_fps: Annotated[
        bool,
        typer.Option(
            "--display-fps/--no-display-fps",
            show_default=False,
            rich_help_panel=_PICTURE,
            help="Draw the frames per second into the picture.",
        ),
    ] = False
    color_by: Annotated[
        ColorBy, typer.Option(rich_help_panel=_PICTURE, help="What has a colour of its own.")
    ] = "class"
    decoder: Annotated[
        str,
        typer.Option(
            metavar="auto|cpu|DEVICE",
            rich_help_panel=_CODECS,
            help="Of video files: cpu, cuda or vaapi; auto takes the quickest.",
        ),
    ] = AUTO
    encoder: Annotated[
        str,
        typer.Option(
            metavar="auto|NAME",
            rich_help_panel=_CODECS,
            help="Of recordings: libx264, h264_nvenc, hevc_nvenc, h264_qsv, ...; auto takes the "
            "quickest of H.264.",
        ),
    ] = AUTO
    segment: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            rich_help_panel=_RECORDING,
            help="Begin a new file after so long: 30s, 10m, 1h.",
        ),
    ] = None
    keep: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            rich_help_panel=_RECORDING,
            help="Remove files that are older: 24h, 7d. All are kept if left out.",
        ),
    ] = None
    keep_size: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            rich_help_panel=_RECORDING,
            help="Remove the oldest files while all together are larger: 500MB, 50GB.",
        ),
    ] = None
