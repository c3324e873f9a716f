"""`maskstream run`: sources through an engine to where people look, and a report."""

from contextlib import ExitStack, closing
from pathlib import Path
from typing import Annotated, Any

import typer

from maskstream.errors import MaskstreamError
from maskstream.stream.addresses.redact import resolve, scrubbed, shown
from maskstream.stream.arguments import RunArguments
from maskstream.stream.telemetry.log import STANDARD_ERROR, RunLog
from maskstream.stream.telemetry.progress import open_view
from maskstream.stream.telemetry.report import build_report, write_report
from maskstream.stream.telemetry.snapshot import RunResult
from maskstream.tools.arguments.model_options import given_on_command_line, with_options_of
from maskstream.tools.run.faults import Faults
from maskstream.tools.run.request import Request, make_request
from maskstream.tools.run.request_checks import Checked, check_request
from maskstream.tools.run.teller import Teller

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
    request = make_request(sources or [], given_on_command_line(context, options), config)
    faults = Faults()
    checked = check_request(request, faults)
    faults.raise_any()
    result = _run(request, checked, is_quiet=quiet, is_verbose=verbose)
    report = request.arguments.report
    if report is not None:
        write_report(report, build_report(result.figures))
    if not quiet:
        _print_summary(result, report)
    raise typer.Exit(result.exit_code)


def _run(request: Request, checked: Checked, *, is_quiet: bool, is_verbose: bool) -> RunResult:
    """Run, and tell what happens on standard error and in the log."""
    target = request.arguments.log_json
    # A log on standard error is alone there, so that every line of it is JSON.
    is_silent = target == STANDARD_ERROR
    with ExitStack() as opened:
        log = None if target is None else opened.enter_context(_open_log(target, checked))
        view = None if is_silent else open_view(is_quiet=is_quiet)
        teller = Teller(view, log, is_quiet=is_quiet, is_verbose=is_verbose)
        try:
            return teller.watch(checked)
        except MaskstreamError as exc:
            if log is not None:
                log.fail(scrubbed(str(exc)), exc.exit_code)
            if is_silent:
                raise typer.Exit(exc.exit_code) from exc
            raise


def _open_log(target: str, checked: Checked) -> closing[RunLog]:
    """Return the log, with what is to be run as its first line."""
    options = checked.options
    addresses = [
        text
        for text in (*options.sources, *(place.text for place in options.deliveries))
        if "://" in text
    ]
    log = RunLog(target, secrets={word for text in addresses for word in resolve(text).secrets})
    sources = [shown(uri) for uri in options.sources]
    count = len(sources)
    text = f"{count} source{'s' if count > 1 else ''}"
    log.start(text, sources=sources, engine=options.engine)
    return closing(log)


def _print_summary(result: RunResult, report: Path | None) -> None:
    """Print what came of a run, and the files that were written, on standard output."""
    figures = result.figures
    if figures.frames.captured:
        print(
            f"{figures.frames.delivered} of {figures.frames.captured} frames delivered in "
            f"{figures.wall_s:.1f} s: {figures.fps:.1f} frames/s"
        )
    for path in (*result.outputs, *([] if report is None else [report])):
        print(path)
