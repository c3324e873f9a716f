"""What a run shows of itself: plain lines in a log, a table in a terminal."""

import io

import pytest
from rich.console import Console

from stream.progress import clock_text, figures, open_view, progress_line, time_left_s
from stream.report import Percentiles
from tests.stream.reports import make_report


class Terminal(io.StringIO):
    """Text output that says of itself that it is a terminal."""

    def isatty(self) -> bool:
        return True


def drawn(report, frame_total) -> str:
    """The figures as a reader of a wide terminal sees them."""
    output = io.StringIO()
    Console(file=output, width=140).print(figures(report, frame_total))
    return output.getvalue()


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3599, "59:59"), (3661, "1:01:01")],
)
def test_clock_text(duration_s, text):
    assert clock_text(duration_s) == text


def test_time_left_is_the_rest_at_the_pace_so_far():
    # 100 frames took 10 s, so the other 150 take 15 s.
    assert time_left_s(make_report(delivered=100, wall_s=10.0), 250) == pytest.approx(15.0)


@pytest.mark.parametrize(
    ("delivered", "frame_total"),
    [
        pytest.param(100, None, id="no-end-is-known"),
        pytest.param(0, 250, id="nothing-delivered-yet"),
        pytest.param(100, 90, id="the-container-s-count-was-too-small"),
    ],
)
def test_time_left_is_unknown_when(delivered, frame_total):
    assert time_left_s(make_report(delivered=delivered), frame_total) is None


def test_a_line_has_the_figures():
    assert progress_line(make_report(), 250) == (
        "100 of 250 frames, 10.0 frames/s, 0:15 left, latency p95 60 ms, bottleneck infer, "
        "2 dropped"
    )


def test_a_line_leaves_out_what_is_not_known():
    report = make_report(delivered=0, latency_ms=Percentiles(), bottleneck=None)
    assert progress_line(report, None) == "0 frames, 0.0 frames/s, 2 dropped"


def test_the_table_has_a_row_a_stage_with_its_own_figures():
    lines = drawn(make_report(), None).splitlines()
    (row,) = [line.split() for line in lines if line.startswith("infer")]
    assert row == ["infer", "10.0", "90%", "1.5", "4.2", "5.2", "6.2", "7.5", "88"]
    assert [line.split()[0] for line in lines[1:5]] == ["capture", "infer", "overlay", "sink"]


def test_the_table_ends_with_the_line_s_own_figures():
    assert drawn(make_report(), None).splitlines()[-1] == (
        "10.0 frames/s, latency p50/p95/p99 40.0 / 60.0 / 120 ms, 3 in flight, dropped: stale 2"
    )


def test_the_bar_stands_above_the_table_only_where_the_end_is_known():
    assert "100 of 250" in drawn(make_report(), 250).splitlines()[0]
    assert drawn(make_report(), None).splitlines()[0].startswith("stage")
    assert drawn(make_report(), 90).splitlines()[0].startswith("stage")


def test_a_log_gets_a_line_every_five_seconds():
    view = open_view(io.StringIO())
    asked_s = [100.0, 104.9, 105.0, 106.0, 111.0]
    assert [view.wants(now_s) for now_s in asked_s] == [False, False, True, False, True]


def test_a_log_holds_plain_lines():
    output = io.StringIO()
    view = open_view(output)
    view.say("sink: writing out.mp4")
    view.show(make_report(), 250)
    view.close()
    lines = output.getvalue().splitlines()
    assert lines[0] == "sink: writing out.mp4"
    assert lines[1].startswith("100 of 250 frames")
    assert "\x1b" not in output.getvalue()


def test_quiet_never_asks_for_figures_but_says_warnings():
    output = io.StringIO()
    view = open_view(output, is_quiet=True)
    assert not any(view.wants(now_s) for now_s in (0.0, 10.0, 1e9))
    view.say("a warning [as it is]")
    assert output.getvalue() == "a warning [as it is]\n"


def test_a_terminal_gets_the_table_and_its_cursor_back():
    output = Terminal()
    view = open_view(output)
    view.show(make_report(), 250)
    view.say("a warning [as it is]")
    view.close()
    written = output.getvalue()
    assert "bottleneck" not in written  # the row is marked instead
    assert "overlay" in written
    assert "a warning [as it is]" in written
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")  # shown after it was hidden


def test_closing_a_terminal_view_that_showed_nothing_writes_nothing():
    output = Terminal()
    open_view(output).close()
    assert output.getvalue() == ""
