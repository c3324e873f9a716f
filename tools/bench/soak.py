"""What `make soak` runs: one long run whose memory has to stay flat.

``python -m maskstream.tools.bench.soak [--frames 20000] [--engine person] [--output soak.mkv]``
"""

import os
import statistics
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from maskstream.errors import MaskstreamError
from maskstream.stream.delivery import NULL_OUTPUT, parse_deliveries
from maskstream.stream.options import RunOptions
from maskstream.stream.supervision.supervisor import run_pipeline
from maskstream.stream.telemetry.progress import View, open_view
from maskstream.stream.telemetry.snapshot import Event, Snapshot
from maskstream.tools.run.delivery_checks import check_outputs

WARM_UP_SHARE = 0.3
"""Of the frames; caches and pools grow until then."""
GROWTH_MAX_BYTES = 2_000_000
"""Between the first and the last quarter after the warm-up. Allocators move pages to and fro by a
megabyte; a frame that leaks once in a hundred would show as far more."""


@dataclass(slots=True)
class MemoryLog:
    """Resident memory of each stage over a run."""

    view: View
    samples: dict[str, list[tuple[int, float, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """Stage -> (frames delivered, seconds of the run, bytes)."""

    def take(self, figures: Snapshot) -> None:
        """Note a moment's memory and show the figures."""
        self.view.show(figures)
        if figures.state == "running":
            for stage in figures.stages:
                row = (figures.frames.delivered, figures.wall_s, stage.rss_bytes)
                self.samples[stage.name].append(row)
            own = (figures.frames.delivered, figures.wall_s, _own_resident_bytes())
            self.samples["supervisor"].append(own)


def _own_resident_bytes() -> int:
    """Return this process's resident memory. Source: proc(5), the second field of statm."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Growth:
    """How a stage's memory went after the warm-up."""

    first_bytes: float
    """Median over the first quarter."""
    last_bytes: float
    """Median over the last quarter."""
    elapsed_s: float
    """From the middle of the one to the middle of the other."""

    @property
    def bytes(self) -> float:
        """By how much it grew; negative where it shrank."""
        return self.last_bytes - self.first_bytes

    @property
    def bytes_per_hour(self) -> float:
        """The same as a rate."""
        return self.bytes * 3600 / self.elapsed_s if self.elapsed_s > 0 else 0.0


def growth_of(samples: list[tuple[int, float, int]], frame_count: int) -> Growth | None:
    """Return how a stage's memory went after the warm-up; None where there is too little to say.

    Args:
        samples: (frames delivered, seconds of the run, bytes), in order.
        frame_count: Of the whole run.
    """
    warm = [row for row in samples if row[0] >= WARM_UP_SHARE * frame_count]
    quarter = len(warm) // 4
    if quarter == 0:
        return None
    first, last = warm[:quarter], warm[-quarter:]
    return Growth(
        first_bytes=statistics.median(row[2] for row in first),
        last_bytes=statistics.median(row[2] for row in last),
        elapsed_s=statistics.median(row[1] for row in last)
        - statistics.median(row[1] for row in first),
    )


def soak(
    frames: Annotated[int, typer.Option(min=1000, help="Of the synthetic source.")] = 20_000,
    size: Annotated[str, typer.Option(help="Of its picture.")] = "640x360",
    engine: Annotated[str, typer.Option(help="An engine file, or the name of one.")] = "person",
    output: Annotated[str, typer.Option(help="As of maskstream run.")] = NULL_OUTPUT,
) -> None:
    """Run many frames and say whether every stage's memory stays flat."""
    source = f"synthetic:numbered?size={size}&fps=30&frames={frames}"
    options = RunOptions(sources=(source,), engine=engine, deliveries=parse_deliveries([output]))
    view = open_view()
    log = MemoryLog(view)

    def tell(event: Event) -> None:
        view.say(event.text)

    try:
        check_outputs(options, None)
        result = run_pipeline(options, on_event=tell, on_tick=log.take)
    except MaskstreamError as exc:
        print(f"soak: {exc}", file=sys.stderr)
        raise typer.Exit(2) from exc
    finally:
        view.close()
    if result.exit_code != 0:
        print(f"soak: {result.message}", file=sys.stderr)
        raise typer.Exit(result.exit_code)
    raise typer.Exit(0 if _judge(log, frames) else 1)


def _judge(log: MemoryLog, frame_count: int) -> bool:
    """Print each stage's memory; whether all of them stayed flat."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("stage", "MB after warm-up", "MB at the end", "growth kB", "kB an hour"):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    growing = []
    for stage, samples in log.samples.items():
        growth = growth_of(samples, frame_count)
        if growth is None:
            growing.append(f"{stage} (too few samples)")
            continue
        if growth.bytes > GROWTH_MAX_BYTES:
            growing.append(stage)
        table.add_row(
            stage,
            f"{growth.first_bytes / 1e6:.1f}",
            f"{growth.last_bytes / 1e6:.1f}",
            f"{growth.bytes / 1e3:+.0f}",
            f"{growth.bytes_per_hour / 1e3:+.0f}",
        )
    Console(highlight=False).print(table)
    print(f"growing: {', '.join(growing)}" if growing else "memory is flat")
    return not growing


if __name__ == "__main__":
    typer.run(soak)
