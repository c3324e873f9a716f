"""The report of a run: what went in, what came out, how fast, and where the time went.

It is made from the same snapshot that the terminal shows while the run goes on, so the two cannot
disagree.
"""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from maskstream.engines.files.disk import write_text_atomically
from maskstream.stream.memory.counters import DropCause
from maskstream.stream.telemetry.snapshot import Snapshot, StageFigures

VERSIONED_PACKAGES = ("maskstream", "numpy", "opencv-python", "av", "openvino", "onnxruntime")


_Number = Annotated[float, AfterValidator(lambda value: round(value, 3)), Field(ge=0)]
"""A measured value: nothing here is known to more than three decimals."""


class _Part(BaseModel):
    """A part of the report: immutable, and no key beyond the described ones."""

    model_config = ConfigDict(extra="forbid", frozen=True, from_attributes=True)


class Percentiles(_Part):
    """Three points of a distribution of durations; null where nothing was measured."""

    p50: _Number | None = Field(default=None, description="Half took at most this; ms.")
    p95: _Number | None = Field(default=None, description="19 of 20 took at most this; ms.")
    p99: _Number | None = Field(default=None, description="99 of 100 took at most this; ms.")


class FrameCounts(_Part):
    """Where every captured frame went."""

    captured: int = Field(ge=0, description="Frames that capture put into a slot or left out.")
    delivered: int = Field(ge=0, description="Frames that the last stage wrote.")
    dropped: dict[DropCause, int] = Field(description="Frames left out, by cause.")
    in_flight: int = Field(ge=0, description="Frames in slots at this moment; 0 after a clean end.")


class StageReport(_Part):
    """One stage's share of the work."""

    fps: _Number = Field(description="Frames that left the stage per second of the run.")
    busy: _Number = Field(description="Share of the run's time spent at work, 0 to 1.")
    wait_ms: Percentiles = Field(description="How long a frame lay ready before it was taken.")
    work_ms: Percentiles = Field(description="How long the stage worked on a frame.")
    cpu_s: _Number = Field(description="Processor time of the stage's process, all threads.")
    rss_bytes: int = Field(ge=0, description="Most resident memory of the stage's process.")


class EngineReport(_Part):
    """Which network ran, and on what."""

    path: str = Field(description="The engine file.")
    family: str = Field(description="The network's family, as `yolact`.")
    backend: str = Field(description="The runtime that ran it.")
    device: str = Field(description="What the runtime ran on.")
    precision: str = Field(description="The numbers that it calculated with.")
    reason: str = Field(description="Why this runtime; empty where it was asked for.")
    input_size: int = Field(gt=0, description="Side of the network's square input; px.")


class Report(_Part):
    """A run's figures."""

    frames: FrameCounts
    fps: _Number = Field(description="Frames delivered per second of the run.")
    wall_s: _Number = Field(description="From the first stage's readiness to the end.")
    latency_ms: Percentiles = Field(description="From a frame's capture to its delivery.")
    bottleneck: str | None = Field(description="The busiest stage; null before the first frame.")
    stages: dict[str, StageReport] = Field(description="In the order in which a frame passes them.")
    engine: EngineReport | None = Field(description="Null where the run ended before it was ready.")
    batch_sizes: dict[int, int] = Field(description="Frames in a batch -> number of such batches.")
    versions: dict[str, str]


def build_report(figures: Snapshot) -> Report:
    """Return the report of a run's figures."""
    return Report(
        frames=FrameCounts.model_validate(figures.frames),
        fps=figures.fps,
        wall_s=figures.wall_s,
        latency_ms=Percentiles.model_validate(figures.latency_ms),
        bottleneck=figures.bottleneck,
        stages={stage.name: _stage(stage) for stage in figures.stages},
        engine=None if figures.engine is None else EngineReport.model_validate(figures.engine),
        batch_sizes=figures.batch_sizes,
        versions=versions(),
    )


def _stage(figures: StageFigures) -> StageReport:
    """Return one stage's part."""
    return StageReport(
        fps=figures.fps,
        busy=figures.busy,
        wait_ms=Percentiles.model_validate(figures.wait_ms),
        work_ms=Percentiles.model_validate(figures.work_ms),
        cpu_s=figures.cpu_s,
        rss_bytes=figures.rss_peak_bytes,
    )


def versions() -> dict[str, str]:
    """Return the versions of what the figures depend on, by name."""
    found = {"python": platform.python_version(), "system": platform.platform()}
    for name in VERSIONED_PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def write_report(path: Path, report: Report) -> None:
    """Write a report as JSON; the file appears whole under its name or not at all.

    Raises:
        OutputError: The folder cannot be written to, or the disk is full.
    """
    write_text_atomically(path, report.model_dump_json(indent=2) + "\n")
