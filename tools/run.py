"""`maskstream run`: sources through an engine into annotated video, results and a report."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from engines import read_manifest, resolve_engine
from stream.errors import OutputError
from stream.live_open import LiveOptions
from stream.options import NULL_OUTPUT, ColorBy, Policy, RunOptions, StyleOptions
from stream.outcome import Event, RunResult, Snapshot
from stream.outlets import OutletOptions, Outlets
from stream.progress import View, open_view
from stream.report import build_report, write_report
from stream.source import expand_sources
from stream.supervisor import run_pipeline
from tools.checks import check_backend, check_outputs, class_ids_of
from tools.live_options import SourceTimeoutOption, TransportOption
from tools.outlet_options import (
    EncodingOption,
    HttpOption,
    PublicOption,
    TelemetryOption,
    TokenFileOption,
)

_OUTPUT = "Output"
_ENGINE = "Engine"

SourcesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE",
        help="Video files, folders, patterns; cameras: 0 or /dev/video0?size=1280x720&fps=30; "
        "streams: rtsp://USER:${CAM_PASS}@HOST/PATH, http://..., rtmp://...; "
        "or synthetic:numbered?size=1280x720&frames=300.",
    ),
]
OutputOption = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        metavar="OUT",
        rich_help_panel=_OUTPUT,
        help="FILE.mp4 or FILE.mkv, a folder for several sources, FILE.ndjson for results alone, "
        "or null:. A file that is there is replaced once the new one is complete.",
    ),
]
ResultsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.ndjson",
        rich_help_panel=_OUTPUT,
        help="Write what was seen: one JSON object a frame.",
    ),
]
ReportOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.json",
        rich_help_panel=_OUTPUT,
        help="Write the run's figures: counts, rates, latencies, the bottleneck.",
    ),
]
DisplayFpsOption = Annotated[
    bool,
    typer.Option(
        "--display-fps",
        rich_help_panel=_OUTPUT,
        help="Draw the frames per second into the picture.",
    ),
]
ColorByOption = Annotated[
    ColorBy, typer.Option(rich_help_panel=_OUTPUT, help="What has a colour of its own.")
]
EngineOption = Annotated[
    str,
    typer.Option(
        metavar="PATH|NAME",
        rich_help_panel=_ENGINE,
        help="An engine file, or a name that `maskstream engines` lists.",
    ),
]
BackendOption = Annotated[
    str, typer.Option(rich_help_panel=_ENGINE, help="The runtime; auto takes the fastest.")
]
BatchOption = Annotated[
    int | None,
    typer.Option(
        rich_help_panel=_ENGINE,
        help="Most frames that go through the network at once, 1 to 64; what suits the engine "
        "if left out.",
    ),
]
ScoreOption = Annotated[
    float, typer.Option(rich_help_panel=_ENGINE, help="Leave out what scores less, 0 to 1.")
]
TopKOption = Annotated[
    int, typer.Option(rich_help_panel=_ENGINE, help="Most instances in a frame, 1 to 100.")
]
ClassesOption = Annotated[
    str | None,
    typer.Option(metavar="NAME,NAME", rich_help_panel=_ENGINE, help="Keep only these classes."),
]
PolicyOption = Annotated[
    Policy | None,
    typer.Option(
        help="While the line is busy, block waits and latest leaves out all but the newest frame. "
        "If left out, files block and live sources take the latest.",
    ),
]
MaxFramesOption = Annotated[
    int | None, typer.Option(help="End after so many frames of each source.")
]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Show nothing but warnings and errors.")
]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Name the stage with what it says.")
]


def run(
    sources: SourcesArgument,
    output: OutputOption = NULL_OUTPUT,
    results: ResultsOption = None,
    report: ReportOption = None,
    display_fps: DisplayFpsOption = False,
    color_by: ColorByOption = "class",
    engine: EngineOption = "person",
    backend: BackendOption = "auto",
    batch: BatchOption = None,
    score: ScoreOption = 0.3,
    top_k: TopKOption = 15,
    classes: ClassesOption = None,
    policy: PolicyOption = None,
    max_frames: MaxFramesOption = None,
    rtsp_transport: TransportOption = "tcp",
    source_timeout: SourceTimeoutOption = None,
    telemetry: TelemetryOption = None,
    telemetry_format: EncodingOption = "json",
    telemetry_public: PublicOption = False,
    status_http: HttpOption = None,
    status_token_file: TokenFileOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Mask the objects in every frame of a video, and say where the time went."""
    if output.endswith(".ndjson"):
        if results is not None:
            raise OutputError(f"{output}: --results names {results} too; name one of them.")
        output, results = NULL_OUTPUT, Path(output)
    left_out: list[str] = []
    options = RunOptions(
        sources=tuple(expand_sources(sources, left_out=left_out)),
        engine=engine,
        output=output,
        results=results,
        backend=backend,
        batch=batch,
        policy=policy,
        score_min=score,
        top_k=top_k,
        max_frames=max_frames,
        style=StyleOptions(color_by=color_by, display_fps=display_fps),
        live=LiveOptions(rtsp_transport=rtsp_transport, timeout_s=source_timeout),
    )
    outlets = OutletOptions(
        telemetry=telemetry,
        encoding=telemetry_format,
        is_public=telemetry_public,
        http=status_http,
        token_file=status_token_file,
    )
    options.check()
    outlets.check()
    check_outputs(options, report)
    options = replace(options, class_ids=_check_engine(options, classes))
    teller = _Teller(open_view(is_quiet=quiet), is_quiet=quiet, is_verbose=verbose)
    for line in left_out:
        teller.tell(Event("warning", line))
    result = teller.watch(options, outlets)
    teller.conclude(result)
    if report is not None:
        write_report(report, build_report(result.figures))
    if not quiet:
        _print_summary(result, report)
    raise typer.Exit(result.exit_code)


def _check_engine(options: RunOptions, classes: str | None) -> frozenset[int] | None:
    """Check the engine, its backend and its classes; returns the ids of the classes to keep.

    Raises:
        EngineFileError: There is no such engine, or it is no engine.
        BackendError: There is no such backend.
        ConfigError: The engine does not know a class.
    """
    manifest = read_manifest(resolve_engine(options.engine))
    check_backend(options.backend)
    return None if classes is None else class_ids_of(classes, manifest.class_names)


class _Teller:
    """Tells on standard error what happens, each thing once."""

    def __init__(self, view: View, *, is_quiet: bool, is_verbose: bool) -> None:
        self._view = view
        self._is_quiet = is_quiet
        self._is_verbose = is_verbose
        self._told: set[str] = set()

    def tell(self, event: Event) -> None:
        """Show an event that is worth it."""
        if event.kind == "warning" or not self._is_quiet:
            self._told.add(event.text)
            stage = f"{event.stage}: " if event.stage and self._is_verbose else ""
            self._view.say(f"{stage}{event.text}")

    def watch(self, options: RunOptions, outlet_options: OutletOptions) -> RunResult:
        """Run, with the figures on view; the last ones stay on it."""
        outlets = Outlets(outlet_options, tell=self.tell)

        def show(figures: Snapshot) -> None:
            self._view.show(figures)
            outlets.show(figures)

        try:
            return run_pipeline(options, on_event=self.tell, on_tick=show)
        finally:
            outlets.close()
            self._view.close()

    def conclude(self, result: RunResult) -> None:
        """Tell what went wrong, and what is worth knowing and was not told yet."""
        for note in result.notes:
            if note not in self._told:
                print(note, file=sys.stderr)
        if result.traceback is not None:
            print(result.traceback, file=sys.stderr)
        if result.message:
            print(f"maskstream: {result.message}", file=sys.stderr)


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
