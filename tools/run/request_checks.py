"""Whether a request can be met: all of its options, checked together and turned into a run's."""

from dataclasses import dataclass, field
from typing import Any

from maskstream.errors import ConfigError, OutputError
from maskstream.stream.addresses.amounts import parse_bytes, parse_duration_s
from maskstream.stream.addresses.http_address import parse_address
from maskstream.stream.addresses.redact import shown
from maskstream.stream.delivery import parse_delivery
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
from maskstream.stream.telemetry.outlets import OutletOptions
from maskstream.tools.arguments.opening import NETWORK_OPENER, is_network
from maskstream.tools.run.faults import Faults
from maskstream.tools.run.place_checks import (
    check_engine,
    check_outlets,
    check_pages,
    check_places,
    page_token,
)
from maskstream.tools.run.request import Request
from maskstream.tools.run.run_settings import PipelineSettings, SourceSettings, option_of


@dataclass(slots=True, kw_only=True)
class Checked:
    """A request that can be met, as far as is known without opening a source."""

    options: RunOptions
    outlets: OutletOptions
    notes: list[str] = field(default_factory=list)
    """What the user should know though it can be met."""
    origins: list[int] = field(default_factory=list)
    """The table that each source of ``options`` comes from: a folder's stands for several."""


def check_request(request: Request, faults: Faults) -> Checked:
    """Return what is to be run. Whatever is wrong is added to ``faults``; the rest is checked on.

    No source is opened. Where there are faults, what is returned is of no use but to look at.
    """
    settings = request.settings
    notes: list[str] = []
    if request.file and request.are_sources_typed and request.file.settings.source:
        count = len(request.file.settings.source)
        notes.append(f"{request.file.path}: its {count} sources are left out for those typed.")
    uris, origins = _expand(request, notes, faults)
    outputs, results = _targets(request, faults)
    _note_passwords(request, notes)
    page = tuple(text for text in outputs if text == f"http://{settings.web}")
    is_unexported = is_network(settings.engine)
    manifest, class_ids = check_engine(request, faults)
    options = RunOptions(
        sources=tuple(uris),
        engine=settings.engine,
        manifest=manifest if is_unexported else None,
        outputs=outputs,
        results=results,
        by_source=tuple(_own(settings.source[table], settings, page) for table in origins),
        segment=_segment(request, faults),
        page_token=page_token(request, faults),
        results_encoding=settings.results_format,
        restarts=settings.restart,
        chaos=settings.chaos,
        runtime=RuntimeOptions(
            backend=settings.backend,
            device=settings.device,
            precision=settings.precision,
            require_gpu=settings.require_gpu,
            family=settings.family,
        ),
        batch=settings.batch,
        policy=settings.policy,
        score_min=settings.score,
        top_k=settings.top_k,
        max_crops=settings.max_crops,
        class_ids=class_ids,
        max_frames=settings.max_frames,
        codec=CodecOptions(decoder=settings.decoder, encoder=settings.encoder),
        style=StyleOptions(color_by=settings.color_by, display_fps=settings.display_fps),
        live=LiveOptions(rtsp_transport=settings.rtsp_transport, timeout_s=settings.source_timeout),
        replaced={"engine": NETWORK_OPENER} if is_unexported else {},
    )
    outlets = _outlets(settings)
    if not settings.source:
        faults.add(_no_source(request))
    elif uris:
        with faults.collecting():
            options.check()
    check_places(request, options, origins, faults)
    check_outlets(request, outlets, faults)
    check_pages(request, options, faults)
    if settings.chaos is not None:
        with faults.collecting(request.where("chaos"), "--chaos"):
            parse_chaos(settings.chaos)
    return Checked(options=options, outlets=outlets, notes=notes, origins=origins)


def _outlets(settings: PipelineSettings) -> OutletOptions:
    return OutletOptions(
        telemetry=settings.telemetry,
        encoding=settings.telemetry_format,
        is_public=settings.telemetry_public,
        http=settings.status_http,
        token_file=settings.status_token_file,
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
    for index, source in enumerate(request.settings.source):
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
    for index, source in enumerate(request.settings.source):
        for key, texts in (("uri", [source.uri]), ("outputs", source.outputs or [])):
            where = request.where("source", index, key)
            if where and any(shown(text) != text and "${" not in text for text in texts):
                notes.append(
                    f"{where}: the password stands in the file; write ${{CAM_PASS}} in its place, "
                    "and it is taken from the environment."
                )


def _targets(request: Request, faults: Faults) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the run's outputs and places for results; an .ndjson among the former is a latter."""
    settings = request.settings
    outputs = list(settings.outputs or ())
    if settings.web is not None:
        with faults.collecting(request.where("web"), "--web"):
            parse_address(settings.web, "--web")
            outputs.append(f"http://{settings.web}")
    return _sorted_out(outputs, settings.results or ())


def _sorted_out(
    outputs: list[str], results: list[str] | tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    is_results = [_is_results(text) for text in outputs]
    videos = [text for text, is_one in zip(outputs, is_results, strict=True) if not is_one]
    files = [text for text, is_one in zip(outputs, is_results, strict=True) if is_one]
    return tuple(videos), (*results, *files)


def _is_results(text: str) -> bool:
    try:
        return parse_delivery(text).kind == "results"
    except OutputError:
        return False


def _own(
    source: SourceSettings, settings: PipelineSettings, page: tuple[str, ...]
) -> SourceOptions:
    """Return what a source has of its own; ``--web`` shows it whatever that is."""
    outputs, results = source.outputs, source.results
    if outputs is not None:
        videos, files = _sorted_out(outputs, ())
        own_outputs: tuple[str, ...] | None = (*videos, *page)
        # Results that stand among the outputs come on top of whatever results there are else.
        general = settings.results or [] if results is None else results
        own_results = (*general, *files) if files or results is not None else None
    else:
        own_outputs = None
        own_results = None if results is None else tuple(results)
    live = None
    if source.timeout is not None or source.rtsp_transport is not None:
        live = LiveOptions(
            rtsp_transport=source.rtsp_transport or settings.rtsp_transport,
            timeout_s=settings.source_timeout if source.timeout is None else source.timeout,
        )
    return SourceOptions(
        name=source.name,
        outputs=own_outputs,
        results=own_results,
        policy=source.policy,
        max_frames=source.max_frames,
        live=live,
        batch_share=source.batch_share,
    )


def _segment(request: Request, faults: Faults) -> SegmentOptions | None:
    """Return how recordings are cut, and how long the pieces are kept."""
    values: dict[str, Any] = {}
    parsers = (
        ("segment", parse_duration_s),
        ("keep", parse_duration_s),
        ("keep_size", parse_bytes),
    )
    for name, parse in parsers:
        text = getattr(request.settings, name)
        if text is not None:
            with faults.collecting(request.where(name), option_of(name)):
                values[name] = parse(text)
    for name in ("keep", "keep_size"):
        if name in values and request.settings.segment is None:
            with faults.collecting(request.where(name), option_of(name)):
                raise ConfigError(
                    f"{option_of(name)}: nothing is recorded in chunks; add --segment 10m."
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
