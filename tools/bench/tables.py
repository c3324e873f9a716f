"""The tables of `maskstream bench` that are the same on every machine and need no live source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from rich.table import Table

from maskstream.tools.bench.handover import HandOver
from maskstream.tools.bench.overlay import OverlayFigures
from maskstream.tools.bench.scaling import ScalingFigures
from maskstream.tools.bench.telemetry import TelemetryCost
from maskstream.tools.measuring.tables import table


def handover_table(rows: Sequence[HandOver]) -> Table:
    """Return the hand-over's figures as they are shown."""
    made = table("hand-over of a 1080p frame", ("way", "p50 ms", "p95 ms", "p99 ms", "times ours"))
    for row in rows:
        ratio = row.p50_ms / rows[0].p50_ms
        made.add_row(
            row.way, f"{row.p50_ms:.3f}", f"{row.p95_ms:.3f}", f"{row.p99_ms:.3f}", f"{ratio:.0f}"
        )
    return made


def overlay_table(rows: Sequence[OverlayFigures]) -> Table:
    """Return the overlay's figures as they are shown."""
    made = table(
        "overlay of a frame, one core",
        ("frame", "instances", "ours ms", "masks only ms", "float masks", "supervision"),
    )
    for row in rows:
        supervision = "-"
        if row.supervision_ms is not None and row.times_supervision is not None:
            supervision = f"{row.supervision_ms:.1f} ms, {row.times_supervision:.1f} x"
        made.add_row(
            f"{row.width}x{row.height}",
            str(row.instance_count),
            f"{row.overlay_ms:.2f}",
            f"{row.masks_only_ms:.2f}",
            f"{row.float_masks_ms:.0f} ms, {row.times_float_masks:.0f} x",
            supervision,
        )
    return made


def scaling_table(rows: Sequence[ScalingFigures]) -> Table:
    """Return the scaling's figures as they are shown."""
    made = table("network input of a frame, one core", ("frame", *_scaling_names(rows[0])))
    for row in rows:
        values = asdict(row)
        made.add_row(
            f"{row.width}x{row.height}", *(f"{values[name]:.2f}" for name in _scaling_names(row))
        )
    return made


def _scaling_names(row: ScalingFigures) -> list[str]:
    return [name for name in asdict(row) if name.endswith("_ms")]


def telemetry_table(cost: TelemetryCost) -> Table:
    """Return the figures of what telemetry costs as they are shown."""
    made = table("telemetry, whole line", ("", "fps", "supervisor CPU ms/s"))
    made.add_row("all off", f"{cost.off_fps:.1f}", f"{cost.off_cpu_ms_per_s:.1f}")
    made.add_row("all on, listened to", f"{cost.on_fps:.1f}", f"{cost.on_cpu_ms_per_s:.1f}")
    made.add_row("cost", f"{cost.cost:.1%}", "")
    return made
