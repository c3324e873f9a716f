"""Starts the stages, watches them, ends them in order, and says how it went.

One loop, in the caller's main thread, that sleeps until something happens: a stage says something,
a stage's process ends, a signal comes, a tick or a deadline is due. A run goes through ::

    starting   processes load; capture is held back until every stage is ready
    running    frames flow
    draining   capture is told to end; what is in the line flows out, until a deadline
    ended      nothing runs any more; the frames are counted up

A stage that dies while frames flow is started anew, if the run is to
(``stream.supervision.repair``); a viewer always is. Any other death ends the run: the neighbours
see end-of-file on their channels and end by themselves, the sink with what it has; whoever has not
ended when time is up is killed.
"""

from __future__ import annotations

import selectors
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

from maskstream.errors import ConfigError
from maskstream.stream.options import RunOptions
from maskstream.stream.processes.control import Abandon, Drain, Go, Joined, Note, Ready
from maskstream.stream.supervision.caller import CallerView
from maskstream.stream.supervision.chaos import ChaosMonkey, check_stages
from maskstream.stream.supervision.interrupts import Interrupts, StopRequests
from maskstream.stream.supervision.launch import Launch
from maskstream.stream.supervision.plan import Plan, make_plan
from maskstream.stream.supervision.stall import HangWatch, StallWatch
from maskstream.stream.supervision.station import Station
from maskstream.stream.supervision.topology import Line
from maskstream.stream.supervision.verdict import (
    FAULT_EXIT_CODE,
    Failure,
    Verdict,
    failure_of,
    orphaned,
)
from maskstream.stream.supervision.viewer_hosts import open_hosts
from maskstream.stream.supervision.worker import Worker
from maskstream.stream.telemetry.reader import Telemetry
from maskstream.stream.telemetry.snapshot import EngineInfo, Event, RunResult, RunState, Snapshot

VIEWER_HANGS_S = 5.0
"""A viewer that is at one thing for longer is started anew: its receiver does not read."""
VIEWER_END_S = 3.0
"""How long viewers may take to end once the line has."""
SAVE_S = 1.0
"""How long a sink may save its file after everything else was stopped at once."""
_REST_S = 2.0
"""A loop that has nothing to wait for but processes wakes up this often."""


def run_pipeline(
    options: RunOptions,
    *,
    on_event: Callable[[Event], None],
    on_tick: Callable[[Snapshot], None],
    stop: StopRequests | None = None,
    caller: CallerView | None = None,
) -> RunResult:
    """Run sources through an engine into their outputs, and wait for the end.

    SIGINT and SIGTERM are handled meanwhile: the first drains and finishes the files, the second
    stops at once. To be called from the main thread, as the stages die with the thread that
    started them.

    Args:
        options: What to do.
        on_event: Called with each line worth telling.
        on_tick: Called with all figures, every ``options.times.tick_s``, and once at the end.
        stop: Requests to stop, entered by the caller, instead of signals; then any thread will do
            that lives until the run has ended.
        caller: Gets frames of all sources in this process.

    Returns:
        How it went, failures of stages included.

    Raises:
        ConfigError: The request cannot be met; nothing was started.
        SourceError: A source cannot be opened; nothing was started.
    """
    if stop is None and threading.current_thread() is not threading.main_thread():
        raise ConfigError("run_pipeline: called from a thread; it needs the main thread.")
    plan = make_plan(options, on_note=lambda text: on_event(Event("warning", text)))
    for info in plan.infos:
        for text in info.warnings:
            on_event(Event("warning", text))
    if plan.codecs():
        on_event(Event("info", plan.codecs()))
    with ExitStack() as resources:
        requests = resources.enter_context(Interrupts()) if stop is None else stop
        return _Supervisor(plan, on_event, on_tick, resources, requests, caller).run()


class _Supervisor:
    """One run."""

    def __init__(
        self,
        plan: Plan,
        on_event: Callable[[Event], None],
        on_tick: Callable[[Snapshot], None],
        resources: ExitStack,
        interrupts: StopRequests,
        caller: CallerView | None,
    ) -> None:
        self._plan = plan
        self._times = plan.options.times
        self._on_event = on_event
        self._on_tick = on_tick
        self._state: RunState = "starting"
        self._failure: Failure | None = None
        self._source_failure: Failure | None = None
        self._interrupts = interrupts
        self._selector = resources.enter_context(selectors.DefaultSelector())
        self._selector.register(self._interrupts, selectors.EVENT_READ, None)
        self._hosts = open_hosts(plan, resources, on_event)
        places = [place.label for place in Line(len(plan.infos)).places]
        check_stages(plan.chaos, [*places, *(host.label for host in self._hosts)])
        self._launch = Launch(plan, self._hosts, resources, on_event, caller)
        self._stations = self._launch.stations
        self._line = [station for station in self._stations if not station.is_viewer]
        self._viewers = [station for station in self._stations if station.is_viewer]
        self._repairs = self._launch.repairs
        for station in self._stations:
            self._listen(station)
        self._telemetry = Telemetry(
            [station.subject for station in self._stations],
            self._launch.pools,
            plan.frame_total(),
            plan.names,
        )
        self._stall = StallWatch(self._times.stall_s)
        self._hang = HangWatch(self._times.hung_s)
        self._viewer_hang = HangWatch(VIEWER_HANGS_S)
        self._monkey = ChaosMonkey(plan.chaos, lambda text: on_event(Event("warning", text)))
        self._is_stopped = False
        self._running_s: float | None = None
        now_s = time.monotonic()
        self._deadline_s: float | None = now_s + self._times.start_s
        self._tick_due_s = now_s
        self._seen_interrupts = 0
        self._line_ended_s: float | None = None
        self._finished_s: float | None = None

    def run(self) -> RunResult:
        """Watch until nothing runs any more."""
        while self._is_going():
            self._wait()
            now_s = time.monotonic()
            self._answer_interrupts(now_s)
            self._answer_deaths(now_s)
            self._answer_readiness(now_s)
            self._answer_stall(now_s)
            self._answer_deadline(now_s)
            self._answer_viewers(now_s)
            self._repairs.start_due(now_s, self._start)
            self._make_chaos(now_s)
            self._tick(now_s)
        return self._conclude()

    def _is_going(self) -> bool:
        return self._repairs.is_any_pending or any(s.is_alive for s in self._stations)

    def _listen(self, station: Station) -> None:
        worker = _worker_of(station)
        self._selector.register(worker.sentinel, selectors.EVENT_READ, (station, True))
        self._selector.register(worker.control, selectors.EVENT_READ, (station, False))

    def _start(self, station: Station) -> None:
        """Start the next process of ``station`` in the running line."""
        self._launch.start(station)
        self._listen(station)

    def _wait(self) -> None:
        """Sleep until something happens, and take note of what did."""
        dues_s = [self._tick_due_s, self._deadline_s, self._repairs.due_s(), self._chaos_due_s()]
        due_s = min(due for due in dues_s if due is not None)
        timeout_s = min(_REST_S, max(0.0, due_s - time.monotonic()))
        for key, _ in self._selector.select(timeout_s):
            if key.data is None:
                self._interrupts.clear()
                continue
            station, is_end = key.data
            self._hear(station)
            if is_end:
                self._bury(station)
        if self._finished_s is None and all(_is_over(station) for station in self._stations):
            # What comes after is Python's own tidying up, which is no part of the run.
            self._finished_s = time.monotonic()

    def _hear(self, station: Station) -> None:
        worker = _worker_of(station)
        for message in worker.hear():
            match message:
                case Note():
                    self._on_event(Event("warning", message.text, station.label))
                case Ready():
                    self._note_ready(station, message)
                case Joined():
                    self._repairs.note_joined(message)
                case Drain():
                    self._note_wish(station)
        if worker.last_word is not None:
            self._repairs.forget(station)
            self._forget_control(worker)

    def _forget_control(self, worker: Worker) -> None:
        # After the last word the control's end-of-file would wake the loop for ever.
        if worker.control.fileno() in self._selector.get_map():
            self._selector.unregister(worker.control)

    def _bury(self, station: Station) -> None:
        worker = _worker_of(station)
        self._selector.unregister(worker.sentinel)
        self._forget_control(worker)
        worker.reap()
        station.subject.state = "stopped" if worker.is_done else "failed"

    def _note_ready(self, station: Station, message: Ready) -> None:
        station.mark_ready()
        facts = message.engine
        if facts is not None:
            manifest = self._plan.manifest
            self._telemetry.engine = EngineInfo(
                path=self._plan.engine_path,
                family=manifest.family,
                backend=facts["backend"],
                device=facts["device"],
                precision=facts["precision"],
                reason=facts["reason"],
                input_size=manifest.input_size,
                class_names=manifest.class_names,
            )
            what = "engine {name}: {backend} on {device}, {precision}, batches of up to {batch}"
            if station.start_count == 1:
                text = what.format(name=manifest.name, **facts)
                reason = facts["reason"]
                self._on_event(Event("info", f"{text}; {reason}" if reason else text))
        if station.start_count > 1:
            self._on_event(Event("info", f"{station.label}: runs again", station.label))
            if station.is_capture and self._state == "running":
                _worker_of(station).tell(Go())

    def _note_wish(self, station: Station) -> None:
        """End the run because somebody who looks on wants it to."""
        if self._state in ("starting", "running") and not self._is_stopped:
            self._on_event(Event("info", "stopping, as was asked for", station.label))
            self._seen_interrupts = max(self._seen_interrupts, 1)
            self._drain(time.monotonic())

    def _answer_interrupts(self, now_s: float) -> None:
        while self._seen_interrupts < self._interrupts.count:
            self._seen_interrupts += 1
            if self._seen_interrupts == 1:
                text = "stopping: frames in the line are finished; interrupt again to stop at once"
                self._on_event(Event("info", text))
                self._drain(now_s)
            elif self._seen_interrupts == 2:
                self._on_event(Event("info", "stopping at once"))
                self._stop(now_s)

    def _answer_deaths(self, now_s: float) -> None:
        # Stages that were stopped on purpose show a killed process too.
        if self._is_stopped:
            return
        for station in self._stations:
            failure = None if station.worker is None else failure_of([station.worker])
            if failure is not None:
                self._answer_death(station, failure, now_s)

    def _answer_death(self, station: Station, failure: Failure, now_s: float) -> None:
        if self._may_restart(station, failure):
            if not station.is_alive:  # what has said that it fails is about to end
                self._restart(station, failure, now_s)
        elif self._is_source_alone(station, failure):
            self._source_failure = self._source_failure or failure
        elif self._failure is None and not (station.is_viewer and self._state == "draining"):
            self._failure = failure
            self._drain(now_s)

    def _may_restart(self, station: Station, failure: Failure) -> bool:
        if self._state != "running" or station.is_hopeless:
            return False
        if station.is_viewer:
            return True
        return self._plan.restarts and failure.exit_code == FAULT_EXIT_CODE

    def _is_source_alone(self, station: Station, failure: Failure) -> bool:
        """Whether a source cannot be read, and the others go on without it."""
        is_source = station.is_capture and failure.exit_code != FAULT_EXIT_CODE
        return is_source and self._plan.restarts and self._state != "starting"

    def _restart(self, station: Station, failure: Failure, now_s: float) -> None:
        station.note_death(now_s)
        if station.is_hopeless:
            self._answer_death(station, failure, now_s)
            return
        text = failure.text.removesuffix("; the run cannot go on.").rstrip(".")
        wait_s = station.due_s - now_s
        again = f"{text}; started anew in {wait_s:.1f} s (restart {station.start_count})."
        self._on_event(Event("warning", again, station.label))
        self._repairs.begin(station)

    def _answer_readiness(self, now_s: float) -> None:
        is_ready = all(s.worker is not None and s.worker.is_ready for s in self._stations)
        if self._state == "starting" and is_ready:
            self._state = "running"
            self._running_s = now_s
            self._deadline_s = None
            self._telemetry.begin(now_s)
            self._tell_captures(Go())

    def _answer_stall(self, now_s: float) -> None:
        if self._state == "starting" or self._is_stopped:
            return
        if self._plan.restarts and self._state == "running":
            self._answer_hung(self._line, self._hang, now_s)
            return
        alive = {station.label: station for station in self._line if station.is_alive}
        stuck = self._stall.look([station.subject for station in alive.values()], now_s)
        if stuck is not None:
            holder = alive[stuck.label].row.holder
            self._failure = self._failure or Failure(stuck.label, stuck.text, holder=holder)
            self._stop(now_s, also=alive[stuck.label])

    def _answer_hung(self, stations: list[Station], watch: HangWatch, now_s: float) -> None:
        """Kill who is at one thing for too long; its death is answered as any other."""
        for station in stations:
            if not station.is_alive or station.subject.state != "running":
                continue
            text = watch.look(station.subject, now_s)
            if text is not None:
                station.subject.state = "stalled"
                self._on_event(Event("warning", text, station.label))
                _worker_of(station).kill()

    def _answer_viewers(self, now_s: float) -> None:
        """Start hung viewers anew, and let none outlive the line for long."""
        if self._state == "running":
            self._answer_hung(self._viewers, self._viewer_hang, now_s)
        if any(station.is_alive or station.is_pending for station in self._line):
            return
        if self._line_ended_s is None:
            self._line_ended_s = now_s
            self._abandon()
        if now_s - self._line_ended_s > VIEWER_END_S:
            for station in self._viewers:
                if station.is_alive:
                    _worker_of(station).kill()

    def _answer_deadline(self, now_s: float) -> None:
        """End the wait for stages to be ready, or for sinks to save what they have."""
        if self._deadline_s is None or now_s < self._deadline_s:
            return
        late = [station for station in self._stations if station.is_alive]
        if self._is_stopped:
            self._deadline_s = None
            for station in late:
                _worker_of(station).kill()
            return
        unready = [station for station in late if not _worker_of(station).is_ready]
        if unready:
            label = unready[0].label
            text = f"{label}: not ready after {self._times.start_s:.0f} s."
            self._failure = Failure(label, text)
            self._stop(now_s)

    def _drain(self, now_s: float) -> None:
        """Let the line run empty; where nothing flows yet, there is nothing to wait for."""
        if self._state == "starting":
            self._stop(now_s)
        elif self._state == "running":
            self._state = "draining"
            self._stall = StallWatch(self._times.drain_s)
            self._abandon()
            self._tell_captures(Drain())

    def _abandon(self) -> None:
        """Start nobody anew, and let nobody wait for it."""
        self._repairs.cancel()
        for station in self._stations:
            if station.is_alive:
                _worker_of(station).tell(Abandon())

    def _stop(self, now_s: float, also: Station | None = None) -> None:
        """Kill every stage but those that have something to save; these see end-of-file."""
        self._is_stopped = True
        self._state = "draining"
        self._deadline_s = now_s + SAVE_S
        self._abandon()
        for station in self._stations:
            if station.is_alive and (station is also or not station.row.saves_on_parent_death):
                _worker_of(station).kill()

    def _tell_captures(self, message: Go | Drain) -> None:
        for station in self._line:
            if station.is_capture and station.is_alive:
                _worker_of(station).tell(message)

    def _chaos_due_s(self) -> float | None:
        due_s = self._monkey.due_s()
        return None if due_s is None or self._running_s is None else self._running_s + due_s

    def _make_chaos(self, now_s: float) -> None:
        if self._running_s is None or self._state != "running":
            return
        pids = {s.label: _worker_of(s).pid for s in self._stations if s.is_alive}
        self._monkey.act(now_s - self._running_s, pids.get)

    def _tick(self, now_s: float) -> None:
        if now_s >= self._tick_due_s:
            self._tick_due_s = now_s + self._times.tick_s
            self._show(self._telemetry.snapshot(self._state, now_s))

    def _show(self, figures: Snapshot) -> None:
        self._on_tick(figures)
        for host in self._hosts:
            host.show(figures)

    def _conclude(self) -> RunResult:
        now_s = self._finished_s or time.monotonic()
        self._telemetry.end(now_s)
        self._state = "ended"
        is_interrupted = self._seen_interrupts > 0
        workers = [station.worker for station in self._line if station.worker is not None]
        failure = self._failure or self._source_failure
        verdict = Verdict(
            workers=workers,
            failure=failure or (None if is_interrupted else orphaned(workers)),
            is_interrupted=is_interrupted,
            lost=self._telemetry.in_flight(),
        )
        figures = verdict.settle(self._telemetry.snapshot("ended", now_s))
        self._show(figures)
        return verdict.result(figures, self._plan)


def _worker_of(station: Station) -> Worker:
    """Returns the process of a station that is known to have one."""
    assert station.worker is not None
    return station.worker


def _is_over(station: Station) -> bool:
    return station.worker is not None and station.worker.is_finished
