"""What a run is asked to do: one frozen object from the edge to the supervisor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from maskstream.engines.decoding.second_stage import MAX_CROPS
from maskstream.engines.files.manifest import Manifest
from maskstream.engines.interface.backend import Precision
from maskstream.errors import ConfigError

RtspTransport = Literal["tcp", "udp"]

Policy = Literal["block", "latest"]
ColorBy = Literal["class", "instance"]

NULL_OUTPUT = "null:"
"""The delivery that takes every frame and writes nothing."""
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
    """How files are decoded, and how the output is encoded."""

    decoder: str = "auto"
    """Of video files: "cpu", a device as FFmpeg names it, or "auto" for the quickest."""
    encoder: str = "auto"
    """Of recordings: an encoder as FFmpeg names it, or "auto" for the quickest."""
    preset: str = "superfast"
    """libx264's preset: ultrafast ... veryslow."""
    crf: int = 20
    """libx264's constant rate factor, 0 (lossless) to 51."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveOptions:
    """How live sources are read."""

    rtsp_transport: RtspTransport = "tcp"
    """TCP loses nothing and passes firewalls; UDP does not wait for what is lost."""
    timeout_s: float | None = None
    """How long a source may be silent before it counts as lost; None: 1 s, http 10 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeOptions:
    """How long the supervisor waits for what."""

    tick_s: float = 0.25
    """Between two calls of ``on_tick``."""
    start_s: float = 300.0
    """For every stage to be ready, the engine's loading included."""
    stall_s: float = 60.0
    """For a line without any movement before it counts as hung."""
    hung_s: float = 10.0
    """For a stage without a sign of life before it is started anew, where stages are."""
    drain_s: float = 10.0
    """The same once the run is to end early."""
    batch_deadline_s: float = 0.25
    """For a frame to wait for others to share a batch with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeOptions:
    """What the engine runs in, as ``engines.open_engine`` takes it."""

    backend: str = "auto"
    device: str | None = None
    """As the backend names it; None for its usual one."""
    precision: Precision | None = None
    """To compute in; None for the quickest that the backend offers on its own."""
    require_gpu: bool = False
    """Whether to fail rather than to run on the processor."""
    family: str | None = None
    """To read a file without our manifest as; None recognises it by its outputs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentOptions:
    """Recordings in chunks, and how long they are kept."""

    length_s: float
    """Of a chunk."""
    keep_s: float | None = None
    """Chunks older than this are removed; None keeps them."""
    keep_bytes: int | None = None
    """The oldest chunks are removed while all of them are larger than this; None keeps them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """What one source has of its own; None takes what the run has."""

    name: str | None = None
    """What people call it; None takes its address without the password."""
    outputs: tuple[str, ...] | None = None
    results: tuple[str, ...] | None = None
    policy: Policy | None = None
    max_frames: int | None = None
    live: LiveOptions | None = None
    batch_share: int | None = None
    """Most of its frames in a batch; None allows all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """One run: sources through one engine to any number of deliveries a source."""

    sources: tuple[str, ...]
    """As ``source.expand_sources`` returns them."""
    engine: str
    """Path or name of an engine."""
    manifest: Manifest | None = None
    """Of an engine that is no file of ours; None takes what the file says."""
    outputs: tuple[str, ...] = ()
    """Deliveries of every source, as ``delivery.parse_delivery`` takes them."""
    results: tuple[str, ...] = ()
    """Where the instances go: newline-delimited JSON (a folder for several sources) or ZeroMQ."""
    by_source: tuple[SourceOptions, ...] = ()
    """By source id; sources beyond its end have nothing of their own."""
    segment: SegmentOptions | None = None
    """None records in one piece."""
    page_token: str | None = field(default=None, repr=False)
    """That who looks at a live page has to show; None lets everyone on this machine look."""
    results_encoding: Literal["json", "msgpack"] = "json"
    """Of results on ZeroMQ."""
    restarts: bool | None = None
    """Whether a stage that dies is started anew; None does so where a source is live."""
    chaos: str | None = None
    """Faults to be made on purpose, as ``chaos.parse_chaos`` takes them."""
    runtime: RuntimeOptions = field(default_factory=RuntimeOptions)
    batch: int | None = None
    """Most frames in a batch, 1 to MAX_BATCH; None takes what the engine prefers."""
    policy: Policy | None = None
    """What capture does while no slot is free; None: block for files, latest for live sources."""
    score_min: float | None = None
    """Instances below are left out, in [0, 1]; None takes what the engine says."""
    top_k: int = 15
    """Most instances in a frame, 1 to MAX_TOP_K."""
    max_crops: int = MAX_CROPS
    """Most boxes of a batch that an engine of two stages masks."""
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
    """``engine``, ``source`` or ``writer`` -> ``package.module:function`` that opens it instead:
    for tests, and for networks that are not exported."""

    def of(self, source_id: int) -> SourceOptions:
        """Returns what ``source_id`` has of its own."""
        has_own = source_id < len(self.by_source)
        return self.by_source[source_id] if has_own else SourceOptions()

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
        self._check_range("--max-crops", self.max_crops, 1, None)
        self._check_range("--max-frames", self.max_frames, 1, None)
        self._check_range("--threads", self.threads, 1, None)
        for live in (self.live, *(own.live for own in self.by_source if own.live is not None)):
            self._check_range("--source-timeout", live.timeout_s, 0.1, 3600)
        for own in self.by_source:
            self._check_range("batch_share", own.batch_share, 1, MAX_BATCH)
            self._check_range("max_frames", own.max_frames, 1, None)
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
