"""The report's model, its conservation figure and its way to the disk."""

import json
import os

import pytest
from pydantic import ValidationError

from stream.report import (
    DROP_CAUSES,
    STAGE_NAMES,
    FrameCounts,
    Percentiles,
    Report,
    bottleneck,
    versions,
    write_report,
)
from tests.stream.reports import make_report


@pytest.mark.parametrize(
    ("captured", "delivered", "dropped", "in_flight", "gap"),
    [
        pytest.param(795, 795, {}, 0, 0, id="all-delivered"),
        pytest.param(10, 5, {"stale": 2, "shutdown": 1}, 2, 0, id="drops-and-flight-account"),
        pytest.param(10, 5, {"stale": 2}, 2, 1, id="one-frame-lost"),
        pytest.param(10, 11, {}, 0, -1, id="one-frame-too-many"),
    ],
)
def test_gap_is_what_no_count_accounts_for(captured, delivered, dropped, in_flight, gap):
    counts = FrameCounts(
        captured=captured, delivered=delivered, dropped=dropped, in_flight=in_flight
    )
    assert counts.gap == gap


def test_a_drop_without_a_known_cause_is_refused():
    with pytest.raises(ValidationError, match="tired"):
        FrameCounts.model_validate(
            {"captured": 1, "delivered": 0, "dropped": {"tired": 1}, "in_flight": 0}
        )


def test_the_causes_are_the_six_of_the_design():
    assert set(DROP_CAUSES) == {
        "stale", "queue_full", "decode_error", "source_reset", "worker_restart", "shutdown",
    }  # fmt: skip


def test_bottleneck_is_the_busiest_stage():
    assert bottleneck({"capture": 0.3, "infer": 0.8, "sink": 0.5}) == "infer"


@pytest.mark.parametrize("busy", [{}, {"capture": 0.0, "infer": 0.0}])
def test_bottleneck_when_nothing_has_worked_is_none(busy):
    assert bottleneck(busy) is None


def test_write_report_writes_the_described_keys_and_reads_back(tmp_path):
    path = tmp_path / "r.json"
    report = make_report()
    write_report(path, report)
    written = json.loads(path.read_text(encoding="utf-8"))
    assert set(written) == {
        "frames", "fps", "wall_s", "latency_ms", "bottleneck", "stages", "engine", "batch_sizes",
        "versions",
    }  # fmt: skip
    assert set(written["frames"]) == {"captured", "delivered", "dropped", "in_flight"}
    assert tuple(written["stages"]) == STAGE_NAMES
    assert set(written["stages"]["infer"]) == {
        "fps", "busy", "wait_ms", "work_ms", "cpu_s", "rss_bytes",
    }  # fmt: skip
    assert set(written["stages"]["infer"]["work_ms"]) == {"p50", "p95", "p99"}
    assert set(written["engine"]) == {"path", "family", "backend", "precision", "input_size"}
    assert written["batch_sizes"] == {"1": 10, "4": 20}
    assert Report.model_validate_json(path.read_text(encoding="utf-8")) == report


def test_write_report_leaves_nothing_but_the_report(tmp_path):
    write_report(tmp_path / "r.json", make_report())
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]


def test_write_report_honours_the_users_file_mode_mask(tmp_path):
    before = os.umask(0o027)
    try:
        write_report(tmp_path / "r.json", make_report())
    finally:
        os.umask(before)
    assert (tmp_path / "r.json").stat().st_mode & 0o777 == 0o640


def test_write_report_when_the_place_is_taken_by_a_folder_leaves_no_partial_file(tmp_path):
    (tmp_path / "r.json").mkdir()
    with pytest.raises(OSError, match=r"r\.json"):
        write_report(tmp_path / "r.json", make_report())
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]


def test_percentiles_of_nothing_are_null():
    assert Percentiles().model_dump() == {"p50": None, "p95": None, "p99": None}


def test_versions_name_what_the_figures_depend_on():
    found = versions()
    assert {"python", "maskstream", "numpy", "av", "openvino", "opencv-python"} <= set(found)
    assert all(found.values())
