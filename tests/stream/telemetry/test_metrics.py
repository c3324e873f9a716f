"""The text for Prometheus, read back by Prometheus' own parser."""

import math
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from maskstream.stream.memory.histogram import BOUNDS_S
from maskstream.stream.telemetry.metrics import render_metrics
from maskstream.stream.telemetry.snapshot import Durations, Percentiles, SourceFigures
from maskstream.stream.telemetry.status import build_status
from tests.helpers.snapshots import make_snapshot

ENGINE = {"family": "yolact", "backend": "openvino", "device": "cpu", "precision": "bf16"}


def samples_of(figures, age_s=0.5):
    """Value of each sample by name and labels."""
    text = render_metrics(build_status(figures), age_s=age_s).decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def key(metric, /, **labels):
    return metric, frozenset(labels.items())


def with_stage(name, **changes):
    """A snapshot with one stage changed."""
    figures = make_snapshot()
    stages = [replace(s, **changes) if s.name == name else s for s in figures.stages]
    return replace(figures, stages=tuple(stages))


def test_each_figure_has_its_name_unit_and_labels():
    samples = samples_of(with_stage("sink", source_id=3))
    expected = {
        key("maskstream_run_seconds"): 10.0,
        key("maskstream_figures_age_seconds"): 0.5,
        key("maskstream_run_state", state="running"): 1,
        key("maskstream_run_state", state="ended"): 0,
        key(
            "maskstream_engine_info",
            family="yolact",
            backend="openvino",
            device="cpu",
            precision="bf16",
        ): 1,
        key("maskstream_frames_captured_total"): 105,
        key("maskstream_frames_delivered_total"): 100,
        key("maskstream_frames_dropped_total", cause="stale"): 2,
        key("maskstream_frames_dropped_total", cause="shutdown"): 0,
        key("maskstream_frames_in_flight"): 3,
        key("maskstream_batches_total", size="4"): 20,
        key("maskstream_pool_bytes"): 1 << 24,
        key("maskstream_stage_frames_taken_total", stage="infer", source="all"): 102,
        key("maskstream_stage_frames_given_total", stage="sink", source="3"): 101,
        key("maskstream_stage_cpu_seconds_total", stage="infer", source="all"): 7.5,
        key("maskstream_stage_frames_per_second", stage="sink", source="3"): 9.0,
        key("maskstream_stage_busy_ratio", stage="infer", source="all"): 0.9,
        key("maskstream_stage_queued_frames", stage="infer", source="all"): 7,
        key("maskstream_stage_resident_bytes", stage="infer", source="all"): 88_000_000,
    }
    assert {name: samples.get(name) for name in expected} == expected


def test_sources_say_whether_they_are_there_and_viewers_go_by_their_names():
    source = SourceFigures(
        source_id=1, name="door", state="lost", lost_s=4.5, width=640, height=360, captured=9,
        delivered=8, dropped={}, fps_1s=2.5, fps_10s=2.0, latency_ms=Percentiles(),
    )  # fmt: skip
    figures = with_stage("overlay", restarts=3)
    viewers = [replace(figures.stages[0], name=f"publish[{i}]", kind="publish") for i in (0, 1)]
    samples = samples_of(replace(figures, sources=(source,), stages=(*figures.stages, *viewers)))
    expected = {
        key("maskstream_source_up", source="1", name="door"): 0,
        key("maskstream_source_lost_seconds", source="1", name="door"): 4.5,
        key("maskstream_source_frames_per_second", source="1", name="door"): 2.5,
        key("maskstream_source_frames_delivered_total", source="1", name="door"): 8,
        key("maskstream_stage_restarts_total", stage="overlay", source="all"): 3,
        key("maskstream_stage_restarts_total", stage="publish[1]", source="all"): 0,
    }
    assert {name: samples.get(name) for name in expected} == expected


def test_a_stage_s_drops_are_counted_by_stage_source_and_cause():
    samples = samples_of(with_stage("capture", source_id=1, dropped={"stale": 7}))
    name = "maskstream_stage_frames_dropped_total"
    assert samples[key(name, stage="capture", source="1", cause="stale")] == 7


@pytest.mark.parametrize(
    ("attribute", "name"),
    [
        ("wait", "maskstream_stage_wait_seconds"),
        ("work", "maskstream_stage_work_seconds"),
        ("total", "maskstream_stage_since_capture_seconds"),
    ],
)
def test_a_distribution_is_a_histogram(attribute, name):
    counts = (*([0] * 10), *([4] * 20), *([6] * 13), 9)
    durations = Durations(counts=counts, sum_s=1.25)
    samples = samples_of(with_stage("overlay", source_id=0, **{attribute: durations}))
    labels = {"stage": "overlay", "source": "0"}
    assert samples[key(f"{name}_count", **labels)] == 9
    assert samples[key(f"{name}_sum", **labels)] == 1.25
    assert samples[key(f"{name}_bucket", **labels, le="+Inf")] == 9
    buckets = sorted(
        (float(dict(labels)["le"]), value)
        for (sample, labels), value in samples.items()
        if sample == f"{name}_bucket"
    )
    assert [bound_s for bound_s, _ in buckets] == pytest.approx([*BOUNDS_S, math.inf])
    assert tuple(value for _, value in buckets) == counts


def test_latency_is_the_sinks_time_since_capture():
    durations = Durations(counts=(*([0] * 43), 5), sum_s=300.0)
    samples = samples_of(with_stage("sink", source_id=2, total=durations))
    assert samples[key("maskstream_latency_seconds_count", source="2")] == 5
    assert samples[key("maskstream_latency_seconds_sum", source="2")] == 300.0


def test_before_the_first_figures_there_are_none():
    assert render_metrics(None, age_s=3.0) == b""


def test_before_the_engine_is_loaded_there_is_no_word_of_it():
    names = {name for name, _ in samples_of(make_snapshot(engine=None, stages=(), batch_sizes={}))}
    assert "maskstream_engine_info" not in names
    assert "maskstream_frames_captured_total" in names
