"""Figures of a run, read from the stages' pages and the slots' headers. Writes nothing."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from maskstream.stream.memory.counters import StagePage
from maskstream.stream.memory.frame import LINE_KINDS, Holder
from maskstream.stream.memory.histogram import (
    BUCKET_COUNT,
    Histogram,
    at_most,
    percentiles_ns,
    sum_s,
)
from maskstream.stream.memory.pool import BufferPool
from maskstream.stream.memory.slot import Slot
from maskstream.stream.telemetry.snapshot import (
    Durations,
    EngineInfo,
    FrameTally,
    Percentiles,
    RunState,
    Snapshot,
    SourceFigures,
    SourceState,
    StageFigures,
    StageState,
)

_RATE_WINDOWS_S = (1.0, 10.0)


@dataclass(slots=True)
class Subject:
    """A stage to be read. Its supervisor keeps the last fields."""

    label: str
    holder: Holder
    source_ids: tuple[int, ...]
    pid: int
    page: StagePage
    kind: str = ""
    """The holder's name where empty."""
    state: StageState = "running"
    restarts: int = 0
    lost: int = 0
    """Frames that were lost with its processes."""


class Telemetry:
    """Reads all pages of one run."""

    def __init__(
        self,
        subjects: Sequence[Subject],
        pools: Sequence[BufferPool],
        frame_total: int | None,
        names: Sequence[str] = (),
    ) -> None:
        """Read ``subjects``, whose frames lie in ``pools``.

        Args:
            subjects: In the frames' way, then the viewers.
            pools: By source id.
            frame_total: Frames to be expected; None where unknown.
            names: Of the sources, by source id; without passwords.
        """
        self._subjects = list(subjects)
        self._names = list(names) or [f"source {number}" for number in range(len(pools))]
        self._pools = list(pools)
        self._frame_total = frame_total
        self._samples: deque[tuple[float, list[int]]] = deque()
        self._began_s: float | None = None
        self._ended_s: float | None = None
        self.engine: EngineInfo | None = None

    def begin(self, now_s: float) -> None:
        """Say that all stages are ready: the run's time begins."""
        self._began_s = now_s
        self._samples.clear()
        self._sample(now_s)

    def end(self, now_s: float) -> None:
        """Say that the run is over: its time stands still."""
        self._ended_s = now_s

    def tally(self) -> FrameTally:
        """Returns where the captured frames are. Exact once nothing runs any more."""
        dropped: Counter[str] = Counter()
        for subject in self._subjects:
            dropped.update(_dropped(subject))
        return FrameTally(
            captured=sum(page.captured for page in self._pages(Holder.CAPTURE)),
            delivered=sum(page.given for page in self._pages(Holder.SINK)),
            dropped=dict(dropped),
            in_flight=len(self.in_flight()),
        )

    def in_flight(self) -> list[Slot]:
        """Returns the slots whose frames are captured and neither delivered nor dropped.

        A slot's marks are set before the count that makes them true, so a stage that was killed
        between the two leaves a mark that its count does not cover; such a mark does not hold.
        """
        found = []
        for source_id, pool in enumerate(self._pools):
            put = self._page(Holder.CAPTURE, source_id).given
            delivered = self._page(Holder.SINK, source_id).given
            for slot in pool.held():
                ordinal = slot.header.delivery_ordinal
                is_delivered = 0 < ordinal <= delivered
                if slot.header.put_ordinal <= put and not is_delivered:
                    found.append(slot)
        return found

    def snapshot(self, state: RunState, now_s: float) -> Snapshot:
        """Returns all figures at this moment."""
        self._sample(now_s)
        wall_s = self._wall_s(now_s)
        stages = tuple(
            self._figures(index, subject, wall_s, now_s)
            for index, subject in enumerate(self._subjects)
        )
        frames = self.tally()
        sinks = [stage for stage in stages if stage.kind == "sink"]
        batch_sizes: Counter[int] = Counter()
        for page in self._pages(Holder.INFER):
            batch_sizes.update(page.batch_sizes())
        return Snapshot(
            state=state,
            wall_s=wall_s,
            frames=frames,
            frame_total=self._frame_total,
            fps=frames.delivered / wall_s if wall_s > 0 else 0.0,
            fps_1s=sum(stage.fps_1s for stage in sinks),
            latency_ms=_percentiles([page.total for page in self._pages(Holder.SINK)]),
            bottleneck=_bottleneck(stages),
            stages=stages,
            sources=tuple(
                self._source_figures(source_id, stages, now_s)
                for source_id in range(len(self._pools))
            ),
            batch_sizes=dict(sorted(batch_sizes.items())),
            engine=self.engine,
            pool_bytes=sum(pool.byte_count for pool in self._pools),
        )

    def _figures(self, index: int, subject: Subject, wall_s: float, now_s: float) -> StageFigures:
        page = subject.page
        busy = page.busy_on()
        in_hand_ns = 0 if busy is None or self._ended_s else max(0, int(now_s * 1e9) - busy[1])
        rate_1s, rate_10s = (self._rate(index, window_s) for window_s in _RATE_WINDOWS_S)
        return StageFigures(
            name=subject.label,
            kind=subject.kind or subject.holder.name.lower(),
            state=subject.state,
            restarts=subject.restarts,
            source_id=subject.source_ids[0] if _is_alone(subject) else None,
            pid=subject.pid,
            in_count=page.taken,
            out_count=page.given,
            fps=page.given / wall_s if wall_s > 0 else 0.0,
            fps_1s=rate_1s,
            fps_10s=rate_10s,
            busy=min(1.0, (page.worked_ns + in_hand_ns) / 1e9 / wall_s) if wall_s > 0 else 0.0,
            wait_ms=_percentiles([page.wait]),
            work_ms=_percentiles([page.work]),
            total_ms=_percentiles([page.total]),
            queue_depth=self._queue_depth(subject, is_busy=busy is not None),
            cpu_s=page.cpu_s,
            start_cpu_s=page.start_cpu_s,
            rss_bytes=page.rss_bytes,
            rss_peak_bytes=page.rss_peak_bytes,
            dropped=_dropped(subject),
            wait=_durations(page.wait),
            work=_durations(page.work),
            total=_durations(page.total),
        )

    def _source_figures(
        self, source_id: int, stages: Sequence[StageFigures], now_s: float
    ) -> SourceFigures:
        of_source = [s for s in self._subjects if source_id in s.source_ids]
        capture = self._page(Holder.CAPTURE, source_id)
        sink = self._page(Holder.SINK, source_id)
        sink_figures = stages[next(i for i, s in enumerate(self._subjects) if s.page is sink)]
        dropped: Counter[str] = Counter()
        for subject in of_source:
            if _is_alone(subject):
                dropped.update(_dropped(subject))
        state, silent_s = self._state_of(source_id, now_s)
        layout = self._pools[source_id].layout
        return SourceFigures(
            source_id=source_id,
            name=self._names[source_id],
            state=state,
            lost_s=silent_s if state == "lost" else None,
            width=layout.width,
            height=layout.height,
            captured=capture.captured,
            delivered=sink.given,
            dropped=dict(dropped),
            fps_1s=sink_figures.fps_1s,
            fps_10s=sink_figures.fps_10s,
            latency_ms=_percentiles([sink.total]),
        )

    def _state_of(self, source_id: int, now_s: float) -> tuple[SourceState, float | None]:
        """Returns how a source is, and how long ago its last frame came."""
        subject = next(
            s for s in self._subjects if s.holder == Holder.CAPTURE and source_id in s.source_ids
        )
        page = subject.page
        last, lost_ns = page.last_frame, page.lost_since_ns
        since_ns = last[0] if last is not None else lost_ns
        silent_s = None if since_ns is None else max(0.0, now_s - since_ns / 1e9)
        if subject.state in ("stopped", "failed"):
            return "ended", silent_s
        if lost_ns is not None or subject.state in ("restarting", "stalled"):
            return "lost", silent_s
        return ("starting" if last is None else "running"), silent_s

    def _queue_depth(self, subject: Subject, *, is_busy: bool) -> int:
        if subject.holder in (Holder.CAPTURE, Holder.FREE):
            return 0
        held = sum(
            slot.header.holder == subject.holder
            for source_id in subject.source_ids
            for slot in self._pools[source_id].held()
        )
        return max(0, held - is_busy)

    def _pages(self, holder: Holder) -> list[StagePage]:
        return [subject.page for subject in self._subjects if subject.holder == holder]

    def _page(self, holder: Holder, source_id: int) -> StagePage:
        return next(
            subject.page
            for subject in self._subjects
            if subject.holder == holder and source_id in subject.source_ids
        )

    def _wall_s(self, now_s: float) -> float:
        if self._began_s is None:
            return 0.0
        return (now_s if self._ended_s is None else self._ended_s) - self._began_s

    def _sample(self, now_s: float) -> None:
        self._samples.append((now_s, [subject.page.given for subject in self._subjects]))
        # One sample beyond the longest window stays, so that the window is always covered.
        while len(self._samples) > 2 and self._samples[1][0] <= now_s - _RATE_WINDOWS_S[-1]:
            self._samples.popleft()

    def _rate(self, index: int, window_s: float) -> float:
        now_s, counts = self._samples[-1]
        before_s, before = next(
            (sample for sample in reversed(self._samples) if sample[0] <= now_s - window_s),
            self._samples[0],
        )
        elapsed_s = now_s - before_s
        return (counts[index] - before[index]) / elapsed_s if elapsed_s > 0 else 0.0


def _dropped(subject: Subject) -> dict[str, int]:
    dropped: Counter[str] = Counter(subject.page.dropped())
    if subject.lost:
        dropped["worker_restart"] += subject.lost
    return dict(dropped)


def _is_alone(subject: Subject) -> bool:
    return subject.holder not in (Holder.INFER, Holder.FREE) and len(subject.source_ids) == 1


def _bottleneck(stages: Sequence[StageFigures]) -> str | None:
    in_line = [stage for stage in stages if stage.kind in LINE_KINDS]
    busiest = max(in_line, key=lambda stage: stage.busy)
    return busiest.name if busiest.busy > 0 else None


def _percentiles(histograms: Sequence[Histogram]) -> Percentiles:
    counts = np.zeros(BUCKET_COUNT, np.uint64)
    for histogram in histograms:
        counts += histogram.counts()
    values = percentiles_ns(counts, 0.50, 0.95, 0.99)
    return Percentiles(*(None if value is None else value / 1e6 for value in values))


def _durations(histogram: Histogram) -> Durations:
    counts = histogram.counts()
    return Durations(at_most(counts), sum_s(counts))
