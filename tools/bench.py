"""`maskstream bench`: what each part costs, side by side with its limit or with other ways."""

from __future__ import annotations

import json
import os
import platform
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from engines import open_engine
from stream.errors import SourceError
from stream.machine import available_cores
from stream.options import RunOptions
from stream.report import write_text_atomically
from tools.bench_handover import HandOver, measure_handover
from tools.bench_line import STAGES, LineFigures, make_clip, measure_line
from tools.bench_overlay import OverlayFigures, measure_overlay
from tools.bench_scaling import ScalingFigures, measure_scaling
from tools.bench_telemetry import TelemetryCost, measure_telemetry
from tools.checks import check_file
from tools.demo_clip import fetch_demo_clip
from tools.fetch import FetchError

_FULL_HD = (1920, 1080)


def bench(
    clips: Annotated[
        list[Path] | None,
        typer.Argument(help="Video files for the whole line; the demonstration's if left out."),
    ] = None,
    engine: Annotated[str, typer.Option(metavar="PATH|NAME")] = "person",
    frames: Annotated[
        int, typer.Option(min=8, help="Of each clip; they are held in memory.")
    ] = 300,
    rounds: Annotated[int, typer.Option(min=1, help="Of the whole line; medians are shown.")] = 3,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the figures as JSON.")
    ] = None,
) -> None:
    """Measure the line against its limit, the hand-over, overlay, scaling and the figures' cost."""
    if output is not None:
        check_file(output)
    with open_engine(engine):
        pass  # an engine that is none is to fail now, not after minutes
    console = Console(highlight=False)
    try:
        wanted = clips or [fetch_demo_clip(console.print)]
    except FetchError as exc:
        raise SourceError(str(exc)) from exc
    for clip in wanted:
        if not clip.is_file():
            raise SourceError(f"{clip}: no such file; name a video file.")
    console.print(_machine_line())
    lines = _measure_lines(wanted, engine, frames, rounds, console)
    hand_over = measure_handover()
    console.print(_handover_table(hand_over))
    overlays = [measure_overlay(), measure_overlay(width=768, height=576)]
    console.print(_overlay_table(overlays))
    scalings = [measure_scaling(), measure_scaling(width=768, height=576)]
    console.print(_scaling_table(scalings))
    telemetry = measure_telemetry(
        RunOptions(sources=(str(wanted[0]),), engine=engine), rounds=rounds
    )
    console.print(_telemetry_table(telemetry))
    if output is not None:
        document = _document(lines, hand_over, overlays, scalings)
        document["telemetry"] = {**asdict(telemetry), "cost": telemetry.cost}
        write_text_atomically(output, json.dumps(document, indent=2) + "\n")


def _measure_lines(
    clips: Sequence[Path], engine: str, frames: int, rounds: int, console: Console
) -> list[LineFigures]:
    measured = []
    with tempfile.TemporaryDirectory(prefix="maskstream-bench-") as name:
        folder = Path(name)
        width, height = _FULL_HD
        synthetic = make_clip(
            folder / "synthetic-1080p.mp4", width=width, height=height, frame_count=frames
        )
        for clip in (*clips, synthetic):
            figures = measure_line(clip, engine, frame_count=frames, rounds=rounds, folder=folder)
            measured.append(figures)
            console.print(_line_table(figures))
    return measured


def _line_table(figures: LineFigures) -> Table:
    table = _table(
        f"{figures.clip}: {figures.frame_count} frames of {figures.width}x{figures.height}, "
        f"{figures.instance_count:.1f} instances a frame",
        ("", "CPU s", "CPU ms/frame", "fps alone"),
    )
    for name in STAGES:
        stage = figures.alone[name]
        table.add_row(
            name,
            f"{stage.cpu_s:.2f}",
            f"{1e3 * stage.cpu_s / figures.frame_count:.2f}",
            f"{stage.fps(figures.frame_count):.0f}",
        )
    table.add_section()
    table.add_row(f"limit: sum / {figures.cores} cores", f"{figures.limit_s:.2f}", "", "")
    table.add_row("whole line, wall", f"{figures.line_wall_s:.2f}", "", f"{figures.line_fps:.0f}")
    table.add_row("whole line, CPU", f"{figures.line_cpu_s:.2f}", "", "")
    rounds = ", ".join(f"{ratio:.2f}" for ratio in figures.ratios)
    table.add_row("wall / limit", f"{figures.ratio:.2f}", f"({rounds})", "")
    memory_mib = figures.rss_peak_bytes / 2**20
    table.add_row("memory, MiB", f"{memory_mib:.0f}", f"pool {figures.pool_bytes / 2**20:.0f}", "")
    return table


def _handover_table(rows: Sequence[HandOver]) -> Table:
    table = _table(
        "hand-over of a 1080p frame", ("way", "p50 ms", "p95 ms", "p99 ms", "times ours")
    )
    for row in rows:
        ratio = row.p50_ms / rows[0].p50_ms
        table.add_row(
            row.way, f"{row.p50_ms:.3f}", f"{row.p95_ms:.3f}", f"{row.p99_ms:.3f}", f"{ratio:.0f}"
        )
    return table


def _overlay_table(rows: Sequence[OverlayFigures]) -> Table:
    table = _table(
        "overlay of a frame, one core",
        ("frame", "instances", "ours ms", "masks only ms", "float masks", "supervision"),
    )
    for row in rows:
        supervision = "-"
        if row.supervision_ms is not None and row.times_supervision is not None:
            supervision = f"{row.supervision_ms:.1f} ms, {row.times_supervision:.1f} x"
        table.add_row(
            f"{row.width}x{row.height}",
            str(row.instance_count),
            f"{row.overlay_ms:.2f}",
            f"{row.masks_only_ms:.2f}",
            f"{row.float_masks_ms:.0f} ms, {row.times_float_masks:.0f} x",
            supervision,
        )
    return table


def _scaling_table(rows: Sequence[ScalingFigures]) -> Table:
    table = _table("network input of a frame, one core", ("frame", *_scaling_names(rows[0])))
    for row in rows:
        values = asdict(row)
        table.add_row(
            f"{row.width}x{row.height}", *(f"{values[name]:.2f}" for name in _scaling_names(row))
        )
    return table


def _scaling_names(row: ScalingFigures) -> list[str]:
    return [name for name in asdict(row) if name.endswith("_ms")]


def _telemetry_table(cost: TelemetryCost) -> Table:
    table = _table("telemetry, whole line", ("", "fps", "supervisor CPU ms/s"))
    table.add_row("all off", f"{cost.off_fps:.1f}", f"{cost.off_cpu_ms_per_s:.1f}")
    table.add_row("all on, listened to", f"{cost.on_fps:.1f}", f"{cost.on_cpu_ms_per_s:.1f}")
    table.add_row("cost", f"{cost.cost:.1%}", "")
    return table


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left")
    return table


def _machine_line() -> str:
    return (
        f"{_processor()}, {available_cores()} cores, "
        f"{_memory_bytes() / 2**30:.0f} GiB; "
        + ", ".join(f"{name} {version(name)}" for name in ("openvino", "av", "opencv-python"))
    )


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _document(
    lines: Sequence[LineFigures],
    hand_over: Sequence[HandOver],
    overlays: Sequence[OverlayFigures],
    scalings: Sequence[ScalingFigures],
) -> dict[str, Any]:
    return {
        "machine": _machine_line(),
        "line": [
            {**asdict(row), "limit_s": row.limit_s, "ratio": row.ratio, "line_fps": row.line_fps}
            for row in lines
        ],
        "hand_over": [asdict(row) for row in hand_over],
        "overlay": [asdict(row) for row in overlays],
        "scaling": [asdict(row) for row in scalings],
    }
