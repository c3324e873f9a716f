"""A run's figures in the text that Prometheus reads.

Counters end in ``_total``, times are in seconds, distributions are histograms. Figures of a stage
have the labels ``stage`` (its kind; a viewer's own name) and ``source`` (the source's number,
``all`` where the sources share it). Figures of a source have ``source`` and ``name``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from maskstream.stream.memory.counters import DROP_CAUSES
from maskstream.stream.memory.frame import LINE_KINDS
from maskstream.stream.telemetry.snapshot import Durations, Snapshot, SourceFigures, StageFigures
from maskstream.stream.telemetry.status import Status

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
STATES = ("starting", "running", "draining", "ended")
_STAGE_LABELS = ("stage", "source")


def render_metrics(status: Status | None, *, age_s: float) -> bytes:
    """Return what ``/metrics`` answers.

    Args:
        status: The newest document; None before the first.
        age_s: How long ago it came.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector([] if status is None else list(_families(status, age_s))))
    return generate_latest(registry)


class _Collector(Collector):
    """Metrics that are there already."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """Return them."""
        return self._families


def _families(status: Status, age_s: float) -> Iterator[Metric]:
    yield from _run_families(status, age_s)
    stages = status.figures.stages
    yield from _stage_families(stages)
    yield from _source_families(status.figures.sources)
    bounds = [*(repr(bound_s) for bound_s in status.bounds_s), "+Inf"]
    yield from _histograms(stages, bounds)


def _run_families(status: Status, age_s: float) -> Iterator[Metric]:
    figures = status.figures
    yield _info("run", "The program and its process.", _facts(status))
    if figures.engine is not None:
        engine = figures.engine
        names = ("family", "backend", "device", "precision")
        facts = {name: str(getattr(engine, name)) for name in names}
        yield _info("engine", "The network and what runs it.", facts)
    yield _states(figures)
    yield _gauge("figures_age_seconds", "Since the run last gave its figures.", age_s)
    yield _gauge("run_seconds", "Since all stages were ready.", figures.wall_s)
    yield _gauge(
        "frames_in_flight", "Frames between capture and delivery.", figures.frames.in_flight
    )
    yield _gauge("pool_bytes", "Shared memory of all frames.", figures.pool_bytes)
    yield _counter("frames_captured", "Frames that capture read.", figures.frames.captured)
    yield _counter(
        "frames_delivered", "Frames that the last stage gave out.", figures.frames.delivered
    )
    dropped = CounterMetricFamily(
        "maskstream_frames_dropped", "Frames that were left out, by cause.", labels=["cause"]
    )
    for cause in DROP_CAUSES:
        dropped.add_metric([cause], figures.frames.dropped.get(cause, 0))
    yield dropped
    batches = CounterMetricFamily(
        "maskstream_batches", "Batches that went through the network, by size.", labels=["size"]
    )
    for size, count in figures.batch_sizes.items():
        batches.add_metric([str(size)], count)
    yield batches


def _stage_families(stages: Sequence[StageFigures]) -> Iterator[Metric]:
    counters: dict[str, tuple[str, str]] = {
        "frames_taken": ("in_count", "Frames that the stage took."),
        "frames_given": ("out_count", "Frames that the stage gave on."),
        "cpu_seconds": ("cpu_s", "Processor time of the stage's process."),
        "restarts": ("restarts", "How often the stage's process was started anew."),
    }
    gauges: dict[str, tuple[str, str]] = {
        "frames_per_second": ("fps_1s", "Frames given on in the last second."),
        "busy_ratio": ("busy", "Share of the run's time spent at work."),
        "queued_frames": ("queue_depth", "Frames that lie ready for the stage."),
        "resident_bytes": ("rss_bytes", "Resident memory of the stage's process."),
    }
    for name, (attribute, text) in counters.items():
        yield _of_stages(CounterMetricFamily, name, text, stages, attribute)
    for name, (attribute, text) in gauges.items():
        yield _of_stages(GaugeMetricFamily, name, text, stages, attribute)
    dropped = CounterMetricFamily(
        "maskstream_stage_frames_dropped",
        "Frames that the stage left out, by cause.",
        labels=[*_STAGE_LABELS, "cause"],
    )
    for stage in stages:
        for cause, count in stage.dropped.items():
            dropped.add_metric([*_labels(stage), cause], count)
    yield dropped


def _source_families(sources: Sequence[SourceFigures]) -> Iterator[Metric]:
    labels = ["source", "name"]
    up = GaugeMetricFamily(
        "maskstream_source_up", "1 while pictures come, 0 while the source is away.", labels=labels
    )
    lost = GaugeMetricFamily(
        "maskstream_source_lost_seconds",
        "Since the last picture; 0 while they come.",
        labels=labels,
    )
    rate = GaugeMetricFamily(
        "maskstream_source_frames_per_second", "Frames delivered in the last second.", labels=labels
    )
    delivered = CounterMetricFamily(
        "maskstream_source_frames_delivered", "Frames delivered.", labels=labels
    )
    for source in sources:
        values = [str(source.source_id), source.name]
        up.add_metric(values, float(source.state == "running"))
        lost.add_metric(values, source.lost_s or 0.0)
        rate.add_metric(values, source.fps_1s)
        delivered.add_metric(values, source.delivered)
    yield from (up, lost, rate, delivered)


def _of_stages(
    family: type[CounterMetricFamily] | type[GaugeMetricFamily],
    name: str,
    text: str,
    stages: Sequence[StageFigures],
    attribute: str,
) -> Metric:
    made = family(f"maskstream_stage_{name}", text, labels=_STAGE_LABELS)
    for stage in stages:
        made.add_metric(_labels(stage), getattr(stage, attribute))
    return made


def _histograms(stages: Sequence[StageFigures], bounds: Sequence[str]) -> Iterator[Metric]:
    kinds = {
        "stage_wait": ("wait", "From the giver's put to the stage's take."),
        "stage_work": ("work", "Of the stage on a frame."),
        "stage_since_capture": ("total", "From a frame's capture to the stage's put."),
    }
    for name, (attribute, text) in kinds.items():
        family = HistogramMetricFamily(f"maskstream_{name}_seconds", text, labels=_STAGE_LABELS)
        for stage in stages:
            _add(family, _labels(stage), getattr(stage, attribute), bounds)
        yield family
    latency = HistogramMetricFamily(
        "maskstream_latency_seconds", "From a frame's capture to its delivery.", labels=["source"]
    )
    for stage in stages:
        if stage.kind == "sink":
            _add(latency, _labels(stage)[1:], stage.total, bounds)
    yield latency


def _add(
    family: HistogramMetricFamily, labels: list[str], durations: Durations, bounds: Sequence[str]
) -> None:
    if durations.counts:
        buckets: Any = list(zip(bounds, durations.counts, strict=True))
        family.add_metric(labels, buckets, durations.sum_s)


def _states(figures: Snapshot) -> Metric:
    family = GaugeMetricFamily(
        "maskstream_run_state", "1 for the state that the run is in.", labels=["state"]
    )
    for state in STATES:
        family.add_metric([state], float(state == figures.state))
    return family


def _facts(status: Status) -> dict[str, str]:
    return {"version": status.maskstream, "pid": str(status.pid)}


def _info(name: str, text: str, facts: dict[str, str]) -> Metric:
    return InfoMetricFamily(f"maskstream_{name}", text, value=facts)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"maskstream_{name}", text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"maskstream_{name}", text, value=value)


def _labels(stage: StageFigures) -> list[str]:
    if stage.kind not in LINE_KINDS:
        return [stage.name, "all"]
    return [stage.kind, "all" if stage.source_id is None else str(stage.source_id)]
