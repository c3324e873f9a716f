"""A run in the caller's own process: opened, iterated over, watched, ended.

The pipeline's stages are processes as with the command; what supervises them is a thread here.
Frames reach the caller in shared memory: every one of a file, the newest of a live source.
"""

from __future__ import annotations

import asyncio
import difflib
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from os import PathLike, fspath
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from maskstream.errors import ConfigError, MaskstreamError
from maskstream.stream.arguments import RunArguments, arguments_of
from maskstream.stream.supervision.caller import CallerView
from maskstream.stream.supervision.interrupts import StopRequests
from maskstream.stream.supervision.supervisor import run_pipeline
from maskstream.stream.telemetry.report import Report, build_report
from maskstream.stream.telemetry.snapshot import Event, RunResult, Snapshot
from maskstream.tools.library.frames import Frame
from maskstream.tools.library.handlers import Handler, HandlerThread
from maskstream.tools.run.faults import Faults
from maskstream.tools.run.request import make_request
from maskstream.tools.run.request_checks import Checked, check_request

Source = str | int | PathLike[str]

_EXIT_INTERRUPTED = 130
_POLL_S = 0.25
_LISTS = ("outputs", "results")
_LOOKS: Mapping[str, Any] = {"opacity": 0.0, "boxes": False, "labels": False}
"""Frames come as they are where nothing else is to show them."""
_OF_THE_COMMAND = ("report", "log_json", "telemetry", "status_http")
"""Arguments of the command that are not a run's own."""


class RunError(MaskstreamError, RuntimeError):
    """A run ended by a failure. Its notes hold the traceback of the process it came from."""

    def __init__(self, message: str, exit_code: int, remote_traceback: str | None) -> None:
        """Say what ended the run.

        Args:
            message: One line.
            exit_code: What the command would have ended with.
            remote_traceback: Of the stage that failed; None for a user's error.
        """
        super().__init__(message)
        self.run_exit_code = exit_code
        self.remote_traceback = remote_traceback
        if remote_traceback:
            self.add_note(remote_traceback)


def open(
    sources: Source | Sequence[Source],
    *,
    config: str | PathLike[str] | None = None,
    **arguments: Any,
) -> Run:
    """Return a run of sources through an engine; it starts when it is entered or iterated over.

    Args:
        sources: As `maskstream run` takes them: files, folders, cameras, addresses; one or several.
        config: A pipeline file, as ``--config``.
        **arguments: The options of `maskstream run`, by the names of their keys in a pipeline
            file: ``engine="person"``, ``track=True``, ``score=0.5``, ``outputs=["rec.mp4"]``, ...

    Frames are given as they were captured where no output is asked for, and as they are delivered,
    with masks and boxes drawn, where one is.

    Raises:
        ConfigError: There is no such argument, or the request cannot be met; nothing was started.
    """
    given = _given(arguments)
    if "outputs" not in given and "web" not in given:
        given = {**_LOOKS, **given}
    listed = [sources] if isinstance(sources, str | int | PathLike) else list(sources)
    texts = [text if isinstance(text, str) else fspath_of(text) for text in listed]
    request = make_request(texts, given, None if config is None else Path(config))
    faults = Faults()
    checked = check_request(request, faults)
    faults.raise_any()
    return Run(checked)


def fspath_of(source: Source) -> str:
    """Return a source as it would be typed."""
    return str(source) if isinstance(source, int) else str(fspath(source))


def _given(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments in the types of the list of options.

    Raises:
        ConfigError: One is unknown, or of another type.
    """
    from pydantic import TypeAdapter, ValidationError

    known = arguments_of(RunArguments)
    for name in arguments:
        if name in _OF_THE_COMMAND:
            raise ConfigError(f"{name}: belongs to the command; use run.report or run.figures.")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            wanted = f"did you mean {near[0]!r}?" if near else "see `maskstream run --help`."
            raise ConfigError(f"{name}: no such argument of maskstream.open; {wanted}")
    values = dict(arguments)
    for name in _LISTS:
        if isinstance(values.get(name), str | PathLike):
            values[name] = [values[name]]
        if values.get(name) is not None:
            values[name] = [fspath(value) for value in values[name]]
    if isinstance(values.get("classes"), Sequence) and not isinstance(values["classes"], str):
        values["classes"] = ",".join(values["classes"])
    try:
        checked = TypeAdapter(RunArguments).validate_python(values)
    except ValidationError as exc:
        first = exc.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(f"{where}: {first['input']!r} was given; {first['msg']}.") from exc
    return {
        field.name: getattr(checked, field.name)
        for field in fields(checked)
        if field.name in values
    }


class Run:
    """A run. Iterate over its frames inside a ``with`` block; leaving the block ends it.

    Also an asynchronous iterator and context manager. Not to be shared between threads.
    """

    def __init__(self, checked: Checked) -> None:
        """Start nothing yet."""
        self._options = checked.options
        self._stop = StopRequests()
        self._caller = CallerView()
        self._thread: threading.Thread | None = None
        self._handlers: list[HandlerThread] = []
        self._current: dict[int, Frame] = {}
        self._figures: Snapshot | None = None
        self._result: RunResult | None = None
        self._error: BaseException | None = None
        self._is_closed = False
        self.events: list[Event] = [Event("warning", note) for note in checked.notes]
        """What the run has said so far: lost cameras, restarts, codecs."""

    # Life.

    def start(self) -> Self:
        """Start the pipeline, if it is not started; returns at once."""
        if self._thread is None:
            self._stop.__enter__()
            self._thread = threading.Thread(target=self._supervise, name="maskstream-run")
            self._thread.start()
        return self

    def stop(self) -> None:
        """End the sources; frames on their way still come, and outputs are finished."""
        if self._thread is not None and self._thread.is_alive():
            self._stop.ask()

    def close(self) -> None:
        """End everything and wait for it; outputs are finished. Does nothing a second time."""
        if self._thread is None or self._is_closed:
            return
        self._is_closed = True
        self._expire()
        self._caller.close()
        if self._thread.is_alive():
            self.stop()
        self._thread.join()
        for handler in self._handlers:
            handler.close()
        self._stop.__exit__()
        self._caller.release()

    def wait(self) -> Report:
        """Run to the end without looking at frames; handlers are called.

        Raises:
            MaskstreamError: What ended the run.
        """
        with self:
            for _ in self:
                pass
        report = self.report
        assert report is not None
        return report

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # Frames.

    def __iter__(self) -> Iterator[Frame]:
        self.start()
        while (frame := self._next(None)) is not None:
            yield frame

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(self, *error: object) -> None:
        await asyncio.to_thread(self.close)

    async def __aiter__(self) -> AsyncIterator[Frame]:
        self.start()
        while (frame := await asyncio.to_thread(self._next, None)) is not None:
            yield frame

    # What is known.

    @property
    def report(self) -> Report | None:
        """The command's report, of the run so far or of all of it; None before any figures."""
        return None if self._figures is None else build_report(self._figures)

    @property
    def figures(self) -> Snapshot | None:
        """All figures as of a quarter of a second ago; None before the first."""
        return self._figures

    @property
    def handler_errors(self) -> int:
        """How many calls of handlers raised."""
        return sum(handler.error_count for handler in self._handlers)

    @property
    def handler_late(self) -> int:
        """How many frames handlers missed because they were slower than the frames came."""
        return sum(handler.late_count for handler in self._handlers)

    def on(self, what: str) -> Callable[[Handler], Handler]:
        """Return a decorator that registers a handler, called in a thread beside the run.

        Args:
            what: ``"instances"``: called with a copy of each frame that has any.

        A handler that raises is logged and counted, one that is slow misses frames; neither holds
        the run up or ends it.

        Raises:
            ConfigError: There is no such thing to handle.
        """
        if what != "instances":
            raise ConfigError(f"on: {what!r} was given; 'instances' can be handled.")

        def register(handler: Handler) -> Handler:
            self._handlers.append(HandlerThread(handler))
            return handler

        return register

    def _next(self, timeout_s: float | None) -> Frame | None:
        """Return the next frame, waiting for it; None once the run has ended.

        Raises:
            MaskstreamError: What ended the run.
        """
        while True:
            # Asked before the frames, as what comes before the end is taken before the end.
            if self._is_closed:
                return None
            is_over = self._thread is None or not self._thread.is_alive()
            found = self._caller.next(0.0 if is_over else _POLL_S)
            if found is not None:
                return self._frame(*found)
            if is_over:
                self._conclude()
                return None

    def _frame(self, source: int, slot: Any) -> Frame:
        former = self._current.pop(source, None)
        if former is not None:
            former.expire()
        frame = Frame(slot, self._caller.sources[source])
        self._current[source] = frame
        if self._handlers and len(frame.instances):
            kept = frame.copy()
            for handler in self._handlers:
                handler.offer(kept)
        return frame

    def _expire(self) -> None:
        for frame in self._current.values():
            frame.expire()
        self._current.clear()

    def _conclude(self) -> None:
        self.close()
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        result, self._result = self._result, None
        if result is None or result.exit_code in (0, _EXIT_INTERRUPTED):
            return
        raise RunError(result.message, result.exit_code, result.traceback)

    # The supervisor's thread.

    def _supervise(self) -> None:
        try:
            self._result = run_pipeline(
                replace(self._options),
                on_event=self.events.append,
                on_tick=self._show,
                stop=self._stop,
                caller=self._caller,
            )
        except BaseException as exc:  # noqa: BLE001 - raised in the caller's loop
            self._error = exc
        finally:
            self._caller.wake()

    def _show(self, figures: Snapshot) -> None:
        self._figures = figures
