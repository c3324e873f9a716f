"""The whole line against its limit: each stage's work alone, then all of them as they run.

Alone, a stage's work is done frame after frame in one process, on frames that lie in memory, and
its processor time is taken. All stages' processor time shared out over the cores is the least time
in which any arrangement of them could do the work; the line is measured against that.
"""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from maskstream.engines import open_engine
from maskstream.engines.interface.instances import Instances
from maskstream.stream.delivery import parse_deliveries
from maskstream.stream.memory.frame import Planes, planes_of
from maskstream.stream.memory.source_info import Source, SourceInfo
from maskstream.stream.options import RunOptions
from maskstream.stream.pixels.crops import PlanesPicture
from maskstream.stream.pixels.painter import DrawStyle, Painter
from maskstream.stream.processes.machine import available_cores, share_threads
from maskstream.stream.sources.open import open_source
from maskstream.stream.supervision.supervisor import run_pipeline
from maskstream.tools.measuring.bench_engine import write_inputs
from maskstream.tools.measuring.clips import open_writer
from maskstream.tools.measuring.tables import table

STAGES = ("capture", "infer", "overlay", "sink")
_BATCH = 8
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class StageAlone:
    """One stage's work on all frames, without the others."""

    cpu_s: float
    """Processor time of all its threads."""
    wall_s: float

    def fps(self, frame_count: int) -> float:
        """Return the frames a second that it reaches alone."""
        return frame_count / self.wall_s


@dataclass(frozen=True, slots=True)
class LineFigures:
    """One clip: medians of the rounds."""

    clip: str
    width: int
    height: int
    frame_count: int
    instance_count: float
    """Mean of a frame."""
    cores: int
    alone: dict[str, StageAlone]
    """By stage; the processor times include nothing but the work itself."""
    line_wall_s: float
    """From the first frame's start to the last one's delivery, files finished."""
    line_cpu_s: float
    """Of all stages' processes in the run, after they were ready."""
    ratios: tuple[float, ...]
    """``line_wall_s`` over ``limit_s``, each round by itself."""
    pool_bytes: int
    rss_peak_bytes: int
    """Of all stages together; shared slots count in each stage that touched them."""

    @property
    def limit_s(self) -> float:
        """Least time for the work: the stages' processor time over the cores."""
        return sum(stage.cpu_s for stage in self.alone.values()) / self.cores

    @property
    def line_fps(self) -> float:
        """Frames a second of the whole line."""
        return self.frame_count / self.line_wall_s

    @property
    def ratio(self) -> float:
        """Median of the rounds' ratios."""
        return statistics.median(self.ratios)


def measure_line(
    clip: Path, engine: str, *, frame_count: int, rounds: int, folder: Path
) -> LineFigures:
    """Return a clip's figures; each round does the stages alone and the line, one after the other.

    Args:
        frame_count: Frames of the clip that take part; they are held in memory.
        folder: Takes the recordings.
    """
    alone: list[tuple[dict[str, StageAlone], float]] = []
    walls_s: list[float] = []
    cpus_s: list[float] = []
    ratios: list[float] = []
    cores = available_cores()
    for _ in range(rounds):
        stages, instance_count = _in_own_process(clip, engine, frame_count, folder)
        options = RunOptions(
            sources=(str(clip),),
            engine=engine,
            deliveries=parse_deliveries([str(folder / "line.mp4")]),
            max_frames=frame_count,
        )
        result = run_pipeline(options, on_event=lambda _: None, on_tick=lambda _: None)
        figures = result.figures
        if result.exit_code or figures.frames.delivered != frame_count:
            raise RuntimeError(f"{clip}: the line delivered {figures.frames}; {result.message}")
        alone.append((stages, instance_count))
        walls_s.append(figures.wall_s)
        cpus_s.append(sum(s.cpu_s - s.start_cpu_s for s in figures.stages))
        limit_s = sum(stage.cpu_s for stage in stages.values()) / cores
        ratios.append(figures.wall_s / limit_s)
    info = _info(clip)
    return LineFigures(
        clip=clip.name,
        width=info.width,
        height=info.height,
        frame_count=frame_count,
        instance_count=alone[0][1],
        cores=cores,
        alone={name: _median_stage([stages[name] for stages, _ in alone]) for name in STAGES},
        line_wall_s=statistics.median(walls_s),
        line_cpu_s=statistics.median(cpus_s),
        ratios=tuple(ratios),
        pool_bytes=figures.pool_bytes,
        rss_peak_bytes=sum(stage.rss_peak_bytes for stage in figures.stages),
    )


def _in_own_process(
    clip: Path, engine: str, frame_count: int, folder: Path
) -> tuple[dict[str, StageAlone], float]:
    """Measure the stages where no other thread's time is counted with theirs."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_measure_alone, (clip, engine, frame_count, folder))


def _measure_alone(
    clip: Path, engine: str, frame_count: int, folder: Path
) -> tuple[dict[str, StageAlone], float]:
    """Return each stage's cost, and the instances of a frame."""
    cv2.setNumThreads(1)
    info = _info(clip)
    threads = share_threads(available_cores(), 1)
    frames = np.zeros((frame_count, info.width * info.height * 3 // 2), np.uint8)
    planes = [planes_of(row, info.width, info.height) for row in frames]
    pts: list[int] = []
    costs: dict[str, StageAlone] = {}
    with closing(open_source(str(clip), threads=threads.decoder)) as source:
        costs["capture"] = _cost(lambda: pts.extend(_decode(source, planes)))
    found: list[Instances] = []
    with open_engine(engine, threads=threads.engine) as opened:
        side = opened.manifest.input_size
        inputs = np.zeros((_BATCH, side, side, 3), np.uint8)
        opened.detect(inputs, [(side, side)] * _BATCH)  # warms up, as the stage does

        def infer() -> None:
            for start in range(0, frame_count, _BATCH):
                part = planes[start : start + _BATCH]
                found.extend(_detect(opened.detect, part, inputs, info))

        costs["infer"] = _cost(infer)
        class_names = opened.manifest.class_names
    painter = Painter(
        DrawStyle(class_names=class_names),
        info.width,
        info.height,
        info.color_range,
        info.color_matrix,
    )

    def overlay() -> None:
        for frame, instances in zip(planes, found, strict=True):
            painter.draw(frame, instances, None)

    costs["overlay"] = _cost(overlay)
    costs["sink"] = _cost(lambda: _record(folder / "alone.mp4", info, planes, pts, threads.encoder))
    return costs, float(np.mean([len(instances) for instances in found]))


def _cost(work: Callable[[], object]) -> StageAlone:
    """Run ``work`` and return what it took of this process's threads."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    started_s = time.perf_counter()
    work()
    wall_s = time.perf_counter() - started_s
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return StageAlone(cpu_s=cpu_s, wall_s=wall_s)


def _decode(source: Source, planes: list[Planes]) -> Iterator[int]:
    for frame, target in zip(source.frames(), planes, strict=False):
        frame.write_into(target)
        yield frame.pts


def _detect(
    detect: Callable[..., list[Instances]],
    part: list[Planes],
    inputs: NDArray[np.uint8],
    info: SourceInfo,
) -> list[Instances]:
    write_inputs(part, info, inputs[: len(part)], "squash")
    pictures = [PlanesPicture(planes, info.color_range, info.color_matrix) for planes in part]
    sizes_px = [(info.width, info.height)] * len(part)
    return detect(inputs[: len(part)], sizes_px, pictures=pictures)


def _record(
    path: Path, info: SourceInfo, planes: list[Planes], pts: list[int], threads: int
) -> None:
    writer = open_writer(path, info, threads=threads)
    for frame, time_stamp in zip(planes, pts, strict=True):
        writer.write(frame, time_stamp)
    writer.close(complete=True)


def _info(clip: Path) -> SourceInfo:
    with closing(open_source(str(clip), threads=1)) as source:
        return source.info


def _median_stage(costs: list[StageAlone]) -> StageAlone:
    return StageAlone(
        cpu_s=statistics.median(cost.cpu_s for cost in costs),
        wall_s=statistics.median(cost.wall_s for cost in costs),
    )


def line_table(figures: LineFigures) -> Table:
    """Return the line's figures as they are shown."""
    made = table(
        f"{figures.clip}: {figures.frame_count} frames of {figures.width}x{figures.height}, "
        f"{figures.instance_count:.1f} instances a frame",
        ("", "CPU s", "CPU ms/frame", "fps alone"),
    )
    for name in STAGES:
        stage = figures.alone[name]
        made.add_row(
            name,
            f"{stage.cpu_s:.2f}",
            f"{1e3 * stage.cpu_s / figures.frame_count:.2f}",
            f"{stage.fps(figures.frame_count):.0f}",
        )
    made.add_section()
    made.add_row(f"limit: sum / {figures.cores} cores", f"{figures.limit_s:.2f}", "", "")
    made.add_row("whole line, wall", f"{figures.line_wall_s:.2f}", "", f"{figures.line_fps:.0f}")
    made.add_row("whole line, CPU", f"{figures.line_cpu_s:.2f}", "", "")
    rounds = ", ".join(f"{ratio:.2f}" for ratio in figures.ratios)
    made.add_row("wall / limit", f"{figures.ratio:.2f}", f"({rounds})", "")
    memory_mib = figures.rss_peak_bytes / 2**20
    made.add_row("memory, MiB", f"{memory_mib:.0f}", f"pool {figures.pool_bytes / 2**20:.0f}", "")
    return made
