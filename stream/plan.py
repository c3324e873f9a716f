"""What a run will be, worked out and checked before anything is started or allocated."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines import read_manifest, resolve_engine
from engines.errors import EngineError
from engines.manifest import Manifest
from stream.capture import CaptureSettings, open_reader
from stream.drawing import DrawStyle
from stream.errors import ConfigError
from stream.infer import InferSettings
from stream.live_open import is_live
from stream.live_start import find_live
from stream.machine import ThreadBudget, available_cores, share_threads
from stream.options import NULL_OUTPUT, RunOptions
from stream.overlay import OverlaySettings
from stream.redact import place_of
from stream.sink import SinkSettings, VideoSettings
from stream.slot import SlotLayout
from stream.source_types import SourceInfo
from stream.substitute import substitute

FILE_BATCH = 8
LIVE_BATCH = 1
_DEFAULT_VIDEO_SUFFIX = ".mp4"
_RESULTS_SUFFIX = ".ndjson"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A run that can be started."""

    options: RunOptions
    engine_path: str
    manifest: Manifest
    infos: tuple[SourceInfo, ...]
    """By source id."""
    outputs: tuple[str | None, ...]
    """Path of the video, by source id; None writes none."""
    results: tuple[str | None, ...]
    """Path of the results, by source id; None writes none."""
    slot_count: int
    threads: ThreadBudget

    def layout(self, source_id: int) -> SlotLayout:
        """Returns where things lie in the slots of ``source_id``."""
        info = self.infos[source_id]
        return SlotLayout(info.width, info.height, self.options.top_k, self.manifest.patch_px)

    def pool_bytes(self) -> int:
        """Returns the shared memory of all pools."""
        sources = range(len(self.infos))
        return sum(self.layout(source_id).slot_bytes * self.slot_count for source_id in sources)

    def frame_total(self) -> int | None:
        """Returns how many frames are to be expected, None where a source does not say."""
        counts = [info.frame_count for info in self.infos]
        limit = self.options.max_frames
        if limit is not None:
            counts = [limit if count is None else min(count, limit) for count in counts]
        return None if None in counts else sum(count for count in counts if count is not None)

    def settings(self, kind: str, source_ids: tuple[int, ...]) -> Any:
        """Returns what a stage of ``kind`` for ``source_ids`` is started with."""
        return _SETTINGS[kind](self, source_ids)


def make_plan(options: RunOptions, *, on_note: Callable[[str], None] = lambda text: None) -> Plan:
    """Returns the plan of a run. Waits where all of its sources are live and none is there.

    Args:
        options: What the run is asked to do.
        on_note: Called with a line on each live source that is not there.

    Raises:
        ConfigError: An option is out of range, or the engine cannot be used.
        SourceError: A source cannot be opened.
    """
    options.check()
    engine_path, manifest = _find_engine(options)
    _check_classes(options, manifest)
    threads = share_threads(options.threads or available_cores(), len(options.sources))
    infos = _describe_sources(options, on_note)
    return Plan(
        options=options,
        engine_path=engine_path,
        manifest=manifest,
        infos=infos,
        outputs=_paths(options.sources, options.output, NULL_OUTPUT, _DEFAULT_VIDEO_SUFFIX),
        results=_paths(options.sources, str(options.results or ""), "", _RESULTS_SUFFIX),
        slot_count=options.slots or _default_slots(options, infos),
        threads=threads,
    )


def _find_engine(options: RunOptions) -> tuple[str, Manifest]:
    opener = options.replaced.get("engine")
    if opener is not None:
        manifest: Manifest = substitute(opener)(options.engine, threads=1).manifest
        return options.engine, manifest
    try:
        path = resolve_engine(options.engine)
        return str(path), read_manifest(path)
    except EngineError as exc:
        raise ConfigError(str(exc)) from exc


def _check_classes(options: RunOptions, manifest: Manifest) -> None:
    unknown = sorted((options.class_ids or frozenset()) - set(range(len(manifest.class_names))))
    if unknown:
        raise ConfigError(
            f"classes: {unknown} are no class ids of {manifest.name}; "
            f"it has 0 to {len(manifest.class_names) - 1}."
        )


def _describe_sources(
    options: RunOptions, on_note: Callable[[str], None]
) -> tuple[SourceInfo, ...]:
    """Returns what each source is; files first, as a wrong one is known at once."""
    sources = range(len(options.sources))
    live_ids = [i for i in sources if _is_live(options, options.sources[i])]
    infos = {i: _probe(options.sources[i], options) for i in sources if i not in live_ids}
    found = find_live(
        [options.sources[i] for i in live_ids],
        options.live,
        has_others=bool(infos),
        on_note=on_note,
    )
    infos.update(zip(live_ids, found, strict=True))
    return tuple(infos[i] for i in sources)


def _is_live(options: RunOptions, uri: str) -> bool:
    return "source" not in options.replaced and is_live(uri)


def _probe(uri: str, options: RunOptions) -> SourceInfo:
    # Opened here to size the pool and to refuse what cannot be read before anything starts; the
    # capture stage opens it again.
    with closing(open_reader(uri, threads=1, opener=options.replaced.get("source"))) as reader:
        return reader.info


def _default_slots(options: RunOptions, infos: tuple[SourceInfo, ...]) -> int:
    has_live = any(info.kind == "live" for info in infos)
    batch = options.batch or (LIVE_BATCH if has_live else FILE_BATCH)
    # One batch in the engine, the next one filling, and one frame in each other stage's hands.
    return 2 * batch + 3


def _paths(
    sources: tuple[str, ...], target: str, nothing: str, suffix: str
) -> tuple[str | None, ...]:
    """Returns the path for each source: the target itself, or a name in it where it is a folder."""
    if target == nothing:
        return (None,) * len(sources)
    folder = Path(target)
    if len(sources) == 1 and not folder.is_dir():
        return (target,)
    stems = [_stem(uri) for uri in sources]
    return tuple(
        str(folder / f"{stem if stems.count(stem) == 1 else f'{stem}-{source_id}'}{suffix}")
        for source_id, stem in enumerate(stems)
    )


def _stem(uri: str) -> str:
    """Returns a file name without suffix that tells the source."""
    place = place_of(uri).rstrip("/")
    # A file's name is enough; an address is told apart by host and path, never by a password.
    name = place if "://" in uri else Path(place).stem
    return "".join(c if c.isalnum() or c in "-_. " else "-" for c in name) or "source"


def _capture(plan: Plan, source_ids: tuple[int, ...]) -> CaptureSettings:
    (source_id,) = source_ids
    info, uri = plan.infos[source_id], plan.options.sources[source_id]
    return CaptureSettings(
        uri=uri,
        source_id=source_id,
        info=info if _is_live(plan.options, uri) else None,
        live=plan.options.live,
        policy=plan.options.policy or ("latest" if info.kind == "live" else "block"),
        max_frames=plan.options.max_frames,
        threads=plan.threads.decoder,
        opener=plan.options.replaced.get("source"),
    )


def _infer(plan: Plan, source_ids: tuple[int, ...]) -> InferSettings:
    options = plan.options
    live = frozenset(i for i in source_ids if plan.infos[i].kind == "live")
    return InferSettings(
        engine=plan.engine_path,
        backend=options.backend,
        threads=plan.threads.engine,
        batch=options.batch or (LIVE_BATCH if live else None),
        # A batch of all slots would leave none to decode into meanwhile.
        batch_limit=max(1, (plan.slot_count - 1) * len(source_ids)),
        live_sources=live,
        deadline_s=options.times.batch_deadline_s,
        score_min=options.score_min,
        top_k=options.top_k,
        class_ids=options.class_ids,
        opener=options.replaced.get("engine"),
    )


def _overlay(plan: Plan, source_ids: tuple[int, ...]) -> OverlaySettings:
    info, style = plan.infos[source_ids[0]], plan.options.style
    return OverlaySettings(
        style=DrawStyle(
            class_names=plan.manifest.class_names,
            color_by=style.color_by,
            opacity=style.opacity,
            boxes=style.boxes,
            labels=style.labels,
            display_fps=style.display_fps,
        ),
        width=info.width,
        height=info.height,
        color_range=info.color_range,
        color_matrix=info.color_matrix,
    )


def _sink(plan: Plan, source_ids: tuple[int, ...]) -> SinkSettings:
    (source_id,) = source_ids
    path = plan.outputs[source_id]
    return SinkSettings(
        source_id=source_id,
        video=None if path is None else _video(plan, plan.infos[source_id], path),
        results_path=plan.results[source_id],
        class_names=plan.manifest.class_names,
        opener=plan.options.replaced.get("writer"),
    )


def _video(plan: Plan, info: SourceInfo, path: str) -> VideoSettings:
    return VideoSettings(
        path=path,
        width=info.width,
        height=info.height,
        time_base=info.time_base,
        frame_rate=info.frame_rate,
        color_range=info.color_range,
        color_matrix=info.color_matrix,
        audio_from=info.uri if info.has_audio else None,
        preset=plan.options.codec.preset,
        crf=plan.options.codec.crf,
        threads=plan.threads.encoder,
    )


_SETTINGS: dict[str, Callable[[Plan, tuple[int, ...]], Any]] = {
    "capture": _capture,
    "infer": _infer,
    "overlay": _overlay,
    "sink": _sink,
}
