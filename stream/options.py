"""What a run is asked to do: one frozen object from the edge to the supervisor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from maskstream.engines.files.manifest import Manifest
from maskstream.engines.limits import MAX_CROPS, TOP_K, Precision
from maskstream.errors import ConfigError
from maskstream.stream.arguments import (
    AUTO,
    OPACITY,
    ColorBy,
    Encoding,
    Policy,
    RtspTransport,
    RunArguments,
    SourceArguments,
    arguments_of,
)
from maskstream.stream.delivery import Delivery


@dataclass(frozen=True, slots=True, kw_only=True)
class StyleOptions:
    """How instances are drawn."""

    color_by: ColorBy = "class"
    """One colour a class, or one colour an instance."""
    opacity: float = OPACITY
    """Of the masks, 0 (not drawn) to 1 (solid)."""
    boxes: bool = True
    labels: bool = True
    """Class name and score above each box."""
    display_fps: bool = False
    """Frames per second of the last second, in a corner of the picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecOptions:
    """How files are decoded, and how the output is encoded."""

    decoder: str = AUTO
    """Of video files: "cpu", a device as FFmpeg names it, or "auto" for the quickest."""
    encoder: str = AUTO
    """Of recordings: an encoder as FFmpeg names it, or "auto" for the quickest."""
    preset: str = RunArguments.preset
    """libx264's preset: ultrafast ... veryslow."""
    crf: int = RunArguments.crf
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

    backend: str = AUTO
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
    deliveries: tuple[Delivery, ...] | None = None
    """Where its frames and results go, instead of where the run's go."""
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
    deliveries: tuple[Delivery, ...] = ()
    """Where the frames and results of every source go that has no deliveries of its own."""
    by_source: tuple[SourceOptions, ...] = ()
    """By source id; sources beyond its end have nothing of their own."""
    segment: SegmentOptions | None = None
    """None records in one piece."""
    page_token: str | None = field(default=None, repr=False)
    """That who looks at a live page has to show; None lets everyone on this machine look."""
    results_encoding: Encoding = "json"
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
    top_k: int = TOP_K
    """Most instances in a frame, 1 to MAX_TOP_K."""
    max_crops: int = MAX_CROPS
    """Most boxes of a batch that an engine of two stages masks."""
    class_ids: frozenset[int] | None = None
    """Classes to keep; None keeps all."""
    track: bool = False
    """Whether objects are followed from frame to frame."""
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
        """Return what ``source_id`` has of its own."""
        has_own = source_id < len(self.by_source)
        return self.by_source[source_id] if has_own else SourceOptions()

    def check(self) -> None:
        """Check what can be checked without opening anything.

        Raises:
            ConfigError: A value is outside its range, or two of them contradict each other.
        """
        if not self.sources:
            raise ConfigError("sources: none; name at least one file, folder or stream.")
        listed = arguments_of(RunArguments)
        for name, value in self._ranged().items():
            listed[name].check(value)
        own_listed = arguments_of(SourceArguments)
        for own in self.by_source:
            own_listed["batch_share"].check(own.batch_share, "batch_share")
            own_listed["max_frames"].check(own.max_frames, "max_frames")
            if own.live is not None:
                own_listed["timeout"].check(own.live.timeout_s, "timeout")
        # Fewer slots than a batch and its neighbours' hands would make every batch wait.
        least = (self.batch or 1) + 1
        if self.slots is not None and self.slots < least:
            raise ConfigError(f"--slots: {self.slots} was given; it must be at least {least}.")

    def _ranged(self) -> dict[str, float | None]:
        """Return the values that have a range, by the names of their arguments."""
        return {
            "batch": self.batch,
            "top_k": self.top_k,
            "score": self.score_min,
            "max_crops": self.max_crops,
            "max_frames": self.max_frames,
            "threads": self.threads,
            "source_timeout": self.live.timeout_s,
            "opacity": self.style.opacity,
            "crf": self.codec.crf,
        }
