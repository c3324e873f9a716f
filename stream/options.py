"""What a run is asked to do: one frozen object from the edge to the supervisor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from stream.errors import ConfigError
from stream.live_open import LiveOptions

Policy = Literal["block", "latest"]
ColorBy = Literal["class", "instance"]

NULL_OUTPUT = "null:"
"""The output that takes every frame and writes nothing."""
MAX_BATCH = 64
MAX_TOP_K = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class StyleOptions:
    """How instances are drawn."""

    color_by: ColorBy = "class"
    """One colour a class, or one colour an instance."""
    opacity: float = 0.45
    """Of the masks, 0 (not drawn) to 1 (solid)."""
    boxes: bool = True
    labels: bool = True
    """Class name and score above each box."""
    display_fps: bool = False
    """Frames per second of the last second, in a corner of the picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecOptions:
    """How the output is encoded."""

    preset: str = "veryfast"
    """libx264's preset: ultrafast ... veryslow."""
    crf: int = 20
    """libx264's constant rate factor, 0 (lossless) to 51."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeOptions:
    """How long the supervisor waits for what."""

    tick_s: float = 0.25
    """Between two calls of ``on_tick``."""
    start_s: float = 300.0
    """For every stage to be ready, the engine's loading included."""
    stall_s: float = 60.0
    """For a line without any movement before it counts as hung."""
    drain_s: float = 10.0
    """The same once the run is to end early."""
    batch_deadline_s: float = 0.25
    """For a frame to wait for others to share a batch with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """One run: sources through one engine into one output a source."""

    sources: tuple[str, ...]
    """As ``source.expand_sources`` returns them."""
    engine: str
    """Path or name of an engine."""
    output: str = NULL_OUTPUT
    """A file, a folder (needed for several sources) or ``null:``."""
    results: Path | None = None
    """Newline-delimited JSON of the instances; a folder for several sources."""
    backend: str = "auto"
    batch: int | None = None
    """Most frames in a batch, 1 to MAX_BATCH; None takes what the engine prefers."""
    policy: Policy | None = None
    """What capture does while no slot is free; None: block for files, latest for live sources."""
    score_min: float = 0.3
    """Instances below are left out, in [0, 1]."""
    top_k: int = 15
    """Most instances in a frame, 1 to MAX_TOP_K."""
    class_ids: frozenset[int] | None = None
    """Classes to keep; None keeps all."""
    max_frames: int | None = None
    """Capture ends after so many frames of each source."""
    slots: int | None = None
    """Frames of a source that can be in the line at once; None derives it from the batch."""
    threads: int | None = None
    """For all runtimes together; None takes the cores this process may use."""
    style: StyleOptions = field(default_factory=StyleOptions)
    codec: CodecOptions = field(default_factory=CodecOptions)
    live: LiveOptions = field(default_factory=LiveOptions)
    times: TimeOptions = field(default_factory=TimeOptions)
    replaced: Mapping[str, str] = field(default_factory=dict)
    """For tests: ``engine``, ``source`` or ``writer`` -> ``package.module:function`` instead."""

    def check(self) -> None:
        """Check what can be checked without opening anything.

        Raises:
            ConfigError: A value is outside its range, or two of them contradict each other.
        """
        if not self.sources:
            raise ConfigError("sources: none; name at least one file, folder or stream.")
        self._check_range("--batch", self.batch, 1, MAX_BATCH)
        self._check_range("--top-k", self.top_k, 1, MAX_TOP_K)
        self._check_range("--score", self.score_min, 0, 1)
        self._check_range("--max-frames", self.max_frames, 1, None)
        self._check_range("--threads", self.threads, 1, None)
        self._check_range("--source-timeout", self.live.timeout_s, 0.1, 3600)
        self._check_range("opacity", self.style.opacity, 0, 1)
        self._check_range("crf", self.codec.crf, 0, 51)
        # Fewer slots than a batch and its neighbours' hands would make every batch wait.
        self._check_range("--slots", self.slots, (self.batch or 1) + 1, None)

    @staticmethod
    def _check_range(name: str, value: float | None, least: float, most: float | None) -> None:
        if value is None or (least <= value and (most is None or value <= most)):
            return
        wanted = f"at least {least}" if most is None else f"{least} to {most}"
        raise ConfigError(f"{name}: {value} was given; it must be {wanted}.")
