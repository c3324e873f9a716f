"""What the page shows of the figures, with numbers worked out by hand."""

import json
from dataclasses import replace

import pytest

from maskstream.stream.memory.histogram import BOUNDS_S
from maskstream.stream.telemetry.snapshot import Durations, FrameTally, SourceFigures
from maskstream.stream.telemetry.status import build_status, encode_status
from maskstream.stream.viewers.page.figures import HISTORY_COUNT, Figures
from tests.helpers.snapshots import make_snapshot


def payload(sent_s, wall_s=10.0, stages=None, **changes):
    figures = make_snapshot(wall_s=wall_s, **changes)
    if stages:
        changed = [replace(stage, **stages.get(stage.name, {})) for stage in figures.stages]
        figures = replace(figures, stages=tuple(changed))
    status = build_status(figures).model_copy(update={"sent_s": sent_s})
    return encode_status(status, "json")


def test_the_document_leaves_the_distributions_out():
    content = payload(100.0)
    text = Figures().add(content)
    document = json.loads(text)
    assert (document["kind"], document["state"], document["point"]) == ("figures", "running", None)
    assert document["engine"] == {
        "name": "person", "family": "yolact", "backend": "openvino", "device": "cpu",
        "precision": "bf16", "input_size": 416, "reason": "",
    }  # fmt: skip
    assert [stage["name"] for stage in document["stages"]] == [
        "capture", "infer", "overlay", "sink",
    ]  # fmt: skip
    assert "total" not in document["stages"][0]
    assert len(text) < len(content)


def test_sources_and_states_are_passed_on():
    source = SourceFigures(
        source_id=1, name="yard", state="lost", lost_s=2.5, width=64, height=48, captured=9,
        delivered=8, dropped={"stale": 1}, fps_1s=0.0, fps_10s=1.5,
        latency_ms=make_snapshot().latency_ms,
    )  # fmt: skip
    content = payload(
        1.0, stages={"infer": {"state": "restarting", "restarts": 2}}, sources=(source,)
    )
    document = json.loads(Figures().add(content))
    (shown,) = document["sources"]
    assert (shown["name"], shown["state"], shown["lost_s"]) == ("yard", "lost", 2.5)
    infer = document["stages"][1]
    assert (infer["state"], infer["restarts"]) == ("restarting", 2)


def test_a_document_of_a_run_without_sources_is_shown_too():
    status = json.loads(payload(1.0))
    del status["figures"]["sources"]
    for stage in status["figures"]["stages"]:
        del stage["state"], stage["restarts"]
    document = json.loads(Figures().add(json.dumps(status).encode()))
    assert document["sources"] == []
    assert "state" not in document["stages"][0]


def test_a_point_is_what_changed_between_two_documents():
    figures = Figures()
    figures.add(payload(100.0, 10.0, stages={"infer": {"out_count": 100, "busy": 0.5}}))
    tally = FrameTally(captured=130, delivered=120, dropped={"stale": 6, "shutdown": 1})
    text = figures.add(
        payload(102.0, 12.0, stages={"infer": {"out_count": 150, "busy": 0.55}}, frames=tally)
    )
    point = json.loads(text)["point"]
    assert point["t"] == 102.0
    assert point["fps"] == {"capture": 0.0, "infer": 25.0, "overlay": 0.0, "sink": 0.0}
    # 12 s x 0.55 - 10 s x 0.5 = 1.6 s of work in 2 s.
    assert point["busy"]["infer"] == pytest.approx(0.8)
    # 2 stale before, 6 now, in 2 s.
    assert point["dropped"] == {"stale": 2.0, "shutdown": 0.5}
    assert list(figures.history) == [point]


def durations(*counts_s):
    """Durations as the status has them, for (count, seconds) pairs."""
    counts = [sum(count for count, each_s in counts_s if each_s <= bound_s) for bound_s in BOUNDS_S]
    everything = sum(count for count, _ in counts_s)
    return Durations((*counts, everything), sum(count * each_s for count, each_s in counts_s))


def test_latency_is_of_what_was_delivered_in_between():
    figures = Figures()
    old, new = durations((100, 5.0)), durations((100, 5.0), (90, 0.05), (10, 0.2))
    figures.add(payload(100.0, 10.0, stages={"sink": {"total": old}}))
    text = figures.add(payload(101.0, 11.0, stages={"sink": {"total": new}}))
    latency_ms = json.loads(text)["point"]["latency_ms"]
    # (90 x 50 ms + 10 x 200 ms) / 100; the 95th is half way in the bucket that holds 200 ms.
    assert latency_ms["mean"] == pytest.approx(65.0)
    low_s, high_s = max(b for b in BOUNDS_S if b < 0.2), min(b for b in BOUNDS_S if b >= 0.2)
    assert latency_ms["p95"] == pytest.approx(1e3 * (low_s + high_s) / 2, abs=0.1)


def test_nothing_delivered_is_no_latency():
    figures = Figures()
    figures.add(payload(100.0))
    assert json.loads(figures.add(payload(101.0, 11.0)))["point"]["latency_ms"] == {
        "mean": None, "p95": None,
    }  # fmt: skip


def test_a_stage_that_was_started_anew_gives_no_negative_rate():
    figures = Figures()
    figures.add(payload(100.0, stages={"infer": {"out_count": 500}}))
    point = json.loads(figures.add(payload(101.0, 11.0, stages={"infer": {"out_count": 3}})))[
        "point"
    ]
    assert point["fps"]["infer"] == 0.0


def test_only_the_last_minutes_are_kept():
    figures = Figures()
    for second in range(HISTORY_COUNT + 20):
        figures.add(payload(float(second), 1.0 + second))
    assert len(figures.history) == HISTORY_COUNT
    assert figures.history[-1]["t"] == HISTORY_COUNT + 19
