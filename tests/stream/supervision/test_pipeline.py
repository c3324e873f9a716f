"""Whole lines of real processes around fakes: every frame once, in order, and accounted for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from maskstream.errors import ConfigError, SourceError
from maskstream.stream.options import StyleOptions
from tests.helpers.line import Recorder, run

pytestmark = pytest.mark.usefixtures("nothing_left")


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="ascii").split("\n")


def test_every_frame_comes_out_once_and_in_order(tmp_path):
    out = tmp_path / "out.mp4"
    recorder = Recorder()
    result = run("fake:frames=300", recorder=recorder, output=str(out), engine="fake?batch=4")
    frames = result.figures.frames
    assert (result.exit_code, result.message, result.traceback) == (0, "", None)
    assert (frames.captured, frames.delivered, frames.dropped) == (300, 300, {})
    assert (frames.in_flight, frames.gap) == (0, 0)
    written = lines(out)
    assert written[-1] == "complete=True"
    assert [line.split() for line in written[:-1]] == [[str(n), str(n % 256)] for n in range(300)]
    assert result.outputs == (str(out),)
    assert recorder.snapshots[-1].state == "ended"
    assert recorder.events[0].text.startswith("pool of 19 slots for 64x48 frames")


def test_figures_of_a_run_agree_with_each_other():
    result = run("fake:frames=120", engine="fake?batch=3&work_ms=6")
    figures = result.figures
    assert [stage.name for stage in figures.stages] == ["capture", "infer", "overlay", "sink"]
    assert all(stage.in_count == stage.out_count == 120 for stage in figures.stages)
    assert sum(size * count for size, count in figures.batch_sizes.items()) == 120
    assert max(figures.batch_sizes) == 3
    assert figures.bottleneck == "infer"
    infer = figures.stages[1]
    assert infer.work_ms.p50 is not None
    assert infer.work_ms.p50 >= 2  # six of a batch, shared by three frames
    assert figures.latency_ms.p50 is not None
    assert figures.latency_ms.p50 >= 6
    assert figures.fps == pytest.approx(120 / figures.wall_s)
    assert figures.engine is not None
    assert figures.engine.backend == "fake"
    assert all(stage.cpu_s >= stage.start_cpu_s > 0 for stage in figures.stages)
    assert all(stage.rss_peak_bytes > 10e6 for stage in figures.stages)


def test_instances_reach_the_results_with_their_own_frame(tmp_path):
    out = tmp_path / "out.ndjson"
    assert run("fake:frames=7", results=out).exit_code == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["seq"] for row in rows] == list(range(7))
    assert [row["pts_s"] for row in rows] == [round(n / 25, 6) for n in range(7)]
    (instance,) = rows[3]["instances"]
    assert (instance["class"], instance["box"]) == ("person", [16, 12, 32, 24])
    assert list(tmp_path.iterdir()) == [out]


def test_the_overlay_is_drawn_into_the_frame(tmp_path):
    plain, drawn = tmp_path / "plain.mp4", tmp_path / "drawn.mp4"
    nothing = StyleOptions(opacity=0, boxes=False, labels=False)
    run("fake:frames=3", output=str(plain), style=nothing)
    run("fake:frames=3", output=str(drawn), style=StyleOptions(opacity=1))
    assert lines(plain)[0] == "0 0"
    # The writer notes a corner, which no instance covers: drawing stays where it belongs.
    assert lines(drawn)[:3] == lines(plain)[:3]


def test_several_sources_share_the_engine_and_have_an_output_each(tmp_path):
    recorder = Recorder()
    result = run(
        "fake:frames=40", "fake:frames=25&width=32", recorder=recorder, output=str(tmp_path)
    )
    assert result.exit_code == 0
    assert result.figures.frames.delivered == 65
    assert [len(lines(Path(path))) for path in result.outputs] == [41, 26]
    names = [stage.name for stage in result.figures.stages]
    assert names.count("infer") == 1
    assert "sink[1]" in names


def test_capture_ends_after_max_frames(tmp_path):
    out = tmp_path / "out.mp4"
    result = run("fake:frames=50", max_frames=8, output=str(out))
    assert result.exit_code == 0
    assert result.figures.frames.captured == result.figures.frames.delivered == 8
    assert result.figures.frame_total == 8
    # The source did not come to its end, so the rest of its sound does not belong to the file.
    assert lines(out)[-1] == "complete=False"


def test_latest_leaves_out_stale_frames_and_counts_them(tmp_path):
    out = tmp_path / "out.mp4"
    result = run(
        "fake:frames=200&period_ms=1", policy="latest", slots=3, batch=1,
        engine="fake?work_ms=10", output=str(out),
    )  # fmt: skip
    frames = result.figures.frames
    assert result.exit_code == 0
    assert frames.captured == 200
    assert frames.dropped["stale"] == 200 - frames.delivered > 50
    assert frames.gap == 0
    sequence = [int(line.split()[0]) for line in lines(out)[:-1]]
    assert sequence == sorted(set(sequence))
    assert sequence[-1] == 199  # the newest frame is never the one left out


def test_a_live_source_takes_the_latest_unless_told_otherwise():
    result = run("fake:frames=100&live=1", slots=2, engine="fake?work_ms=5")
    assert result.exit_code == 0
    assert result.figures.frames.dropped["stale"] > 0
    assert set(result.figures.batch_sizes) == {1}
    blocked = run("fake:frames=30&live=1", slots=2, policy="block", engine="fake?work_ms=5")
    assert blocked.figures.frames.delivered == 30


def test_a_short_last_batch_waits_for_nobody():
    result = run("fake:frames=6", engine="fake?batch=4", times={"batch_deadline_s": 30.0})
    assert result.exit_code == 0
    assert result.figures.batch_sizes == {4: 1, 2: 1}
    assert result.figures.wall_s < 10


def test_a_slow_source_waits_no_longer_than_the_deadline_for_a_batch():
    result = run("fake:frames=5&period_ms=60", times={"batch_deadline_s": 0.02})
    assert set(result.figures.batch_sizes) == {1}


def test_a_source_without_a_frame_ends_well():
    result = run("fake:frames=0")
    assert (result.exit_code, result.figures.frames.captured) == (0, 0)
    assert result.figures.bottleneck in (None, "capture", "infer", "overlay", "sink")


def test_a_damaged_source_delivers_what_came_before_and_says_so(tmp_path):
    out = tmp_path / "out.mp4"
    recorder = Recorder()
    result = run("fake:damaged_at=9", recorder=recorder, output=str(out))
    assert result.exit_code == 0
    assert result.figures.frames.delivered == 9
    assert result.notes == ("fake:damaged_at=9: damaged.",)
    assert [event.text for event in recorder.events if event.kind == "warning"] == [*result.notes]
    assert lines(out)[-1] == "complete=False"


def test_a_run_waits_for_the_engine_and_its_loading_is_in_no_latency():
    recorder = Recorder()
    result = run("fake:frames=10", recorder=recorder, engine="fake?load_ms=600", threads=2)
    assert result.figures.latency_ms.p99 is not None
    assert result.figures.latency_ms.p99 < 500
    assert {snapshot.state for snapshot in recorder.snapshots} >= {"starting", "ended"}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"batch": 0}, "--batch: 0 was given; it must be 1 to 64"),
        ({"top_k": 0}, "--top-k: 0"),
        ({"score_min": 1.5}, "--score: 1.5"),
        ({"batch": 4, "slots": 4}, "--slots: 4 was given; it must be at least 5"),
        ({"class_ids": frozenset({7})}, r"classes: \[7\] are no class ids"),
        ({"slots": 10_000_000}, "MiB wanted"),
    ],
)
def test_an_impossible_request_is_refused_before_anything_starts(asked, found):
    with pytest.raises(ConfigError, match=found):
        run("fake:frames=1", **asked)


def test_a_source_that_cannot_be_opened_is_refused_before_anything_starts(tmp_path):
    missing = str(tmp_path / "no-such.mp4")
    with pytest.raises(SourceError, match=r"no-such\.mp4"):
        run(missing, real=("source",))
