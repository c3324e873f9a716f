"""Stages that die in a run with live sources: started anew, and no frame unaccounted for."""

from __future__ import annotations

import json
import os
import random
import signal

import pytest

from tests.helpers.line import Recorder, run

pytestmark = pytest.mark.usefixtures("nothing_left")

LIVE = "fake:live=1&frames=1000000&period_ms=10"
STAGES = ("capture[0]", "infer", "overlay[0]", "sink[0]")


class Killer(Recorder):
    """Kills stages one after the other, each once all sources deliver again; then ends the run."""

    def __init__(self, stages, *, sign=signal.SIGKILL) -> None:
        super().__init__()
        self.recovered = 0
        self._left = list(stages)
        self._sign = sign
        self._goal: list[int] | None = None
        self._is_ending = False

    def on_tick(self, snapshot) -> None:
        super().on_tick(snapshot)
        delivered = [source.delivered for source in snapshot.sources]
        if snapshot.state != "running" or self._is_ending:
            return
        if self._goal is None:
            self._goal = [count + 5 for count in delivered]
        is_whole = all(stage.state == "running" for stage in snapshot.stages)
        if not is_whole or any(n < goal for n, goal in zip(delivered, self._goal, strict=True)):
            return
        if self._left:
            names = self._left.pop(0)
            for name in names if isinstance(names, tuple) else (names,):
                os.kill(self.pid(name), self._sign)
            # Counted from here on, so that frames which were under way are not enough.
            self._goal = [count + 20 for count in delivered]
        else:
            self._is_ending = True
            os.kill(os.getpid(), signal.SIGINT)
        self.recovered = max(self.recovered, sum(stage.restarts for stage in snapshot.stages))


def stage_of(snapshot, name):
    return next(stage for stage in snapshot.stages if stage.name == name)


def assert_survived(result, killer, restarts: int) -> None:
    frames = result.figures.frames
    assert result.exit_code == 130, (result.message, result.traceback)
    assert (frames.gap, frames.in_flight) == (0, 0)
    assert sum(stage.restarts for stage in result.figures.stages) == restarts
    assert killer.recovered == restarts


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_is_killed_is_started_anew_and_the_others_are_not(stage):
    killer = Killer([stage])
    result = run(LIVE, LIVE, recorder=killer, engine="fake?work_ms=1")
    assert_survived(result, killer, 1)
    restarts = {figures.name: figures.restarts for figures in result.figures.stages}
    assert {name for name, count in restarts.items() if count} == {stage}
    assert any(f"{stage}: its process was killed by SIGKILL; started anew" in event.text
               for event in killer.events)  # fmt: skip


@pytest.mark.parametrize(
    "pair",
    [
        ("infer", "overlay[0]"),
        pytest.param(("capture[0]", "sink[0]"), marks=pytest.mark.slow),
        pytest.param(("sink[0]", "overlay[0]"), marks=pytest.mark.slow),
        pytest.param(("capture[0]", "infer"), marks=pytest.mark.slow),
        STAGES,
    ],
)
def test_stages_that_are_killed_together_are_started_anew_together(pair):
    killer = Killer([pair])
    assert_survived(run(LIVE, LIVE, recorder=killer), killer, len(pair))


@pytest.mark.slow
def test_kills_at_random_are_survived_one_after_the_other():
    chance = random.Random(7)
    every = ("infer", *(f"{kind}[{i}]" for kind in ("capture", "overlay", "sink") for i in (0, 1)))
    killer = Killer([chance.choice(every) for _ in range(12)])
    assert_survived(run(LIVE, LIVE, recorder=killer, engine="fake?work_ms=3"), killer, 12)


def test_a_stage_that_stands_still_is_ended_and_started_anew():
    killer = Killer(["overlay[0]"], sign=signal.SIGSTOP)
    result = run(LIVE, LIVE, recorder=killer, times={"hung_s": 3.0})
    assert_survived(result, killer, 1)
    texts = [event.text for event in killer.events]
    assert "overlay[0]: no sign of life for over 3 s; it is ended." in texts


def test_a_stage_that_fails_in_mid_run_is_started_anew_and_the_line_goes_on():
    recorder = Recorder(
        when=lambda s: stage_of(s, "infer").restarts == 2 and s.frames.delivered > 150,
        act=lambda _: os.kill(os.getpid(), signal.SIGINT),
    )
    # Each of its lives ends at the 60th batch, by an error of its own.
    result = run(LIVE, LIVE, recorder=recorder, engine="fake?work_ms=1&raise_at=60")
    frames = result.figures.frames
    assert result.exit_code == 130, (result.message, result.traceback)
    assert (frames.gap, frames.in_flight) == (0, 0)
    restarts = {stage.name: stage.restarts for stage in result.figures.stages}
    assert {name for name, count in restarts.items() if count} == {"infer"}


def test_a_stage_that_dies_of_its_start_is_given_up_after_three_lives():
    recorder = Recorder()
    result = run(LIVE, recorder=recorder, engine="fake?exit_at=1")
    assert result.exit_code == 4
    assert result.message == "infer: its process ended with exit code 77; the run cannot go on."
    texts = [event.text for event in recorder.events if "started anew" in event.text]
    assert [text.split("(")[1] for text in texts] == ["restart 1).", "restart 2)."]
    assert (result.figures.frames.gap, result.figures.frames.in_flight) == (0, 0)


def test_without_restarts_a_death_ends_a_live_run():
    result = run("fake:live=1&frames=200&period_ms=10&kill_at=20", restarts=False)
    assert result.exit_code == 4
    assert result.figures.frames.gap == 0


def test_a_source_that_breaks_ends_alone_and_is_told_at_the_end():
    broken = "fake:frames=50&period_ms=10&raise_at=6"
    result = run(broken, "fake:live=1&frames=120&period_ms=10")
    assert (result.exit_code, result.message) == (3, f"{broken}: broke; a whole one is needed.")
    first, second = result.figures.sources
    assert (first.delivered, first.state, second.state) == (6, "ended", "ended")
    assert second.captured == second.delivered + sum(second.dropped.values()) == 120


def test_a_recorded_source_goes_on_after_the_frames_that_were_captured(tmp_path):
    killer = Killer(["capture[0]"])
    files = ("fake:frames=1000000&period_ms=5", LIVE)
    result = run(*files, recorder=killer, results=tmp_path)
    assert_survived(result, killer, 1)
    lines = (tmp_path / "fake-frames-1000000-period_ms-5.ndjson").read_text().splitlines()
    numbers = [json.loads(line)["seq"] for line in lines]
    missing = set(range(numbers[-1] + 1)) - set(numbers)
    assert numbers == sorted(set(numbers))
    assert len(missing) <= result.figures.sources[0].dropped.get("worker_restart", 0)


@pytest.mark.parametrize(
    ("stage", "fault", "exit_code"),
    [
        ("infer", "", 0),
        pytest.param("overlay[1]", "", 0, marks=pytest.mark.slow),
        pytest.param("sink[1]", "", 0, marks=pytest.mark.slow),
        ("infer", "&raise_at=15", 3),
    ],
)
def test_a_run_ends_though_a_stage_died_after_one_of_its_sources_had_ended(stage, fault, exit_code):
    class Late(Recorder):
        def on_tick(self, snapshot) -> None:
            super().on_tick(snapshot)
            has_ended = [source.state == "ended" for source in snapshot.sources] == [True, False]
            if has_ended and not any(s.restarts for s in snapshot.stages) and not self.is_done:
                self.is_done = True
                os.kill(self.pid(stage), signal.SIGKILL)

        is_done = False

    recorder = Late()
    result = run(
        f"fake:live=1&frames=20&period_ms=10{fault}", "fake:live=1&frames=600&period_ms=10",
        recorder=recorder,
    )  # fmt: skip
    assert recorder.is_done
    assert result.exit_code == exit_code, result.message
    assert (result.figures.frames.gap, result.figures.frames.in_flight) == (0, 0)
    assert result.figures.sources[1].captured == 600
