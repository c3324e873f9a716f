"""The log as lines of JSON: what is in it, and what is not."""

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from maskstream.errors import OutputError
from maskstream.stream.telemetry.log import RunLog
from maskstream.stream.telemetry.snapshot import Event, Percentiles, RunResult, SourceFigures
from tests.helpers.snapshots import make_snapshot


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def a_source(state, name="cam"):
    return SourceFigures(
        source_id=0, name=name, state=state, lost_s=None, width=64, height=48, captured=1,
        delivered=1, dropped={}, fps_1s=1.0, fps_10s=1.0, latency_ms=Percentiles(),
    )  # fmt: skip


def test_each_event_is_a_line_with_time_level_stage_and_text(tmp_path):
    log = RunLog(str(tmp_path / "l.jsonl"))
    log.start("2 sources", sources=["a", "b"])
    log.tell(Event("warning", "a: damaged", "capture[0]"))
    log.close()
    start, note = lines_of(tmp_path / "l.jsonl")
    assert (start["event"], start["level"], start["sources"]) == ("start", "info", ["a", "b"])
    assert (note["event"], note["level"], note["stage"]) == ("note", "warning", "capture[0]")
    assert note["text"] == "a: damaged"
    assert datetime.fromisoformat(note["time"]).utcoffset() == timedelta(0)
    assert note["monotonic_s"] >= start["monotonic_s"] > 0


def test_changes_of_state_are_logged_once_each(tmp_path):
    log = RunLog(str(tmp_path / "l.jsonl"))
    infer = next(stage for stage in make_snapshot().stages if stage.name == "infer")
    figures = make_snapshot(state="starting", stages=(infer,), sources=(a_source("running"),))
    seen = [
        figures,
        replace(figures, state="running"),
        replace(figures, state="running"),
        replace(figures, state="running", sources=(a_source("lost"),)),
        replace(figures, state="running", sources=(a_source("lost"),)),
        replace(figures, state="running"),
        replace(figures, state="running", stages=(replace(infer, restarts=1),)),
        replace(figures, state="draining", stages=(replace(infer, restarts=1, state="failed"),)),
    ]
    for snapshot in seen:
        log.show(snapshot)
    log.close()
    told = [
        (line["event"], line["source"] or line["stage"]) for line in lines_of(tmp_path / "l.jsonl")
    ]
    assert told == [
        ("ready", None),
        ("lost", "cam"),
        ("back", "cam"),
        ("restart", "infer"),
        ("draining", None),
        ("failed", "infer"),
    ]


def test_the_end_has_the_counts_and_the_reason(tmp_path):
    log = RunLog(str(tmp_path / "l.jsonl"))
    result = RunResult(
        exit_code=3, message="cam: gone", traceback=None, figures=make_snapshot(), notes=(),
        outputs=("o.mp4",),
    )  # fmt: skip
    log.end(result)
    log.close()
    (end,) = lines_of(tmp_path / "l.jsonl")
    assert (end["event"], end["level"], end["text"]) == ("end", "error", "cam: gone")
    assert (end["exit_code"], end["outputs"]) == (3, ["o.mp4"])


def test_no_password_is_in_it_however_it_is_spelt(tmp_path):
    log = RunLog(str(tmp_path / "l.jsonl"), secrets=("pä@ss%w:rd", "p%C3%A4%40ss%25w%3Ard"))
    log.start("rtsp://u:other-one@h/x", sources=["rtsp://u:pä@ss%w:rd@h/x"])
    log.tell(Event("warning", 'said "pä@ss%w:rd" and p%C3%A4%40ss%25w%3Ard'))
    log.close()
    text = (tmp_path / "l.jsonl").read_text()
    for secret in ("pä@ss", "p\\u00e4", "p%C3", "other-one"):
        assert secret not in text


def test_a_second_run_adds_to_the_file(tmp_path):
    for number in range(2):
        log = RunLog(str(tmp_path / "l.jsonl"))
        log.start(f"run {number}")
        log.close()
    assert [line["text"] for line in lines_of(tmp_path / "l.jsonl")] == ["run 0", "run 1"]


def test_a_file_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(OutputError, match="name another file for the log"):
        RunLog(str(tmp_path / "no" / "l.jsonl"))
