"""Stages that fail in every way: the run ends, the fault is named, and no frame gets lost."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

from maskstream.stream.memory.counters import StagePage
from maskstream.stream.processes.control import ControlMessage, Done
from maskstream.stream.supervision.worker import Worker
from tests.helpers.line import Recorder, run

pytestmark = pytest.mark.usefixtures("nothing_left")

STAGES = ("capture", "infer", "overlay", "sink")


def assert_accounted(result) -> None:
    frames = result.figures.frames
    assert frames.gap == 0
    assert frames.in_flight == 0
    assert frames.captured == frames.delivered + sum(frames.dropped.values())


def test_a_crash_of_the_engine_shows_its_traceback_and_the_file_is_finished(tmp_path):
    out = tmp_path / "out.mp4"
    result = run("fake:frames=200", engine="fake?raise_at=5&batch=2", output=str(out))
    assert result.exit_code == 4
    assert result.message == "infer: ArithmeticError: the engine was told to fail"
    assert result.traceback is not None
    assert "in detect" in result.traceback
    assert_accounted(result)
    assert result.figures.frames.dropped["worker_restart"] >= 2
    written = out.read_text().split("\n")
    assert written[-1] == "complete=False"
    assert len(written) - 1 == result.figures.frames.delivered == 8


def test_an_exit_without_a_word_is_named_with_its_code():
    result = run("fake:frames=50", engine="fake?exit_at=3")
    assert result.exit_code == 4
    assert result.message == "infer: its process ended with exit code 77; the run cannot go on."
    assert_accounted(result)


def test_a_crash_in_foreign_code_is_named_with_its_signal():
    result = run("fake:frames=50&kill_at=20")
    assert result.exit_code == 4
    assert result.message.startswith("capture: its process was killed by SIGSEGV")
    assert_accounted(result)
    assert result.figures.frames.captured == 20


def test_a_source_that_breaks_is_one_line_for_the_user(tmp_path):
    out = tmp_path / "out.mp4"
    result = run("fake:raise_at=6", output=str(out))
    assert (result.exit_code, result.traceback) == (3, None)
    assert result.message == "fake:raise_at=6: broke; a whole one is needed."
    assert_accounted(result)
    assert result.figures.frames.delivered == 6


def test_a_full_disk_is_one_line_for_the_user(tmp_path):
    result = run("fake:frames=100", output=str(tmp_path / "full.mp4"))
    assert (result.exit_code, result.traceback) == (2, None)
    assert "full.mp4: the disk is full" in result.message
    assert_accounted(result)
    assert result.figures.frames.delivered == 5
    assert list(tmp_path.iterdir()) == []


def test_results_that_cannot_be_written_end_the_run_before_it_begins(tmp_path):
    result = run("fake:frames=5", results=tmp_path / "no-folder" / "out.ndjson")
    assert result.exit_code == 2
    assert "no-folder/out.ndjson: cannot be written (No such file or directory)" in result.message
    assert result.figures.frames.captured == 0


def test_an_engine_that_cannot_load_ends_the_run_before_it_begins(tmp_path):
    out = tmp_path / "out.ndjson"
    result = run("fake:frames=5", results=out, threads=2, engine="fake?is_broken=1")
    assert result.exit_code == 4
    assert "ArithmeticError: the engine cannot load" in result.message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", ["engine", "source"])
def test_a_stage_that_hangs_ends_the_run_in_time(where):
    source = "fake:frames=50&hang_at=9" if where == "source" else "fake:frames=50"
    engine = "fake?hang_at=3" if where == "engine" else "fake"
    begun_s = time.monotonic()
    result = run(source, times={"stall_s": 0.6}, engine=engine)
    assert time.monotonic() - begun_s < 15
    assert result.exit_code == 4
    stage = "infer" if where == "engine" else "capture"
    assert result.message.startswith(f"{stage}: at work on frame ")
    assert_accounted(result)


@pytest.mark.system  # on a busy machine others may not be ready in three seconds either
def test_a_stage_that_is_never_ready_ends_the_run_in_time():
    result = run("fake:frames=5", engine="fake?load_ms=60000", threads=2, times={"start_s": 3.0})
    assert result.exit_code == 4
    assert result.message == "infer: not ready after 3 s."


@pytest.mark.parametrize("stage", STAGES)
def test_a_stopped_stage_is_noticed(stage):
    def stop(_) -> None:
        os.kill(recorder.pid(stage), signal.SIGSTOP)

    recorder = Recorder(when=lambda snapshot: snapshot.frames.delivered > 5, act=stop)
    result = run("fake:frames=100000", recorder=recorder, times={"stall_s": 0.6})
    assert result.exit_code == 4
    assert stage in result.message
    assert_accounted(result)


@pytest.mark.parametrize("attempt", range(2))
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_killed_at_any_moment_ends_the_run_with_every_frame_counted(
    stage, attempt, tmp_path
):
    pause_s = random.Random(f"{stage}{attempt}").uniform(0, 0.15)

    def kill(_) -> None:
        time.sleep(pause_s)
        os.kill(recorder.pid(stage), signal.SIGKILL)
        killed_s.append(time.monotonic())

    killed_s: list[float] = []
    recorder = Recorder(when=lambda snapshot: snapshot.frames.delivered > 5, act=kill)
    out = tmp_path / "out.mp4"
    result = run("fake:frames=1000000", recorder=recorder, output=str(out), engine="fake?work_ms=1")
    assert time.monotonic() - killed_s[0] < 2
    assert result.exit_code == 4
    assert result.message == f"{stage}: its process was killed by SIGKILL; the run cannot go on."
    assert_accounted(result)
    if stage != "sink":
        written = out.read_text().split("\n")
        assert written[-1] == "complete=False"
        assert len(written) - 1 == result.figures.frames.delivered
    else:
        assert not out.exists()


def test_a_frame_that_no_count_accounts_for_fails_the_run(monkeypatch):
    honest = vars(StagePage)["captured"].fget
    monkeypatch.setattr(StagePage, "captured", property(lambda page: honest(page) + 2))
    result = run("fake:frames=9")
    assert result.exit_code == 4
    assert result.message == (
        "frames: 11 captured, 9 delivered, dropped: none, 0 in flight at the end; "
        "2 are not accounted for."
    )


def test_a_feed_that_ends_with_another_count_than_captures_fails_the_run(monkeypatch):
    honest = Worker.hear

    def hear(worker: Worker) -> list[ControlMessage]:
        heard = honest(worker)
        if worker.label == "sink" and worker.last_word is not None:
            worker.last_word = Done(captured=8)
        return heard

    monkeypatch.setattr(Worker, "hear", hear)
    result = run("fake:frames=9")
    assert result.exit_code == 4
    assert result.message == ("frames: capture counted 9, the feed's end said 8; they must agree.")


def test_frames_held_by_the_dead_stage_and_by_others_have_causes_of_their_own():
    def kill(_) -> None:
        os.kill(recorder.pid("overlay"), signal.SIGSTOP)
        time.sleep(0.3)  # the line fills up behind it
        os.kill(recorder.pid("overlay"), signal.SIGKILL)

    recorder = Recorder(when=lambda snapshot: snapshot.frames.delivered > 5, act=kill)
    result = run("fake:frames=1000000", recorder=recorder, slots=8, batch=2)
    assert_accounted(result)
    assert result.figures.frames.dropped == {"worker_restart": 8}
