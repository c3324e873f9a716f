"""Starts the stages, watches them, ends them in order, and says how it went.

One loop, in the caller's main thread, that sleeps until something happens: a stage says something,
a stage's process ends, a signal comes, a tick or a deadline is due. A run goes through ::

    starting   processes load; capture is held back until every stage is ready
    running    frames flow
    draining   capture is told to end; what is in the line flows out, until a deadline
    ended      nothing runs any more; the frames are counted up

Any stage's death ends the run. Its neighbours see end-of-file on their channels and end by
themselves, the sink with what it has; whoever has not ended when time is up is killed.
"""

from __future__ import annotations

import selectors
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

from stream.control import ControlMessage, Word
from stream.errors import ConfigError
from stream.frame import Holder
from stream.interrupts import Interrupts
from stream.launch import allocate_pools, start_workers
from stream.options import RunOptions
from stream.outcome import EngineInfo, Event, RunResult, RunState, Snapshot
from stream.plan import Plan, make_plan
from stream.stall import StallWatch
from stream.telemetry import Subject, Telemetry
from stream.verdict import Failure, Verdict, failure_of, orphaned
from stream.worker import Worker

SAVE_S = 1.0
"""How long a sink may save its file after everything else was stopped at once."""
_REST_S = 2.0
"""A loop that has nothing to wait for but processes wakes up this often."""


def run_pipeline(
    options: RunOptions,
    *,
    on_event: Callable[[Event], None],
    on_tick: Callable[[Snapshot], None],
) -> RunResult:
    """Run sources through an engine into their outputs, and wait for the end.

    SIGINT and SIGTERM are handled meanwhile: the first drains and finishes the files, the second
    stops at once. To be called from the main thread, as the stages die with the thread that
    started them.

    Args:
        options: What to do.
        on_event: Called with each line worth telling.
        on_tick: Called with all figures, every ``options.times.tick_s``, and once at the end.

    Returns:
        How it went, failures of stages included.

    Raises:
        ConfigError: The request cannot be met; nothing was started.
        SourceError: A source cannot be opened; nothing was started.
    """
    if threading.current_thread() is not threading.main_thread():
        raise ConfigError("run_pipeline: called from a thread; it needs the main thread.")
    plan = make_plan(options, on_note=lambda text: on_event(Event("warning", text)))
    for info in plan.infos:
        for text in info.warnings:
            on_event(Event("warning", text))
    with ExitStack() as resources:
        return _Supervisor(plan, on_event, on_tick, resources).run()


class _Supervisor:
    """One run."""

    def __init__(
        self,
        plan: Plan,
        on_event: Callable[[Event], None],
        on_tick: Callable[[Snapshot], None],
        resources: ExitStack,
    ) -> None:
        self._plan = plan
        self._times = plan.options.times
        self._on_event = on_event
        self._on_tick = on_tick
        self._state: RunState = "starting"
        self._failure: Failure | None = None
        self._interrupts = resources.enter_context(Interrupts())
        self._selector = resources.enter_context(selectors.DefaultSelector())
        pools = allocate_pools(plan, resources, on_event)
        self._workers = start_workers(plan, pools, resources)
        self._listen()
        self._telemetry = Telemetry(self._subjects(), pools, plan.frame_total())
        self._stall = StallWatch(self._times.stall_s)
        self._is_stopped = False
        now_s = time.monotonic()
        self._deadline_s: float | None = now_s + self._times.start_s
        self._tick_due_s = now_s
        self._seen_interrupts = 0
        self._finished_s: float | None = None

    def run(self) -> RunResult:
        """Watch until nothing runs any more."""
        while any(worker.is_alive for worker in self._workers):
            self._wait()
            now_s = time.monotonic()
            self._answer_interrupts(now_s)
            self._answer_failures(now_s)
            self._answer_readiness(now_s)
            self._answer_stall(now_s)
            self._answer_deadline(now_s)
            self._tick(now_s)
        return self._conclude()

    def _listen(self) -> None:
        for worker in self._workers:
            self._selector.register(worker.sentinel, selectors.EVENT_READ, (worker, True))
            self._selector.register(worker.control, selectors.EVENT_READ, (worker, False))
        self._selector.register(self._interrupts, selectors.EVENT_READ, None)

    def _subjects(self) -> list[Subject]:
        return [
            Subject(worker.label, worker.row.holder, worker.source_ids, worker.pid, worker.page)
            for worker in self._workers
        ]

    def _wait(self) -> None:
        """Sleep until something happens, and take note of what did."""
        dues_s = [self._tick_due_s, *([] if self._deadline_s is None else [self._deadline_s])]
        timeout_s = min(_REST_S, max(0.0, min(dues_s) - time.monotonic()))
        for key, _ in self._selector.select(timeout_s):
            if key.data is None:
                self._interrupts.clear()
                continue
            worker, is_end = key.data
            self._hear(worker)
            if is_end:
                self._bury(worker)
        if self._finished_s is None and all(w.is_finished for w in self._workers):
            # What comes after is Python's own tidying up, which is no part of the run.
            self._finished_s = time.monotonic()

    def _hear(self, worker: Worker) -> None:
        messages = worker.hear()
        for message in messages:
            if message.word == "note":
                self._on_event(Event("warning", message.text, worker.label))
            elif message.word == "ready":
                self._note_ready(worker, message)
        if worker.last_word is not None:
            self._forget_control(worker)

    def _forget_control(self, worker: Worker) -> None:
        # After the last word the control's end-of-file would wake the loop for ever.
        if worker.control.fileno() in self._selector.get_map():
            self._selector.unregister(worker.control)

    def _bury(self, worker: Worker) -> None:
        self._selector.unregister(worker.sentinel)
        self._forget_control(worker)
        worker.reap()

    def _note_ready(self, worker: Worker, message: ControlMessage) -> None:
        if worker.row.holder == Holder.INFER:
            manifest = self._plan.manifest
            self._telemetry.engine = EngineInfo(
                path=self._plan.engine_path,
                family=manifest.family,
                backend=str(message.facts["backend"]),
                precision=str(message.facts["precision"]),
                input_size=manifest.input_size,
                class_names=manifest.class_names,
            )
            what = "engine {name}: {backend}, {precision}, batches of up to {batch}"
            self._on_event(Event("info", what.format(name=manifest.name, **message.facts)))

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

    def _answer_failures(self, now_s: float) -> None:
        # Stages that were stopped on purpose show a killed process too.
        if self._failure is None and not self._is_stopped:
            self._failure = failure_of(self._workers)
            if self._failure is not None:
                self._drain(now_s)

    def _answer_readiness(self, now_s: float) -> None:
        if self._state == "starting" and all(worker.is_ready for worker in self._workers):
            self._state = "running"
            self._deadline_s = None
            self._telemetry.begin(now_s)
            self._tell_captures("go")

    def _answer_stall(self, now_s: float) -> None:
        if self._state == "starting" or self._is_stopped:
            return
        alive = {worker.label: worker for worker in self._workers if worker.is_alive}
        subjects = [subject for subject in self._subjects() if subject.label in alive]
        stuck = self._stall.look(subjects, now_s)
        if stuck is not None:
            holder = alive[stuck.label].row.holder
            self._failure = self._failure or Failure(stuck.label, stuck.text, holder=holder)
            self._stop(now_s, also=alive[stuck.label])

    def _answer_deadline(self, now_s: float) -> None:
        """End the wait for stages to be ready, or for sinks to save what they have."""
        if self._deadline_s is None or now_s < self._deadline_s:
            return
        late = [worker for worker in self._workers if worker.is_alive]
        if self._is_stopped:
            self._deadline_s = None
            for worker in late:
                worker.kill()
            return
        unready = [worker for worker in late if not worker.is_ready]
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
            self._tell_captures("drain")

    def _stop(self, now_s: float, also: Worker | None = None) -> None:
        """Kill every stage but those that have something to save; these see end-of-file."""
        self._is_stopped = True
        self._state = "draining"
        self._deadline_s = now_s + SAVE_S
        for worker in self._workers:
            if worker is also or not worker.row.saves_on_parent_death:
                worker.kill()

    def _tell_captures(self, word: Word) -> None:
        for worker in self._workers:
            if worker.row.holder == Holder.CAPTURE:
                worker.tell(ControlMessage(word))

    def _tick(self, now_s: float) -> None:
        if now_s >= self._tick_due_s:
            self._tick_due_s = now_s + self._times.tick_s
            self._on_tick(self._telemetry.snapshot(self._state, now_s))

    def _conclude(self) -> RunResult:
        now_s = self._finished_s or time.monotonic()
        self._telemetry.end(now_s)
        self._state = "ended"
        is_interrupted = self._seen_interrupts > 0
        verdict = Verdict(
            workers=self._workers,
            failure=self._failure or (None if is_interrupted else orphaned(self._workers)),
            is_interrupted=is_interrupted,
            lost=self._telemetry.in_flight(),
        )
        figures = verdict.settle(self._telemetry.snapshot("ended", now_s))
        self._on_tick(figures)
        return verdict.result(figures, self._plan)
