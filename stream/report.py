"""The report of a run: what went in, what came out, how fast, and where the time went.

The same model feeds the table in the terminal while the run goes on and the file that is written at
its end, so the two cannot disagree.
"""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

STAGE_NAMES = ("capture", "infer", "overlay", "sink")
"""The stages in the order in which a frame passes them."""

DropCause = Literal[
    "stale", "queue_full", "decode_error", "source_reset", "worker_restart", "shutdown"
]
"""Why a captured frame was not delivered. The list is closed: every drop has one of these."""

DROP_CAUSES: tuple[DropCause, ...] = get_args(DropCause)

VERSIONED_PACKAGES = ("maskstream", "numpy", "opencv-python", "av", "openvino")


class _Part(BaseModel):
    """A part of the report: immutable, and no key beyond the described ones."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Percentiles(_Part):
    """Three points of a distribution of durations; null where nothing was measured."""

    p50: float | None = Field(default=None, ge=0, description="Half took at most this; ms.")
    p95: float | None = Field(default=None, ge=0, description="19 of 20 took at most this; ms.")
    p99: float | None = Field(default=None, ge=0, description="99 of 100 took at most this; ms.")


class FrameCounts(_Part):
    """Where every captured frame went."""

    captured: int = Field(ge=0, description="Frames that capture put into a slot or left out.")
    delivered: int = Field(ge=0, description="Frames that the last stage wrote.")
    dropped: dict[DropCause, int] = Field(description="Frames left out, by cause.")
    in_flight: int = Field(ge=0, description="Frames in slots at this moment; 0 after a clean end.")

    @property
    def gap(self) -> int:
        """Frames that no count accounts for: 0 where frames are conserved, negative if too many."""
        return self.captured - self.delivered - sum(self.dropped.values()) - self.in_flight


class StageReport(_Part):
    """One stage's share of the work."""

    fps: float = Field(ge=0, description="Frames that left the stage per second of the run.")
    busy: float = Field(ge=0, description="Share of the run's time spent at work, 0 to 1.")
    wait_ms: Percentiles = Field(description="How long a frame lay ready before it was taken.")
    work_ms: Percentiles = Field(description="How long the stage worked on a frame.")
    cpu_s: float = Field(ge=0, description="Processor time of the stage's process, all threads.")
    rss_bytes: int = Field(ge=0, description="Resident memory of the stage's process, the largest.")


class EngineReport(_Part):
    """Which network ran, and on what."""

    path: str = Field(description="The engine file.")
    family: str = Field(description="The network's family, as `yolact`.")
    backend: str = Field(description="The runtime that ran it.")
    precision: str = Field(description="The numbers that it calculated with.")
    input_size: int = Field(gt=0, description="Side of the network's square input; px.")


class Report(_Part):
    """A run's figures, at its end or at a moment in it."""

    frames: FrameCounts
    fps: float = Field(ge=0, description="Frames delivered per second of the run.")
    wall_s: float = Field(ge=0, description="From the first stage's readiness to the end.")
    latency_ms: Percentiles = Field(description="From a frame's capture to its delivery.")
    bottleneck: str | None = Field(description="The busiest stage; null before the first frame.")
    stages: dict[str, StageReport]
    engine: EngineReport
    batch_sizes: dict[int, int] = Field(description="Frames in a batch -> number of such batches.")
    versions: dict[str, str]


def bottleneck(busy_by_stage: dict[str, float]) -> str | None:
    """Return the name of the busiest stage, or None where no stage has worked."""
    name = max(busy_by_stage, key=busy_by_stage.__getitem__, default=None)
    return name if name is not None and busy_by_stage[name] > 0 else None


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
        OSError: The folder cannot be written to, or the disk is full.
    """
    write_text_atomically(path, report.model_dump_json(indent=2) + "\n")


def write_text_atomically(path: Path, text: str) -> None:
    """Write a small file beside its place and move it there once it is whole.

    Raises:
        OSError: The folder cannot be written to, or the disk is full.
    """
    partial = path.with_name(f".{path.name}.partial{path.suffix}")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
