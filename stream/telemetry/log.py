"""What happens in a run as lines of JSON, for programs and for looking back.

One object a line: ``time`` (UTC) and ``monotonic_s`` of this machine's clock, ``level``, ``event``,
``stage``, ``source``, ``text``, and what the event has of its own. ``event`` is one of

    start, ready, lost, back, restart, failed, draining, end   what became of the run and its parts
    note                                                       anything else that the user is told
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from maskstream.errors import OutputError
from maskstream.stream.addresses.redact import scrubbed
from maskstream.stream.telemetry.snapshot import (
    Event,
    RunResult,
    Snapshot,
    SourceFigures,
    StageFigures,
)

STANDARD_ERROR = "-"
_RUN_EVENTS = {
    "running": ("ready", "all stages are ready"),
    "draining": ("draining", "what is in the line is finished"),
}


class RunLog:
    """The log of this process's run."""

    def __init__(self, target: str, *, secrets: Iterable[str] = ()) -> None:
        """Open it.

        Args:
            target: A file, which is added to, or ``-`` for standard error.
            secrets: What must not stand in it, beside the passwords of addresses.

        Raises:
            OutputError: The file cannot be written.
        """
        # Not logging.getLogger: nobody else's lines belong in here, nor ours elsewhere.
        self._logger = logging.Logger("maskstream")
        self._logger.addHandler(_open_handler(target, tuple(secrets)))
        self._last: Snapshot | None = None

    def start(self, text: str, **facts: Any) -> None:
        """Log that the run begins."""
        self._log("start", text, facts=facts)

    def tell(self, event: Event) -> None:
        """Log what the user is told."""
        self._log("note", event.text, level=event.kind, stage=event.stage)

    def show(self, figures: Snapshot) -> None:
        """Log what has changed since the figures before."""
        last, self._last = self._last, figures
        state = None if last is None else last.state
        if figures.state != state and figures.state in _RUN_EVENTS:
            self._log(*_RUN_EVENTS[figures.state])
        if last is None:
            return
        for before, source in zip(last.sources, figures.sources, strict=False):
            self._log_source(before, source)
        for stage_before, stage in zip(last.stages, figures.stages, strict=False):
            self._log_stage(stage_before, stage)

    def _log_source(self, before: SourceFigures, now: SourceFigures) -> None:
        if now.state == before.state:
            return
        if now.state == "lost":
            self._log("lost", "no picture comes", level="warning", source=now.name)
        elif before.state == "lost" and now.state == "running":
            self._log("back", "pictures come again", source=now.name)

    def _log_stage(self, before: StageFigures, now: StageFigures) -> None:
        if now.restarts > before.restarts:
            facts = {"restarts": now.restarts}
            self._log("restart", "started anew", level="warning", stage=now.name, facts=facts)
        if now.state == "failed" and before.state != "failed":
            self._log("failed", "given up", level="error", stage=now.name)

    def end(self, result: RunResult) -> None:
        """Log how the run ended."""
        frames = result.figures.frames
        facts = {
            "exit_code": result.exit_code,
            "captured": frames.captured,
            "delivered": frames.delivered,
            "dropped": frames.dropped,
            "wall_s": round(result.figures.wall_s, 3),
            "outputs": list(result.outputs),
        }
        if result.traceback is not None:
            facts["traceback"] = result.traceback
        level = "error" if result.exit_code not in (0, 130) else "info"
        self._log("end", result.message or "done", level=level, facts=facts)

    def fail(self, text: str, exit_code: int) -> None:
        """Log that the run never began."""
        self._log("end", text, level="error", facts={"exit_code": exit_code})

    def close(self) -> None:
        """Give the file back."""
        for handler in self._logger.handlers:
            handler.close()

    def _log(
        self,
        event: str,
        text: str,
        *,
        level: str = "info",
        stage: str | None = None,
        source: str | None = None,
        facts: dict[str, Any] | None = None,
    ) -> None:
        fields = {"event": event, "stage": stage, "source": source, "facts": facts or {}}
        number = logging.getLevelNamesMapping()[level.upper()]
        self._logger.log(number, "%s", text, extra={"fields": fields})


class _JsonLines(logging.Formatter):
    """One record as one line of JSON, without passwords."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        super().__init__()
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = record.__dict__["fields"]
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "monotonic_s": round(time.monotonic(), 6),
            "level": record.levelname.lower(),
            "event": fields["event"],
            "stage": fields["stage"],
            "source": fields["source"],
            "text": record.getMessage(),
            **fields["facts"],
        }
        return json.dumps(self._without_secrets(line), ensure_ascii=False)

    def _without_secrets(self, value: Any) -> Any:
        # Before it becomes JSON, which spells some characters of a password in another way.
        if isinstance(value, str):
            return scrubbed(value, self._secrets)
        if isinstance(value, dict):
            return {key: self._without_secrets(entry) for key, entry in value.items()}
        if isinstance(value, list):
            return [self._without_secrets(entry) for entry in value]
        return value


def _open_handler(target: str, secrets: tuple[str, ...]) -> logging.Handler:
    try:
        handler: logging.Handler = (
            logging.StreamHandler(sys.stderr)
            if target == STANDARD_ERROR
            else logging.FileHandler(Path(target), encoding="utf-8")
        )
    except OSError as exc:
        raise OutputError(
            f"{target}: cannot be written ({exc.strerror}); name another file for the log."
        ) from exc
    handler.setFormatter(_JsonLines(secrets))
    return handler
