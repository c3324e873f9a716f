"""`maskstream run`: sources through an engine to where people look, and a report."""

from pathlib import Path
from typing import Annotated, Any

import typer

from maskstream.stream.arguments import RunArguments
from maskstream.tools.arguments.model_options import given_on_command_line, with_options_of

SourcesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SOURCE",
        show_default=False,
        help="Video files, folders, patterns; cameras: 0 or /dev/video0?size=1280x720&fps=30; "
        "streams: rtsp://USER:${CAM_PASS}@HOST/PATH, http://..., rtmp://...; "
        "or synthetic:numbered?size=1280x720&frames=300.",
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.toml",
        help="Take sources and options from a file; the command line takes precedence. "
        "See `maskstream config`.",
    ),
]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Show nothing but warnings and errors.")
]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Name the stage with what it says.")
]


@with_options_of(RunArguments)
def run(
    context: typer.Context,
    sources: SourcesArgument = None,
    config: ConfigOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    **options: Any,
) -> None:
    """Mask the objects in every frame of a video, and report where the time went.

    \b
    Where frames go (-o):
      FILE.mp4, FILE.mkv            a recording; an existing file is replaced
      FOLDER/                       a recording of each source; the folder must exist
      NAME.m3u8                     a live playlist for web players (HLS)
      window:                       a window
      http://HOST:PORT              a live page
      rtsp://, rtmp://, udp://      a server or receiver at this address
      rtsp-server://HOST:PORT/NAME  players that connect
      FILE.ndjson                   no video: only the detections, as --results
      null:                         discard the frames (the default)
    """
    given = given_on_command_line(context, options)
    # Loaded when it runs, so that the help and a mistyped option are answered at once.
    from maskstream.tools.run.running import run_request

    raise typer.Exit(run_request(sources or [], given, config, is_quiet=quiet, is_verbose=verbose))
