"""What a run can be asked: the one list of names, types, ranges, defaults and help.

Each field of `RunArguments` is an option of ``maskstream run``, a key of a pipeline file and a
keyword of ``maskstream.open``, by the same name. A field without a value has its default.
Standard library only: a command's help is made from this list, and loads nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args, get_type_hints

from maskstream.engines.limits import MAX_BATCH, MAX_CROPS, MAX_TOP_K, TOP_K, Precision
from maskstream.errors import ConfigError

Policy = Literal["block", "latest"]
ColorBy = Literal["class", "instance"]
Encoding = Literal["json", "msgpack"]
RtspTransport = Literal["tcp", "udp"]
Preset = Literal[
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"
]
"""Of x264, from the fastest to the one that makes the smallest files."""

AUTO = "auto"
OPACITY = 0.45
CRF_MAX = 51
_TIMEOUT_S = (0.1, 3600.0)

_ENGINE = "Engine"
_OUTPUT = "Output"
_PICTURE = "Picture"
_CODECS = "Codecs"
_RECORDING = "Recording in chunks"
_TRACKING = "Tracking"
_LIVE = "Live sources"
_FAULTS = "Faults"
_MACHINE = "Use of the machine"
_TELEMETRY = "Telemetry and logs"

_STRICT = {"extra": "forbid", "allow_inf_nan": False}
"""For pydantic, which checks the types of what a file says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """What is known of one argument beside its name, type and default."""

    help: str
    least: float | None = None
    most: float | None = None
    metavar: str | None = None
    names: tuple[str, ...] = ()
    """As typed; ``--NAME`` of the field if empty."""
    panel: str | None = None
    """The heading in the command's help under which it stands."""
    shows_default: bool = True
    may_be_empty: bool = True
    """Of a text."""

    @property
    def __is_annotated_types_grouped_metadata__(self) -> Literal[True]:
        """Tell pydantic, which checks what a file says, to ask for the constraints."""
        return True

    def __iter__(self) -> Iterator[object]:
        """Yield the constraints on a value, as pydantic knows them."""
        from annotated_types import Ge, Le, MinLen

        if self.least is not None:
            yield Ge(self.least)
        if self.most is not None:
            yield Le(self.most)
        if not self.may_be_empty:
            yield MinLen(1)


@dataclass(frozen=True, kw_only=True)
class FlowArguments:
    """How frames go through the pipeline."""

    policy: Annotated[
        Policy | None,
        Option(
            help="While the pipeline is busy, block makes the source wait and latest drops all "
            "but the newest frame. Default: block for files, latest for live sources.",
        ),
    ] = None
    max_frames: Annotated[
        int | None, Option(least=1, help="Stop after this many frames of each source.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class OutputArguments:
    """Where frames and results go, and how recordings are made."""

    outputs: Annotated[
        list[str] | None,
        Option(
            names=("--output", "-o"),
            metavar="OUT",
            panel=_OUTPUT,
            help="Where frames go, as listed above; can be repeated.",
        ),
    ] = None
    results: Annotated[
        list[str] | None,
        Option(
            metavar="OUT",
            panel=_OUTPUT,
            help="Where the detections go, one JSON object per frame: FILE.ndjson, a folder for "
            "several sources, or tcp://HOST:PORT or ipc:///PATH for ZeroMQ; can be repeated.",
        ),
    ] = None
    results_format: Annotated[
        Encoding, Option(panel=_OUTPUT, help="Encoding of results on ZeroMQ.")
    ] = "json"
    report: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            panel=_OUTPUT,
            help="Write the run's figures as JSON: counts, rates, latencies, the bottleneck.",
        ),
    ] = None
    web: Annotated[
        str | None,
        Option(
            metavar="HOST:PORT",
            panel=_OUTPUT,
            help="Serve a live page at this address: the same as -o http://HOST:PORT.",
        ),
    ] = None
    web_token_file: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            panel=_OUTPUT,
            help="Ask visitors of the page for the token in this file; required if other machines "
            "can connect.",
        ),
    ] = None
    decoder: Annotated[
        str,
        Option(
            metavar="auto|cpu|DEVICE",
            panel=_CODECS,
            help="Decoder of video files: cpu, cuda or vaapi; auto takes the fastest.",
        ),
    ] = AUTO
    encoder: Annotated[
        str,
        Option(
            metavar="auto|NAME",
            panel=_CODECS,
            help="Encoder of recordings: libx264, h264_nvenc, hevc_nvenc, h264_qsv, ...; auto "
            "takes the fastest H.264 encoder.",
        ),
    ] = AUTO
    preset: Annotated[
        Preset,
        Option(panel=_CODECS, help="x264's preset; slower ones make smaller files."),
    ] = "superfast"
    crf: Annotated[
        int,
        Option(
            least=0,
            most=CRF_MAX,
            panel=_CODECS,
            help=f"Quality of recordings, 0 (lossless) to {CRF_MAX}; 20 looks like the source.",
        ),
    ] = 20
    segment: Annotated[
        str | None,
        Option(
            metavar="DURATION",
            panel=_RECORDING,
            help="Start a new file after this time: 30s, 10m, 1h.",
        ),
    ] = None
    keep: Annotated[
        str | None,
        Option(
            metavar="DURATION",
            panel=_RECORDING,
            help="Delete files older than this: 24h, 7d. Default: keep all.",
        ),
    ] = None
    keep_size: Annotated[
        str | None,
        Option(
            metavar="SIZE",
            panel=_RECORDING,
            help="Delete the oldest files while all together are larger than this: 500MB, 50GB.",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class PictureArguments:
    """How instances are drawn."""

    color_by: Annotated[
        ColorBy, Option(panel=_PICTURE, help="One colour per class, or one per instance.")
    ] = "class"
    opacity: Annotated[
        float,
        Option(least=0, most=1, panel=_PICTURE, help="Of the masks, 0 (not drawn) to 1 (solid)."),
    ] = OPACITY
    boxes: Annotated[
        bool,
        Option(
            names=("--boxes/--no-boxes",), panel=_PICTURE, help="Draw a box around each instance."
        ),
    ] = True
    labels: Annotated[
        bool,
        Option(
            names=("--labels/--no-labels",),
            panel=_PICTURE,
            help="Write class and score above each box.",
        ),
    ] = True


@dataclass(frozen=True, kw_only=True)
class StampArguments:
    """What is drawn into the picture beside the instances."""

    display_fps: Annotated[
        bool,
        Option(
            names=("--display-fps/--no-display-fps",),
            shows_default=False,
            panel=_PICTURE,
            help="Draw the frames per second into the picture.",
        ),
    ] = False


@dataclass(frozen=True, kw_only=True)
class RuntimeArguments:
    """The engine, and what it runs in."""

    engine: Annotated[
        str,
        Option(
            metavar="PATH|NAME",
            panel=_ENGINE,
            help="An engine file, or a name that `maskstream engines` lists.",
        ),
    ] = "person"
    backend: Annotated[
        str,
        Option(
            metavar="NAME",
            panel=_ENGINE,
            help="The runtime: openvino, onnxruntime, tensorrt, torch, ...; `maskstream doctor` "
            "lists them. auto takes the best one available.",
        ),
    ] = AUTO
    device: Annotated[
        str | None,
        Option(
            metavar="NAME",
            panel=_ENGINE,
            help="Device of the runtime, as it names it: GPU for openvino, cuda:1 for others.",
        ),
    ] = None
    precision: Annotated[
        Precision | None,
        Option(
            panel=_ENGINE,
            help="Precision to compute in. Default: the fastest that the runtime offers.",
        ),
    ] = None
    require_gpu: Annotated[
        bool,
        Option(
            names=("--require-gpu",),
            panel=_ENGINE,
            help="Fail if there is no GPU, rather than run on the processor.",
        ),
    ] = False
    family: Annotated[
        str | None,
        Option(
            metavar="NAME",
            panel=_ENGINE,
            help="How to read an ONNX file without a manifest: yolo-seg. Default: recognise it by "
            "its outputs.",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class BatchArguments:
    """How many frames the network takes at once."""

    batch: Annotated[
        int | None,
        Option(
            least=1,
            most=MAX_BATCH,
            panel=_ENGINE,
            help=f"Most frames in a batch, 1 to {MAX_BATCH}. Default: what suits the engine; 1 if "
            "a source is live or has viewers.",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class SelectionArguments:
    """Which instances are kept."""

    score: Annotated[
        float | None,
        Option(
            least=0,
            most=1,
            panel=_ENGINE,
            help="Drop instances that score less, 0 to 1. Default: the engine's own threshold.",
        ),
    ] = None
    top_k: Annotated[
        int,
        Option(
            least=1,
            most=MAX_TOP_K,
            panel=_ENGINE,
            help=f"Most instances in a frame, 1 to {MAX_TOP_K}.",
        ),
    ] = TOP_K
    max_crops: Annotated[
        int,
        Option(
            least=1,
            panel=_ENGINE,
            help="Most boxes of a batch that the second stage of an engine masks; the least "
            "likely ones beyond that are dropped and counted.",
        ),
    ] = MAX_CROPS
    classes: Annotated[
        str | None, Option(metavar="NAME,NAME", panel=_ENGINE, help="Keep only these classes.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class TrackingArguments:
    """Whether objects are followed from frame to frame."""

    track: Annotated[
        bool,
        Option(
            names=("--track/--no-track",),
            panel=_TRACKING,
            help="Follow each object from frame to frame: one number per object, short gaps "
            "filled, detections of one or two frames dropped.",
        ),
    ] = False


@dataclass(frozen=True, kw_only=True)
class LiveArguments:
    """How live sources are read, and what is done about faults."""

    rtsp_transport: Annotated[
        RtspTransport,
        Option(
            panel=_LIVE,
            help="How RTSP cameras send: tcp loses no packets, udp does not wait for lost ones.",
        ),
    ] = "tcp"
    source_timeout: Annotated[
        float | None,
        Option(
            least=_TIMEOUT_S[0],
            most=_TIMEOUT_S[1],
            metavar="SECONDS",
            panel=_LIVE,
            help="A live source counts as lost after this long without a frame. Default: 1, and "
            "10 for http. A camera slower than one frame a second needs more.",
        ),
    ] = None
    restart: Annotated[
        bool | None,
        Option(
            names=("--restart/--no-restart",),
            panel=_FAULTS,
            help="Restart a stage that dies. Default: only if a source is live.",
        ),
    ] = None
    chaos: Annotated[
        str | None,
        Option(
            metavar="SPEC",
            panel=_FAULTS,
            help="Inject faults, separated by commas: kill=infer@10s, stall=capture:5s@20s, "
            "drop=0.02.",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class MachineArguments:
    """How much of the machine a run takes."""

    threads: Annotated[
        int | None,
        Option(
            least=1,
            panel=_MACHINE,
            help="Threads of decoders, engine and encoders together. Default: one per core.",
        ),
    ] = None
    slots: Annotated[
        int | None,
        Option(
            least=2,
            panel=_MACHINE,
            help="Frames of a source that are in the pipeline at once, more than a batch. "
            "Default: what the batch needs.",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class TelemetryArguments:
    """Where the run's figures and events go."""

    telemetry: Annotated[
        str | None,
        Option(
            metavar="ENDPOINT",
            panel=_TELEMETRY,
            help="Publish the figures over ZeroMQ every second, for `maskstream top` and other "
            "subscribers: tcp://127.0.0.1:5556 or ipc:///FOLDER/NAME.",
        ),
    ] = None
    telemetry_format: Annotated[
        Encoding, Option(panel=_TELEMETRY, help="Encoding of what --telemetry publishes.")
    ] = "json"
    telemetry_public: Annotated[
        bool,
        Option(
            names=("--telemetry-public",),
            panel=_TELEMETRY,
            help="Allow an address for --telemetry that other machines can connect to.",
        ),
    ] = False
    status_http: Annotated[
        str | None,
        Option(
            metavar="HOST:PORT",
            panel=_TELEMETRY,
            help="Serve /metrics (Prometheus), /status (JSON) and /healthz at this address; port "
            "0 takes a free one, which --verbose shows.",
        ),
    ] = None
    status_token_file: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            panel=_TELEMETRY,
            help="Answer only requests with the token in this file; required if other machines "
            "can connect.",
        ),
    ] = None
    log_json: Annotated[
        str | None,
        Option(
            metavar="FILE|-",
            panel=_TELEMETRY,
            help="Append each event to this file as a line of JSON; - writes them to standard "
            "error and nothing else.",
        ),
    ] = None


# The last base's fields come first.
@dataclass(frozen=True, kw_only=True)
class RunArguments(
    TelemetryArguments,
    MachineArguments,
    LiveArguments,
    TrackingArguments,
    SelectionArguments,
    BatchArguments,
    RuntimeArguments,
    StampArguments,
    PictureArguments,
    OutputArguments,
    FlowArguments,
):
    """Everything that a run can be asked; each is an option and a key of a file."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT


@dataclass(frozen=True, kw_only=True)
class SourceArguments:
    """One source, and what it has of its own; anything else is as for the whole run."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    uri: Annotated[
        str,
        Option(
            may_be_empty=False,
            help="A video file, a folder or pattern, a camera such as 0, or an address. Paths are "
            "relative to this file, and ${NAME} takes a password from the environment.",
        ),
    ]
    name: Annotated[
        str | None, Option(may_be_empty=False, help="A name of its own, unique in the file.")
    ] = None
    outputs: Annotated[
        list[str] | None, Option(help="Instead of the run's outputs; an empty list is null:.")
    ] = None
    results: Annotated[list[str] | None, Option(help="Instead of the run's results.")] = None
    policy: Annotated[Policy | None, Option(help="Instead of the run's policy.")] = None
    max_frames: Annotated[
        int | None, Option(least=1, help="Stop after this many frames of it.")
    ] = None
    timeout: Annotated[
        float | None,
        Option(
            least=_TIMEOUT_S[0],
            most=_TIMEOUT_S[1],
            help="Instead of the run's source_timeout, in seconds.",
        ),
    ] = None
    rtsp_transport: Annotated[
        RtspTransport | None, Option(help="Instead of the run's rtsp_transport.")
    ] = None
    batch_share: Annotated[
        int | None, Option(least=1, most=MAX_BATCH, help="Most of its frames in a batch.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class PipelineArguments(RunArguments):
    """A whole file."""

    source: Annotated[
        list[SourceArguments], Option(help="One table [[source]] for each source.")
    ] = field(default_factory=list)


SOURCE_OVERRIDES = {
    "outputs": "outputs",
    "results": "results",
    "policy": "policy",
    "max_frames": "max_frames",
    "timeout": "source_timeout",
    "rtsp_transport": "rtsp_transport",
}
"""Key of a source -> the run's option that holds where the source has no value of its own."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One entry of the list, as the command and the file need it."""

    name: str
    type: Any
    """Without the ``Annotated``."""
    default: Any
    option: Option

    @property
    def flag(self) -> str:
        """The option that sets it: ``--max-frames`` for ``max_frames``."""
        long = (name.partition("/")[0] for name in self.option.names if name.startswith("--"))
        return next(long, f"--{self.name.replace('_', '-')}")

    def check(self, value: Any, subject: str | None = None) -> None:
        """Check that a value is within the range.

        Args:
            value: None, which stands for the default, is within every range.
            subject: What the message begins with; the flag if left out.

        Raises:
            ConfigError: It is outside.
        """
        least, most = self.option.least, self.option.most
        if value is None or ((least is None or least <= value) and (most is None or value <= most)):
            return
        raise ConfigError(f"{subject or self.flag}: {value} was given; it must be {self.range}.")

    @property
    def range(self) -> str:
        """The range in words; empty where every value will do."""
        least, most = self.option.least, self.option.most
        if least is None:
            return ""
        return f"at least {least:g}" if most is None else f"{least:g} to {most:g}"


@cache
def arguments_of(declared: type) -> dict[str, Argument]:
    """Return the arguments that one of the classes above declares, by name, in their order."""
    hints = get_type_hints(declared, include_extras=True)
    found = {}
    for entry in fields(declared):
        kind, option = get_args(hints[entry.name])
        default = entry.default
        if callable(entry.default_factory):
            default = entry.default_factory()
        found[entry.name] = Argument(entry.name, kind, default, option)
    return found
