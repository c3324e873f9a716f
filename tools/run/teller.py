"""Telling a user what happens in a run, on standard error and in a log, each thing once."""

import sys

from maskstream.stream.supervision.supervisor import run_pipeline
from maskstream.stream.telemetry.log import RunLog
from maskstream.stream.telemetry.progress import View
from maskstream.stream.telemetry.service import TelemetryService
from maskstream.stream.telemetry.snapshot import Event, RunResult, Snapshot
from maskstream.tools.arguments.extras import with_install_command
from maskstream.tools.run.request_checks import Checked


class Teller:
    """Tells what happens in one run."""

    def __init__(
        self, view: View | None, log: RunLog | None, *, is_quiet: bool, is_verbose: bool
    ) -> None:
        """Tell nothing yet.

        Args:
            view: Where figures and lines are shown; None shows nothing on standard error.
            log: Takes every event, whatever is shown.
            is_quiet: Whether only warnings are shown.
            is_verbose: Whether the stage is named with what it says.
        """
        self._view = view
        self._log = log
        self._is_quiet = is_quiet
        self._is_verbose = is_verbose
        self._told: set[str] = set()

    def tell(self, event: Event) -> None:
        """Show an event that is worth it."""
        if self._log is not None:
            self._log.tell(event)
        if self._view is not None and (event.kind == "warning" or not self._is_quiet):
            self._told.add(event.text)
            stage = f"{event.stage}: " if event.stage and self._is_verbose else ""
            self._view.say(f"{stage}{with_install_command(event.text)}")

    def watch(self, checked: Checked) -> RunResult:
        """Run, with the figures on view; the last ones stay on it."""
        for line in checked.notes:
            self.tell(Event("warning", line))
        telemetry = TelemetryService(checked.telemetry, tell=self.tell)

        def show(figures: Snapshot) -> None:
            if self._view is not None:
                self._view.show(figures)
            if self._log is not None:
                self._log.show(figures)
            telemetry.show(figures)

        try:
            result = run_pipeline(checked.options, on_event=self.tell, on_tick=show)
        finally:
            telemetry.close()
            if self._view is not None:
                self._view.close()
        self._conclude(result)
        return result

    def _conclude(self, result: RunResult) -> None:
        """Tell what went wrong, and what is worth knowing and was not told yet."""
        if self._log is not None:
            self._log.end(result)
        if self._view is None:
            return
        for note in result.notes:
            if note not in self._told:
                print(with_install_command(note), file=sys.stderr)
        if result.traceback is not None:
            print(result.traceback, file=sys.stderr)
        if result.message:
            print(f"maskstream: {with_install_command(result.message)}", file=sys.stderr)
