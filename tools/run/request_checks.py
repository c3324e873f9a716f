"""Whether a request can be met: all of its options, checked together and turned into a run's."""

from dataclasses import dataclass, field
from typing import Any

from maskstream.errors import ConfigError
from maskstream.stream.addresses.amounts import parse_bytes, parse_duration_s
from maskstream.stream.addresses.redact import shown
from maskstream.stream.arguments import (
    PipelineArguments,
    RunArguments,
    SourceArguments,
    arguments_of,
)
from maskstream.stream.delivery import Delivery
from maskstream.stream.options import (
    CodecOptions,
    LiveOptions,
    RunOptions,
    RuntimeOptions,
    SegmentOptions,
    SourceOptions,
    StyleOptions,
)
from maskstream.stream.recording.series import check_segments
from maskstream.stream.sources.open import expand_sources
from maskstream.stream.supervision.chaos import parse_chaos
from maskstream.stream.telemetry.service import TelemetryOptions
from maskstream.tools.arguments.opening import NETWORK_OPENER, is_network
from maskstream.tools.run.deliveries import parse_request
from maskstream.tools.run.faults import Faults
from maskstream.tools.run.place_checks import (
    check_engine,
    check_pages,
    check_places,
    check_telemetry,
    page_token,
)
from maskstream.tools.run.request import Request


@dataclass(slots=True, kw_only=True)
class Checked:
    """A request that can be met, as far as is known without opening a source."""

    options: RunOptions
    telemetry: TelemetryOptions
    notes: list[str] = field(default_factory=list)
    """What the user should know though it can be met."""
    origins: list[int] = field(default_factory=list)
    """The table that each source of ``options`` comes from: a folder's stands for several."""


def check_request(request: Request, faults: Faults) -> Checked:
    """Return what is to be run. Whatever is wrong is added to ``faults``; the rest is checked on.

    No source is opened. Where there are faults, what is returned is of no use but to look at.
    """
    arguments = request.arguments
    notes: list[str] = []
    if request.file and request.are_sources_typed and request.file.arguments.source:
        count = len(request.file.arguments.source)
        notes.append(f"{request.file.path}: its {count} sources are ignored; others were typed.")
    uris, origins = _expand(request, notes, faults)
    _note_passwords(request, notes)
    deliveries, by_table = parse_request(request, faults)
    is_unexported = is_network(arguments.engine)
    manifest, class_ids = check_engine(request, faults)
    options = RunOptions(
        sources=tuple(uris),
        engine=arguments.engine,
        manifest=manifest if is_unexported else None,
        deliveries=deliveries,
        by_source=tuple(
            _own(arguments.source[table], arguments, by_table[table]) for table in origins
        ),
        segment=_segment(request, faults),
        page_token=page_token(request, faults),
        class_ids=class_ids,
        replaced={"engine": NETWORK_OPENER} if is_unexported else {},
        **_passed_on(arguments),
    )
    telemetry = _telemetry(arguments)
    if not arguments.source:
        faults.add(_no_source(request))
    elif uris:
        with faults.collecting():
            options.check()
    check_places(request, options, origins, faults)
    check_telemetry(request, telemetry, faults)
    check_pages(request, options, faults)
    if arguments.chaos is not None:
        with faults.collecting(request.where("chaos"), "--chaos"):
            parse_chaos(arguments.chaos)
    return Checked(options=options, telemetry=telemetry, notes=notes, origins=origins)


def _passed_on(arguments: PipelineArguments) -> dict[str, Any]:
    """Return the fields of a run's options that are arguments as they were given."""
    return {
        "results_encoding": arguments.results_format,
        "restarts": arguments.restart,
        "chaos": arguments.chaos,
        "runtime": RuntimeOptions(
            backend=arguments.backend,
            device=arguments.device,
            precision=arguments.precision,
            require_gpu=arguments.require_gpu,
            family=arguments.family,
        ),
        "batch": arguments.batch,
        "policy": arguments.policy,
        "score_min": arguments.score,
        "top_k": arguments.top_k,
        "max_crops": arguments.max_crops,
        "track": arguments.track,
        "max_frames": arguments.max_frames,
        "slots": arguments.slots,
        "threads": arguments.threads,
        "codec": CodecOptions(
            decoder=arguments.decoder,
            encoder=arguments.encoder,
            preset=arguments.preset,
            crf=arguments.crf,
        ),
        "style": StyleOptions(
            color_by=arguments.color_by,
            opacity=arguments.opacity,
            boxes=arguments.boxes,
            labels=arguments.labels,
            display_fps=arguments.display_fps,
        ),
        "live": LiveOptions(
            rtsp_transport=arguments.rtsp_transport, timeout_s=arguments.source_timeout
        ),
    }


def _telemetry(arguments: PipelineArguments) -> TelemetryOptions:
    return TelemetryOptions(
        telemetry=arguments.telemetry,
        encoding=arguments.telemetry_format,
        is_public=arguments.telemetry_public,
        http=arguments.status_http,
        token_file=arguments.status_token_file,
    )


def _no_source(request: Request) -> str:
    if request.file is None:
        return (
            "SOURCE: none was given; name a video file, a folder, a camera such as 0 or an "
            "address, or a file that does: --config FILE."
        )
    return (
        f'{request.file.path}: no source in it; add a table [[source]] with uri = "...", or name '
        "one on the command line."
    )


def _expand(request: Request, notes: list[str], faults: Faults) -> tuple[list[str], list[int]]:
    """Return the sources, folders and patterns resolved, and the table that each comes from."""
    uris: list[str] = []
    origins: list[int] = []
    for index, source in enumerate(request.arguments.source):
        where = request.where("source", index, "uri")
        found: list[str] = []
        with faults.collecting(where):
            if not where and source.uri.endswith(".toml"):
                raise ConfigError(f"{source.uri}: no video; did you mean --config {source.uri}?")
            found = expand_sources([source.uri], left_out=notes)
        if source.name is not None and len(found) > 1:
            faults.add(
                f"{request.where('source', index, 'name')}: name: {source.name!r} would be the "
                f"name of {len(found)} sources; leave it out, as they are named after their files."
            )
        uris += found
        origins += [index] * len(found)
    return uris, origins


def _note_passwords(request: Request, notes: list[str]) -> None:
    """Note the passwords that stand in a file, where they could be taken from the environment."""
    for index, source in enumerate(request.arguments.source):
        for key, texts in (("uri", [source.uri]), ("outputs", source.outputs or [])):
            where = request.where("source", index, key)
            if where and any(shown(text) != text and "${" not in text for text in texts):
                notes.append(
                    f"{where}: the password stands in the file; write ${{CAM_PASS}} in its place, "
                    "and it is taken from the environment."
                )


def _own(
    source: SourceArguments,
    arguments: PipelineArguments,
    deliveries: tuple[Delivery, ...] | None,
) -> SourceOptions:
    """Return what a source has of its own."""
    live = None
    if source.timeout is not None or source.rtsp_transport is not None:
        live = LiveOptions(
            rtsp_transport=source.rtsp_transport or arguments.rtsp_transport,
            timeout_s=arguments.source_timeout if source.timeout is None else source.timeout,
        )
    return SourceOptions(
        name=source.name,
        deliveries=deliveries,
        policy=source.policy,
        max_frames=source.max_frames,
        live=live,
        batch_share=source.batch_share,
    )


def _segment(request: Request, faults: Faults) -> SegmentOptions | None:
    """Return how recordings are cut, and how long the pieces are kept."""
    listed = arguments_of(RunArguments)
    values: dict[str, Any] = {}
    parsers = (
        ("segment", parse_duration_s),
        ("keep", parse_duration_s),
        ("keep_size", parse_bytes),
    )
    for name, parse in parsers:
        text = getattr(request.arguments, name)
        if text is not None:
            with faults.collecting(request.where(name), listed[name].flag):
                values[name] = parse(text)
    for name in ("keep", "keep_size"):
        if name in values and request.arguments.segment is None:
            with faults.collecting(request.where(name), listed[name].flag):
                raise ConfigError(
                    f"{listed[name].flag}: nothing is recorded in chunks; add --segment 10m."
                )
    if "segment" not in values:
        return None
    options = SegmentOptions(
        length_s=values["segment"],
        keep_s=values.get("keep"),
        keep_bytes=values.get("keep_size"),
    )
    with faults.collecting(request.where("segment")):
        check_segments(options)
    return options
