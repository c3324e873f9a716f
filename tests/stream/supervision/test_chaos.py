"""Faults made on purpose."""

from __future__ import annotations

import pytest

from maskstream.errors import ConfigError
from maskstream.stream.supervision.chaos import Chaos, ChaosMonkey, Fault, check_stages, parse_chaos
from tests.helpers.line import Recorder, run


def test_what_is_asked_for_is_done_in_the_order_of_its_time():
    assert parse_chaos("stall=capture[1]:5s@1m20s, kill=infer@10s,drop=0.02") == Chaos(
        (Fault("kill", "infer", 10.0), Fault("stall", "capture[1]", 80.0, 5.0)), 0.02
    )


@pytest.mark.parametrize(
    "text",
    ["", "kill", "kill=infer", "kill=infer:5s@3s", "stall=infer@3s", "kill=infer@soon", "drop=2",
     "drop=x", "burn=infer@3s"],
)  # fmt: skip
def test_what_is_not_known_is_refused(text):
    with pytest.raises(ConfigError, match=r"--chaos|no length of time"):
        parse_chaos(text)


def test_a_stage_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(ConfigError, match="no stage 'infr'; it has capture, infer, overlay, sink"):
        run("fake:frames=5", chaos="kill=infr@1s")
    check_stages(parse_chaos("kill=sink@1s"), ["sink"])


def test_a_process_that_was_replaced_meanwhile_is_left_alone():
    told: list[str] = []
    monkey = ChaosMonkey(parse_chaos("stall=infer:5s@1s"), told.append)
    assert monkey.due_s() == 1.0
    monkey.act(1.0, lambda stage: None)
    assert told == ["chaos: infer does not run; nothing was done to it"]
    assert monkey.due_s() is None


@pytest.mark.usefixtures("nothing_left")
def test_a_run_survives_what_it_asks_for():
    recorder = Recorder()
    result = run(
        "fake:live=1&frames=500&period_ms=10", recorder=recorder,
        chaos="kill=overlay@1s,stall=capture:1s@3s,drop=0.1",
    )  # fmt: skip
    assert result.exit_code == 0
    frames = result.figures.frames
    assert (frames.gap, frames.in_flight) == (0, 0)
    assert 20 <= frames.dropped["decode_error"] <= 90  # a tenth of 500, by the frames' numbers
    assert [s.restarts for s in result.figures.stages if s.name == "overlay"] == [1]
    texts = [event.text for event in recorder.events]
    assert "chaos: overlay was killed" in texts
    assert "chaos: capture goes on" in texts
