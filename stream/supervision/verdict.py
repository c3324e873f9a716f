"""How a run went: whose fault an early end is, where every frame is, and the exit code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from maskstream.stream.memory.counters import DropCause
from maskstream.stream.memory.frame import Holder
from maskstream.stream.memory.slot import Slot
from maskstream.stream.processes.control import CutOff, Done, Failed
from maskstream.stream.recording.salvage import salvage
from maskstream.stream.supervision.plan import Plan
from maskstream.stream.supervision.worker import Worker
from maskstream.stream.telemetry.snapshot import FrameTally, RunResult, Snapshot

INTERRUPTED_EXIT_CODE = 130
FAULT_EXIT_CODE = 4


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a run ended early."""

    label: str
    """Of the stage."""
    text: str
    """One line for the user."""
    exit_code: int = FAULT_EXIT_CODE
    detail: str = ""
    """The stage's traceback, where the fault is ours."""
    holder: Holder = Holder.FREE
    """The kind of stage whose frames are lost with it; FREE where the process itself lives on."""


def failure_of(workers: Sequence[Worker]) -> Failure | None:
    """Returns the failure that the stages show, None while all is well.

    A stage that only lost a neighbour is never the culprit: its neighbour is, and shows so itself.
    """
    for worker in workers:
        word = worker.last_word
        if isinstance(word, Failed):
            holder = worker.row.holder
            return Failure(worker.label, word.text, word.exit_code, word.detail, holder)
    for worker in workers:
        if not worker.is_alive and worker.last_word is None:
            text = f"{worker.label}: its process {worker.describe_end()}; the run cannot go on."
            return Failure(worker.label, text, holder=worker.row.holder)
    return None


def orphaned(workers: Sequence[Worker]) -> Failure | None:
    """Returns the failure of stages that lost a neighbour although none failed."""
    for worker in workers:
        word = worker.last_word
        if isinstance(word, CutOff):
            return Failure(worker.label, word.text)
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is known when nothing runs any more."""

    workers: Sequence[Worker]
    failure: Failure | None
    is_interrupted: bool
    lost: Sequence[Slot]
    """Slots whose frames were in flight when the last stage ended."""

    def settle(self, figures: Snapshot) -> Snapshot:
        """Returns ``figures`` with every lost frame counted under its cause."""
        is_cut_short = self.failure is not None or self.is_interrupted
        if not is_cut_short:
            # A run that went to its end has no reason to lose a frame: it stays visible.
            return figures
        dropped: Counter[str] = Counter(figures.frames.dropped)
        dropped.update(self._cause(slot) for slot in self.lost)
        frames = replace(figures.frames, dropped=dict(dropped), in_flight=0)
        return replace(figures, frames=frames)

    def result(self, figures: Snapshot, plan: Plan) -> RunResult:
        """Returns the run's result; ``figures`` are settled."""
        exit_code, message, detail = self._judge(figures.frames)
        notes = [note for worker in self.workers for note in worker.page.notes()]
        notes += self._salvage(plan)
        return RunResult(
            exit_code=exit_code,
            message=message,
            traceback=detail or None,
            figures=figures,
            notes=tuple(notes),
            outputs=_written(plan),
        )

    def _salvage(self, plan: Plan) -> list[str]:
        """Look after what killed sinks left, and return what is to be said of it."""
        paths = [
            path
            for worker in self.workers
            if worker.row.holder == Holder.SINK and worker.last_word is None
            for source_id in worker.source_ids
            for path in plan.deliveries[source_id].files
        ]
        return [line for path in paths if (line := salvage(path)) is not None]

    def _cause(self, slot: Slot) -> DropCause:
        holder = slot.header.holder
        dead = Holder.FREE if self.failure is None else self.failure.holder
        return "worker_restart" if holder == dead else "shutdown"

    def _judge(self, frames: FrameTally) -> tuple[int, str, str]:
        if self.failure is not None:
            return self.failure.exit_code, self.failure.text, self.failure.detail
        gap = self._gap(frames)
        if gap:
            return FAULT_EXIT_CODE, gap, ""
        if self.is_interrupted:
            text = f"interrupted: {frames.delivered} frames were delivered."
            return INTERRUPTED_EXIT_CODE, text, ""
        return 0, "", ""

    def _gap(self, frames: FrameTally) -> str:
        """Returns what is wrong with the counts, empty where every frame is accounted for."""
        dropped = ", ".join(f"{count} {cause}" for cause, count in frames.dropped.items())
        if frames.gap or (frames.in_flight and not self.is_interrupted):
            return (
                f"frames: {frames.captured} captured, {frames.delivered} delivered, "
                f"dropped: {dropped or 'none'}, {frames.in_flight} in flight at the end; "
                f"{frames.gap} are not accounted for."
            )
        told = self._told_at_the_end()
        if told is not None and told != frames.captured:
            return (
                f"frames: capture counted {frames.captured}, the feed's end said {told}; "
                "they must agree."
            )
        return ""

    def _told_at_the_end(self) -> int | None:
        """Returns how many frames the sinks were told there were, None if one was told nothing."""
        total = 0
        for worker in self.workers:
            if worker.row.holder == Holder.SINK:
                word = worker.last_word
                if not isinstance(word, Done) or word.captured is None:
                    return None
                total += word.captured
        return total


def _written(plan: Plan) -> tuple[str, ...]:
    paths = [path for of in plan.deliveries for path in of.videos]
    paths += [path for of in plan.deliveries for path in of.results]
    return tuple(path for path in paths if Path(path).is_file())
