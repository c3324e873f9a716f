"""What a run shows of itself while it goes on: a live table in a terminal, else plain lines."""

import sys
from typing import Protocol, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from maskstream.stream.telemetry.snapshot import Percentiles, Snapshot, SourceFigures, StageFigures

LINE_PERIOD_S = 5.0
BAR_WIDTH_CELLS = 40
STAGE_HEADINGS = (
    "frames/s", "busy", "queued", "wait p50", "work p50", "p95", "p99 ms", "cpu s", "MB",
)  # fmt: skip


class View(Protocol):
    """Where a run shows its figures."""

    def show(self, figures: Snapshot) -> None:
        """Take a run's figures, often; each view shows them as often as it suits it."""

    def say(self, line: str) -> None:
        """Show one line that stays: a warning, a change of state."""

    def close(self) -> None:
        """Leave the last figures standing and give the terminal back."""


def open_view(output: TextIO | None = None, *, is_quiet: bool = False) -> View:
    """Return the view that suits where the output goes.

    Args:
        output: Standard error where None, so that standard output stays free for results.
        is_quiet: Show nothing but the lines that are said.
    """
    output = sys.stderr if output is None else output
    if is_quiet:
        return _LinesView(output, period_s=float("inf"))
    if output.isatty():
        return _TableView(output)
    return _LinesView(output, period_s=LINE_PERIOD_S)


class _LinesView:
    """One line every few seconds, for logs."""

    def __init__(self, output: TextIO, *, period_s: float) -> None:
        self._output = output
        self._period_s = period_s
        self._shown_s = 0.0

    def show(self, figures: Snapshot) -> None:
        # By the run's own clock, which begins when all stages are ready.
        if figures.wall_s - self._shown_s >= self._period_s:
            self._shown_s = figures.wall_s
            self.say(progress_line(figures))

    def say(self, line: str) -> None:
        self._output.write(f"{line}\n")
        self._output.flush()

    def close(self) -> None:
        """Nothing is held."""


class _TableView:
    """A table that is redrawn in place."""

    def __init__(self, output: TextIO) -> None:
        self._console = Console(file=output, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False)

    def show(self, figures: Snapshot) -> None:
        if figures.wall_s > 0:
            self._live.start()
            self._live.update(figures_table(figures), refresh=True)

    def say(self, line: str) -> None:
        self._console.print(line, markup=False, soft_wrap=True)

    def close(self) -> None:
        self._live.stop()


def progress_line(figures: Snapshot) -> str:
    """Return a run's figures as one line of text."""
    frames = figures.frames
    parts = [f"{frames.delivered}{_of(frames.delivered, figures.frame_total)} frames"]
    parts.append(f"{figures.fps:.1f} frames/s")
    left_s = time_left_s(figures)
    if left_s is not None:
        parts.append(f"{clock_text(left_s)} left")
    if figures.latency_ms.p95 is not None:
        parts.append(f"latency p95 {figures.latency_ms.p95:.0f} ms")
    if figures.bottleneck is not None:
        parts.append(f"bottleneck {figures.bottleneck}")
    dropped = sum(frames.dropped.values())
    if dropped:
        parts.append(f"{dropped} dropped")
    lost = _lost(figures)
    if lost:
        parts.append(f"no signal: {', '.join(source.name for source in lost)}")
    return ", ".join(parts)


def time_left_s(figures: Snapshot) -> float | None:
    """Return the expected time to the last frame at the pace so far, None where unknown."""
    done, total = figures.frames.delivered, figures.frame_total
    if total is None or done == 0 or done > total:
        return None
    return (total - done) * figures.wall_s / done


def clock_text(duration_s: float) -> str:
    """Return a duration as ``m:ss`` or ``h:mm:ss``."""
    minutes, seconds = divmod(round(duration_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def figures_table(figures: Snapshot) -> RenderableType:
    """Return a run's figures as a table, with a bar above it where the end is known."""
    parts: list[RenderableType] = []
    if figures.frame_total is not None and figures.frame_total >= figures.frames.delivered:
        parts.append(_bar(figures, figures.frame_total))
    parts.append(_stage_table(figures))
    parts.append(Text(_summary(figures)))
    return Group(*parts)


def _bar(figures: Snapshot, frame_total: int) -> RenderableType:
    """Return the progress bar with the counts and the time left."""
    done = figures.frames.delivered
    left_s = time_left_s(figures)
    left = f"{clock_text(left_s)} left" if left_s else ""
    row = Table.grid(padding=(0, 1))
    row.add_row(
        ProgressBar(total=max(1, frame_total), completed=done, width=BAR_WIDTH_CELLS),
        f"{done}{_of(done, frame_total)}",
        left,
    )
    return row


def _stage_table(figures: Snapshot) -> Table:
    """Return one row a stage, the bottleneck marked."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("stage")
    for heading in STAGE_HEADINGS:
        table.add_column(heading, justify="right")
    for stage in figures.stages:
        table.add_row(
            _named(stage),
            f"{stage.fps:.1f}",
            f"{stage.busy:.0%}",
            str(stage.queue_depth),
            _ms(stage.wait_ms.p50),
            *_three(stage.work_ms),
            f"{stage.cpu_s:.1f}",
            f"{stage.rss_bytes / 1e6:.0f}",
            style="bold" if stage.name == figures.bottleneck else "",
        )
    return table


def _summary(figures: Snapshot) -> str:
    """Return the pipeline's own figures."""
    frames = figures.frames
    latency = " / ".join(_three(figures.latency_ms))
    drops = ", ".join(f"{cause} {count}" for cause, count in frames.dropped.items() if count)
    lines = [
        f"{figures.fps:.1f} frames/s, {figures.fps_1s:.1f} in the last second; "
        f"latency p50/p95/p99 {latency} ms",
        f"{frames.in_flight} in flight, dropped: {drops or 'none'}",
        *(f"{source.name}: no signal for {source.lost_s or 0:.0f} s" for source in _lost(figures)),
    ]
    return "\n".join(lines)


def _named(stage: StageFigures) -> str:
    """Return a stage's name, with what is not as it should be."""
    is_well = stage.state in ("running", "stopped")
    notes: list[str] = [] if is_well else [stage.state]
    if stage.restarts:
        notes.append(f"{stage.restarts} x anew")
    return f"{stage.name} ({', '.join(notes)})" if notes else stage.name


def _lost(figures: Snapshot) -> list[SourceFigures]:
    return [source for source in figures.sources if source.state == "lost"]


def _three(percentiles: Percentiles) -> tuple[str, str, str]:
    """Return the three points as text."""
    return _ms(percentiles.p50), _ms(percentiles.p95), _ms(percentiles.p99)


def _ms(value: float | None) -> str:
    """Return milliseconds as text: a decimal where it says something, a dash for no value."""
    if value is None:
        return "-"
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _of(done: int, total: int | None) -> str:
    """Return `` of 795``, or nothing where the total is unknown or was wrong."""
    return f" of {total}" if total is not None and done <= total else ""
