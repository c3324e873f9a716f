"""The report's model, its conservation figure and its way to the disk."""

import json
import os
import resource

import pytest
from pydantic import ValidationError

from maskstream.errors import OutputError
from maskstream.stream.telemetry.report import (
    FrameCounts,
    Report,
    build_report,
    versions,
    write_report,
)
from maskstream.stream.telemetry.snapshot import Percentiles
from tests.helpers.snapshots import make_snapshot


def test_a_drop_without_a_known_cause_is_refused():
    with pytest.raises(ValidationError, match="tired"):
        FrameCounts.model_validate(
            {"captured": 1, "delivered": 0, "dropped": {"tired": 1}, "in_flight": 0}
        )


def test_a_report_has_the_snapshot_s_figures():
    report = build_report(make_snapshot())
    assert (report.frames.captured, report.frames.delivered, report.frames.in_flight) == (
        105,
        100,
        3,
    )
    assert report.frames.dropped == {"stale": 2}
    assert (report.fps, report.wall_s, report.bottleneck) == (10.0, 10.0, "infer")
    assert report.latency_ms.model_dump() == {"p50": 40.0, "p95": 60.0, "p99": 120.4}
    assert report.stages["infer"].model_dump() == {
        "fps": 10.0,
        "busy": 0.9,
        "wait_ms": {"p50": 1.5, "p95": 2.5, "p99": 3.5},
        "work_ms": {"p50": 4.25, "p95": 5.25, "p99": 6.25},
        "cpu_s": 7.5,
        "rss_bytes": 99_000_000,
    }
    assert report.engine is not None
    assert report.engine.model_dump() == {
        "path": "person.onnx",
        "family": "yolact",
        "backend": "openvino",
        "device": "cpu",
        "precision": "bf16",
        "reason": "",
        "input_size": 416,
    }


def test_a_report_of_a_run_that_never_began_has_nulls():
    snapshot = make_snapshot(
        engine=None, latency_ms=Percentiles(), bottleneck=None, stages=(), fps=0.0, batch_sizes={}
    )
    written = json.loads(build_report(snapshot).model_dump_json())
    assert written["engine"] is None
    assert written["bottleneck"] is None
    assert written["latency_ms"] == {"p50": None, "p95": None, "p99": None}


def test_write_report_writes_the_described_keys_and_reads_back(tmp_path):
    path = tmp_path / "r.json"
    report = build_report(make_snapshot())
    write_report(path, report)
    written = json.loads(path.read_text(encoding="utf-8"))
    assert set(written) == {
        "frames", "fps", "wall_s", "latency_ms", "bottleneck", "stages", "engine", "batch_sizes",
        "versions",
    }  # fmt: skip
    assert set(written["frames"]) == {"captured", "delivered", "dropped", "in_flight"}
    assert list(written["stages"]) == ["capture", "infer", "overlay", "sink"]
    assert set(written["stages"]["infer"]) == {
        "fps", "busy", "wait_ms", "work_ms", "cpu_s", "rss_bytes",
    }  # fmt: skip
    assert set(written["stages"]["infer"]["work_ms"]) == {"p50", "p95", "p99"}
    assert set(written["engine"]) == {
        "path", "family", "backend", "device", "precision", "reason", "input_size",
    }  # fmt: skip
    assert written["batch_sizes"] == {"1": 10, "4": 20}
    assert Report.model_validate_json(path.read_text(encoding="utf-8")) == report


def test_write_report_leaves_nothing_but_the_report(tmp_path):
    write_report(tmp_path / "r.json", build_report(make_snapshot()))
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]


def test_write_report_honours_the_users_file_mode_mask(tmp_path):
    before = os.umask(0o027)
    try:
        write_report(tmp_path / "r.json", build_report(make_snapshot()))
    finally:
        os.umask(before)
    assert (tmp_path / "r.json").stat().st_mode & 0o777 == 0o640


def test_write_report_when_the_place_is_taken_by_a_folder_leaves_no_partial_file(tmp_path):
    (tmp_path / "r.json").mkdir()
    with pytest.raises(OutputError, match=r"r\.json: cannot be written \(Is a directory\)"):
        write_report(tmp_path / "r.json", build_report(make_snapshot()))
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]


def test_write_report_when_there_is_no_room_keeps_the_old_one(tmp_path):
    (tmp_path / "r.json").write_text("old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(OutputError, match=r"r\.json: cannot be written \(File too large\)"):
            write_report(tmp_path / "r.json", build_report(make_snapshot()))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]
    assert (tmp_path / "r.json").read_text() == "old"


def test_versions_name_what_the_figures_depend_on():
    found = versions()
    assert {"python", "maskstream", "numpy", "av", "openvino", "opencv-python"} <= set(found)
    assert all(found.values())
