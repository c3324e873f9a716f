"""An engine's figures as a table and as a picture."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from maskstream.tools.measuring.bench_engine import EngineFigures
from maskstream.tools.measuring.tables import table


def engine_table(figures: EngineFigures) -> Table:
    """Return the medians as they are shown.

    ``pre`` and ``post`` are of a frame, ``model`` of a batch; ``model/s`` and ``line/s`` are frames
    a second; ``latency`` is the line's, in milliseconds.
    """
    width, height = figures.frame_size
    made = table(
        f"{title(figures)}; {figures.clip} of {width}x{height}",
        (
            "batch", "pre ms", "model ms", "a frame", "post ms", "not model",
            "model/s", "line/s", "latency",
        ),
    )  # fmt: skip
    for row in figures.batches:
        made.add_row(
            str(row.batch),
            f"{row.pre_ms.p50:.2f}",
            f"{row.model_ms.p50:.2f}",
            f"{row.model_ms.p50 / row.batch:.2f}",
            f"{row.post_ms.p50:.2f}",
            f"{row.other_share:.0%}",
            f"{row.model_fps:.0f}",
            f"{row.line_fps.p50:.0f}",
            f"{row.line_latency_ms.p50:.0f}",
        )
    return made


def title(figures: EngineFigures) -> str:
    """Return what was measured, in a phrase."""
    runtime = f"{figures.backend} on {figures.device}, {figures.precision}"
    return f"{Path(figures.engine).name} at {figures.input_size} px in {runtime}"


def plot_engine(figures: EngineFigures, path: Path) -> None:
    """Write a PNG: frames a second by batch on the left, where a frame's time goes on the right."""
    from matplotlib.figure import Figure

    rows = figures.batches
    names = [str(row.batch) for row in rows]
    picture = Figure(figsize=(10, 4.2), layout="constrained")
    rates, times = picture.subplots(1, 2)
    rates.plot(names, [row.model_fps for row in rows], "o-", label="model alone")
    line = [row.line_fps for row in rows]
    rates.plot(names, [fps.p50 for fps in line], "s-", color="C1", label="whole line")
    rates.fill_between(
        names, [fps.p25 for fps in line], [fps.p75 for fps in line], color="C1", alpha=0.25
    )
    rates.set(xlabel="frames in a batch", ylabel="frames a second", ylim=(0, None))
    below = [0.0] * len(rows)
    parts = {
        "before the model": [row.pre_ms.p50 for row in rows],
        "model": [row.model_ms.p50 / row.batch for row in rows],
        "after the model": [row.post_ms.p50 for row in rows],
    }
    for (name, values), color in zip(parts.items(), ("C2", "C0", "C4"), strict=True):
        times.bar(names, values, bottom=below, label=name, color=color, width=0.6)
        below = [a + b for a, b in zip(below, values, strict=True)]
    times.set(xlabel="frames in a batch", ylabel="milliseconds a frame")
    for axes in (rates, times):
        axes.grid(axis="y", alpha=0.3)
        axes.set_axisbelow(True)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
    picture.suptitle(title(figures))
    picture.savefig(path, dpi=110, format="png")
