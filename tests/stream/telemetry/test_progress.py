"""What a run shows of itself: plain lines in a log, a table in a terminal."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from maskstream.stream.telemetry.progress import (
    clock_text,
    figures_table,
    open_view,
    progress_line,
    time_left_s,
)
from maskstream.stream.telemetry.snapshot import Percentiles, SourceFigures
from tests.helpers.snapshots import make_snapshot


class Terminal(io.StringIO):
    """Text output that says of itself that it is a terminal."""

    def isatty(self) -> bool:
        return True


def drawn(figures) -> str:
    """The figures as a reader of a wide terminal sees them."""
    output = io.StringIO()
    Console(file=output, width=140).print(figures_table(figures))
    return output.getvalue()


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3599, "59:59"), (3661, "1:01:01")],
)
def test_clock_text(duration_s, text):
    assert clock_text(duration_s) == text


def test_what_is_not_as_it_should_be_is_said():
    figures = make_snapshot()
    stages = [replace(stage, state="restarting", restarts=2) if stage.name == "overlay" else stage
              for stage in figures.stages]  # fmt: skip
    door = SourceFigures(
        source_id=0, name="door", state="lost", lost_s=61.4, width=64, height=48, captured=1,
        delivered=1, dropped={}, fps_1s=0, fps_10s=0, latency_ms=Percentiles(),
    )  # fmt: skip
    figures = replace(figures, stages=tuple(stages), sources=(door,))
    shown = drawn(figures)
    assert "overlay (restarting, 2 x anew)" in shown
    assert "door: no signal for 61 s" in shown
    assert progress_line(figures).endswith("no signal: door")


def test_time_left_is_the_rest_at_the_pace_so_far():
    # 100 frames took 10 s, so the other 150 take 15 s.
    assert time_left_s(make_snapshot(delivered=100, wall_s=10.0, frame_total=250)) == pytest.approx(
        15.0
    )


@pytest.mark.parametrize(
    ("delivered", "frame_total"),
    [
        pytest.param(100, None, id="no-end-is-known"),
        pytest.param(0, 250, id="nothing-delivered-yet"),
        pytest.param(100, 90, id="the-container-s-count-was-too-small"),
    ],
)
def test_time_left_is_unknown_when(delivered, frame_total):
    assert time_left_s(make_snapshot(delivered=delivered, frame_total=frame_total)) is None


def test_a_line_has_the_figures():
    assert progress_line(make_snapshot()) == (
        "100 of 250 frames, 10.0 frames/s, 0:15 left, latency p95 60 ms, bottleneck infer, "
        "2 dropped"
    )


def test_a_line_leaves_out_what_is_not_known():
    figures = make_snapshot(
        delivered=0, latency_ms=Percentiles(), bottleneck=None, frame_total=None
    )
    assert progress_line(figures) == "0 frames, 0.0 frames/s, 2 dropped"


def test_the_table_has_a_row_a_stage_with_its_own_figures():
    lines = drawn(make_snapshot(frame_total=None)).splitlines()
    (row,) = [line.split() for line in lines if line.startswith("infer")]
    assert row == ["infer", "10.0", "90%", "7", "1.5", "4.2", "5.2", "6.2", "7.5", "88"]
    assert [line.split()[0] for line in lines[1:5]] == ["capture", "infer", "overlay", "sink"]


def test_the_table_ends_with_the_line_s_own_figures():
    assert drawn(make_snapshot(frame_total=None)).splitlines()[-2:] == [
        "10.0 frames/s, 11.5 in the last second; latency p50/p95/p99 40.0 / 60.0 / 120 ms",
        "3 in flight, dropped: stale 2",
    ]


def test_the_bar_stands_above_the_table_only_where_the_end_is_known():
    assert "100 of 250" in drawn(make_snapshot(frame_total=250)).splitlines()[0]
    assert drawn(make_snapshot(frame_total=None)).splitlines()[0].startswith("stage")
    assert drawn(make_snapshot(frame_total=90)).splitlines()[0].startswith("stage")


def test_a_log_gets_a_line_every_five_seconds():
    output = io.StringIO()
    view = open_view(output)
    for wall_s in (0.0, 4.75, 5.0, 9.0, 10.25):
        view.show(make_snapshot(wall_s=max(wall_s, 1e-9), delivered=int(wall_s)))
    assert [line.split()[0] for line in output.getvalue().splitlines()] == ["5", "10"]


def test_a_log_holds_plain_lines():
    output = io.StringIO()
    view = open_view(output)
    view.say("sink: writing out.mp4")
    view.show(make_snapshot())
    view.close()
    lines = output.getvalue().splitlines()
    assert lines[0] == "sink: writing out.mp4"
    assert lines[1].startswith("100 of 250 frames")
    assert "\x1b" not in output.getvalue()


def test_quiet_shows_no_figures_but_says_warnings():
    output = io.StringIO()
    view = open_view(output, is_quiet=True)
    view.show(make_snapshot(wall_s=1e9))
    view.say("a warning [as it is]")
    assert output.getvalue() == "a warning [as it is]\n"


def test_a_terminal_gets_the_table_and_its_cursor_back():
    output = Terminal()
    view = open_view(output)
    view.show(make_snapshot())
    view.say("a warning [as it is]")
    view.close()
    written = output.getvalue()
    assert "bottleneck" not in written  # the row is marked instead
    assert "overlay" in written
    assert "a warning [as it is]" in written
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")  # shown after it was hidden


def test_a_terminal_that_saw_no_run_begin_is_left_as_it_was():
    output = Terminal()
    view = open_view(output)
    view.show(make_snapshot(wall_s=0.0, delivered=0, fps=0.0))
    view.close()
    assert output.getvalue() == ""
