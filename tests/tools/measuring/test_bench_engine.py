"""`maskstream bench` of an engine: what it measures, and what it says of an earlier run."""

import json

import cv2
import pytest

from maskstream.errors import ConfigError
from maskstream.tools.measuring.bench_compare import Change, changes, read_document
from maskstream.tools.measuring.bench_engine import BatchFigures, EngineFigures, Quartiles
from maskstream.tools.measuring.clips import make_clip
from maskstream.tools.measuring.command import bench
from tests.helpers.engines.tiny import tiny_engine_file

NAMES = ("pre_ms", "model_ms", "post_ms", "line_fps")


def _batch(batch, model_ms):
    flat = Quartiles(1.0, 1.0, 1.0)
    return BatchFigures(
        batch=batch, pre_ms=flat, model_ms=model_ms, post_ms=flat, line_fps=flat,
        line_latency_ms=flat,
    )  # fmt: skip


def _figures(*rows):
    return EngineFigures(
        engine="x", backend="openvino", device="cpu", precision="fp32", input_size=64, clip="c",
        frame_size=(160, 120), batches=rows,
    )  # fmt: skip


def test_rates_and_shares_follow_from_the_medians():
    row = _batch(4, Quartiles(7.0, 8.0, 9.0))
    assert row.model_fps == pytest.approx(500)  # 4 frames in 8 ms
    assert row.other_share == pytest.approx(0.5)  # 1 + 1 ms beside 2


def test_quartiles_hold_the_middle_half():
    assert Quartiles.of([1, 2, 3, 4, 5]) == Quartiles(2, 3, 4)
    assert Quartiles.of([7]) == Quartiles(7, 7, 7)


@pytest.mark.parametrize(
    ("name", "before", "now", "verdict"),
    [
        pytest.param("model_ms", (9, 10, 11), (7, 8, 8.5), "faster", id="time-down"),
        pytest.param("model_ms", (9, 10, 11), (12, 13, 14), "slower", id="time-up"),
        pytest.param("model_ms", (9, 10, 11), (10.5, 12, 14), "same", id="within-the-noise"),
        pytest.param("model_ms", (10, 10, 10), (10.2, 10.2, 10.2), "same", id="near"),
        pytest.param("line_fps", (99, 100, 101), (119, 120, 121), "faster", id="rate-up"),
        pytest.param("line_fps", (99, 100, 101), (79, 80, 81), "slower", id="rate-down"),
    ],
)
def test_a_change_is_told_from_noise(name, before, now, verdict):
    change = Change(1, name, Quartiles(*before), Quartiles(*now))
    assert change.verdict == verdict
    widest = max((run[2] - run[0]) / run[1] for run in (before, now))
    assert change.noise == pytest.approx(widest)


def _document(batch):
    return {"batch": batch, **{name: {"p25": 2.0, "p50": 2.0, "p75": 2.0} for name in NAMES}}


def test_only_batches_of_both_runs_are_compared():
    old = {"batches": [_document(2)]}
    found = changes(old, _figures(_batch(1, Quartiles(4, 4, 4)), _batch(2, Quartiles(4, 4, 4))))
    assert {change.batch for change in found} == {2}
    assert {change.name: change.ratio for change in found}["model_ms"] == 2.0


@pytest.mark.parametrize("text", ["", "[]", '{"line": []}', '{"engine": {"batches": [{}]}}'])
def test_a_file_without_an_engines_figures_is_refused(tmp_path, text):
    path = tmp_path / "old.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match="holds no figures of an engine"):
        read_document(path)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"batch": "1,x"}, "whole numbers from 1"),
        ({"batch": "0"}, "whole numbers from 1"),
        ({"batch": "1", "only": "line"}, "leave --only out"),
        ({"only": "engin"}, "did you mean 'engine'"),
    ],
)
def test_a_wrong_request_is_refused(options, text):
    with pytest.raises(ConfigError, match=text):
        bench(engine="person", **options)


@pytest.mark.slow
def test_an_engine_is_measured_drawn_and_compared(tmp_path, capsys):
    clip = make_clip(tmp_path / "clip.mp4", width=160, height=120, frame_count=8)
    old, new, plot = (tmp_path / name for name in ("old.json", "new.json", "plot.png"))
    old.write_text(json.dumps({"machine": "another one", "engine": {"batches": [_document(2)]}}))
    bench(
        [clip], engine=str(tiny_engine_file()), backend="openvino", frames=8, rounds=1,
        batch="1,2", output=new, plot=plot, compare=old,
    )  # fmt: skip
    figures = json.loads(new.read_text())["engine"]
    assert [row["batch"] for row in figures["batches"]] == [1, 2]
    assert figures["backend"] == "openvino"
    assert figures["frame_size"] == [160, 120]
    for row in figures["batches"]:
        for name in (*NAMES, "line_latency_ms"):
            assert 0 < row[name]["p25"] <= row[name]["p50"] <= row[name]["p75"]
    picture = cv2.imread(str(plot))
    assert picture is not None
    assert picture.shape[1] > 500
    printed = capsys.readouterr().out
    assert "before: another one" in printed
    assert "now/before" in printed
    assert read_document(new)["engine"] == figures


def test_the_command_takes_clips_and_says_which_is_missing(maskstream, tmp_path):
    engine = tiny_engine_file()
    done = maskstream("bench", tmp_path / "absent.mp4", "--engine", engine, "--only", "line")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == f"maskstream: {tmp_path}/absent.mp4: no such file; name a video file.\n"
