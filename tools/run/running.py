"""The work of `maskstream run`: check what was asked for, run it, and say what came of it."""

from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import typer

from maskstream.errors import MaskstreamError
from maskstream.stream.addresses.redact import resolve, scrubbed, shown
from maskstream.stream.telemetry.log import STANDARD_ERROR, RunLog
from maskstream.stream.telemetry.progress import open_view
from maskstream.stream.telemetry.report import build_report, write_report
from maskstream.stream.telemetry.snapshot import RunResult
from maskstream.tools.run.faults import Faults
from maskstream.tools.run.request import Request, make_request
from maskstream.tools.run.request_checks import Checked, check_request
from maskstream.tools.run.teller import Teller


def run_request(
    sources: list[str],
    given: dict[str, Any],
    config: Path | None,
    *,
    is_quiet: bool,
    is_verbose: bool,
) -> int:
    """Run what the command line and a file ask for together; returns the exit code.

    Args:
        sources: As typed; with any, the file's are ignored.
        given: Options that were typed, by the names of their arguments.

    Raises:
        RequestError: It cannot be run; the text has a line for each mistake.
        MaskstreamError: It failed.
    """
    request = make_request(sources, given, config)
    faults = Faults()
    checked = check_request(request, faults)
    faults.raise_any()
    result = _run(request, checked, is_quiet=is_quiet, is_verbose=is_verbose)
    report = request.arguments.report
    if report is not None:
        write_report(report, build_report(result.figures))
    if not is_quiet:
        _print_summary(result, report)
    return result.exit_code


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
