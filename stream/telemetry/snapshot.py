"""What a run says of itself: events and snapshots on the way, one result at its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

RunState = Literal["starting", "running", "draining", "ended"]
StageState = Literal["starting", "running", "stalled", "restarting", "failed", "stopped"]
SourceState = Literal["starting", "running", "lost", "ended"]


@dataclass(frozen=True, slots=True)
class Event:
    """One line worth telling while the run goes on."""

    kind: Literal["info", "warning"]
    text: str
    stage: str | None = None
    """Label of the stage that said it; None for the supervisor."""


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of a duration, in milliseconds; None where nothing was measured."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


@dataclass(frozen=True, slots=True)
class Durations:
    """A distribution of durations, as counters that only grow."""

    counts: tuple[int, ...] = ()
    """How many took at most each of ``histogram.BOUNDS_S``, then how many there were in all."""
    sum_s: float = 0.0
    """Of all of them together, within 2.2 %."""


@dataclass(frozen=True, slots=True)
class FrameTally:
    """Where the captured frames are."""

    captured: int = 0
    delivered: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    """Frames left out, by cause; only causes that occurred."""
    in_flight: int = 0
    """Frames in slots, counted from the slots themselves; 0 once a run has ended."""

    @property
    def gap(self) -> int:
        """Frames that no count accounts for. Exact only once the stages have ended."""
        return self.captured - self.delivered - sum(self.dropped.values()) - self.in_flight


@dataclass(frozen=True, slots=True)
class StageFigures:
    """One stage process, from its shared page."""

    name: str
    """Its label: the kind alone where there is one of the kind, else with the source's number."""
    kind: str
    """``capture``, ``infer``, ``overlay`` or ``sink``, or what a viewer is called."""
    source_id: int | None
    """None where all sources share the stage."""
    pid: int
    in_count: int
    """Frames taken."""
    out_count: int
    """Frames given on."""
    fps: float
    """Frames given on per second of the run."""
    fps_1s: float
    fps_10s: float
    busy: float
    """Share of the run's time spent at work, 0 to 1."""
    wait_ms: Percentiles
    """From the giver's put to this stage's take; for capture, waiting for a free slot."""
    work_ms: Percentiles
    """From take to put, per frame: a batch's time is shared out among its frames."""
    total_ms: Percentiles
    """From the frame's capture to this stage's put; for the sink, the delivery."""
    queue_depth: int
    """Frames that lie ready for the stage."""
    cpu_s: float
    """Processor time of the process, all threads, its start included."""
    start_cpu_s: float
    """The part of ``cpu_s`` that was used before the stage was ready."""
    rss_bytes: int
    """Resident memory when last looked at; the shared slots that it touched are in it."""
    rss_peak_bytes: int
    state: StageState = "running"
    restarts: int = 0
    """How often its process was started anew."""
    dropped: dict[str, int] = field(default_factory=dict)
    """Frames that this stage left out, by cause; only causes that occurred."""
    wait: Durations = field(default_factory=Durations)
    """What ``wait_ms`` is drawn from."""
    work: Durations = field(default_factory=Durations)
    total: Durations = field(default_factory=Durations)


@dataclass(frozen=True, slots=True)
class SourceFigures:
    """How one source is."""

    source_id: int
    name: str
    """Without a password."""
    state: SourceState
    lost_s: float | None
    """How long ago its last picture came, or since when it is missed; None while it is there."""
    width: int
    height: int
    captured: int
    delivered: int
    dropped: dict[str, int]
    """By cause; what the shared engine lost is not in it."""
    fps_1s: float
    fps_10s: float
    """Frames delivered per second."""
    latency_ms: Percentiles
    """From a frame's capture to its delivery."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """Which network runs, on what."""

    path: str
    family: str
    backend: str
    device: str
    precision: str
    reason: str
    """Why this backend and no other, in a phrase; empty where it is what was asked for."""
    input_size: int
    class_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All figures of a run at one moment."""

    state: RunState
    wall_s: float
    """Since all stages were ready; 0 before."""
    frames: FrameTally
    frame_total: int | None
    """Frames that the sources are expected to give in all; None where unknown."""
    fps: float
    """Frames delivered per second of ``wall_s``."""
    fps_1s: float
    latency_ms: Percentiles
    """From a frame's capture to its delivery."""
    bottleneck: str | None
    """Name of the busiest stage; None before the first frame."""
    stages: tuple[StageFigures, ...]
    batch_sizes: dict[int, int]
    """Frames in a batch -> number of such batches."""
    engine: EngineInfo | None
    """None until it is loaded."""
    pool_bytes: int
    """Shared memory of all pools."""
    sources: tuple[SourceFigures, ...] = ()
    """By source id."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended."""

    exit_code: int
    """0 done, 2 bad configuration, 3 source failed, 4 worker failed, 130 interrupted."""
    message: str
    """One line fit for the user; empty when all went well."""
    traceback: str | None
    """Of the stage that failed, where the failure is ours; None for a user's error."""
    figures: Snapshot
    notes: tuple[str, ...]
    """What is worth knowing although the run went on, such as a damaged frame in mid-stream."""
    outputs: tuple[str, ...]
    """Paths that were written, in the order of the sources."""
