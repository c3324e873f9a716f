"""What a run will be, worked out and checked before anything is started or allocated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from maskstream.engines import read_manifest, resolve_engine
from maskstream.engines.errors import EngineError
from maskstream.engines.files.manifest import Manifest
from maskstream.engines.limits import MAX_TOP_K
from maskstream.errors import ConfigError
from maskstream.stream.addresses.redact import shown
from maskstream.stream.arguments import Policy
from maskstream.stream.codecs.encoding import EncoderSettings
from maskstream.stream.codecs.hardware import CPU_ENCODER, Choice, choose
from maskstream.stream.delivery import HLS_SUFFIX
from maskstream.stream.memory.slot import SlotLayout
from maskstream.stream.memory.source_info import SourceInfo
from maskstream.stream.options import RunOptions
from maskstream.stream.pixels.painter import DrawStyle
from maskstream.stream.processes.machine import ThreadBudget, available_cores, share_threads
from maskstream.stream.processes.substitute import substitute
from maskstream.stream.sources.live_open import is_live
from maskstream.stream.sources.live_start import find_live
from maskstream.stream.stages.capture import CaptureSettings, open_reader
from maskstream.stream.stages.following import FollowSettings
from maskstream.stream.stages.infer import InferSettings
from maskstream.stream.stages.overlay import OverlaySettings
from maskstream.stream.stages.sink import SinkSettings, VideoSettings
from maskstream.stream.supervision.chaos import Chaos, parse_chaos
from maskstream.stream.supervision.deliveries import SourceDeliveries, deliveries_of
from maskstream.stream.tracking.options import TrackOptions

FILE_BATCH = 8
LIVE_BATCH = 1
UNSURE_ROWS = 25
"""Instances below the threshold that tracking gets of a frame, to continue tracks with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A run that can be started."""

    options: RunOptions
    engine_path: str
    manifest: Manifest
    infos: tuple[SourceInfo, ...]
    """By source id."""
    deliveries: tuple[SourceDeliveries, ...]
    """By source id."""
    slot_count: int
    threads: ThreadBudget
    decoder: Choice | None
    """Of video files; None where there are none."""
    encoder: Choice | None
    """Of recordings; None where there are none."""
    names: tuple[str, ...]
    """What people call the sources, by source id; without passwords."""
    is_watched: bool
    """Whether a source is live or somebody looks on: frames are wanted one by one."""
    restarts: bool
    """Whether a stage that dies is started anew."""
    chaos: Chaos

    def layout(self, source_id: int) -> SlotLayout:
        """Returns where things lie in the slots of ``source_id``."""
        info = self.infos[source_id]
        return SlotLayout(info.width, info.height, self.row_count, self.manifest.patch_px)

    @property
    def track(self) -> TrackOptions | None:
        """How objects are followed; None where they are not."""
        if not self.options.track:
            return None
        wanted = self.options.score_min
        return TrackOptions.of(self.manifest.score_min if wanted is None else wanted)

    @property
    def row_count(self) -> int:
        """Most instances that the network hands on: tracking also takes unsure ones."""
        extra = 0 if self.track is None else UNSURE_ROWS
        return min(self.options.top_k + extra, MAX_TOP_K)

    def policy(self, source_id: int) -> Policy:
        """Return what capture does with a frame of a source while no slot is free."""
        usual: Policy = "latest" if self.infos[source_id].kind == "live" else "block"
        return self.options.of(source_id).policy or self.options.policy or usual

    def delay(self, source_id: int) -> int:
        """Return how many frames overlay holds back, to fill gaps between two sightings."""
        is_live = self.infos[source_id].kind == "live" or self.is_watched
        return 0 if self.track is None or is_live else self.track.hold_frames

    def pool_bytes(self) -> int:
        """Returns the shared memory of all pools."""
        sources = range(len(self.infos))
        return sum(self.layout(source_id).slot_bytes * self.slot_count for source_id in sources)

    def frame_total(self) -> int | None:
        """Returns how many frames are to be expected, None where a source does not say."""
        total = 0
        for source_id, info in enumerate(self.infos):
            limit = self.options.of(source_id).max_frames or self.options.max_frames
            known = [count for count in (info.frame_count, limit) if count is not None]
            if not known:
                return None
            total += min(known)
        return total

    def encoder_settings(
        self, source_id: int, time_base: Fraction | None = None
    ) -> EncoderSettings:
        """Returns how the frames of ``source_id`` are encoded; None keeps the source's pts."""
        codec = self.options.codec
        return EncoderSettings.of(
            self.infos[source_id],
            time_base=time_base,
            preset=codec.preset,
            crf=codec.crf,
            threads=self.threads.encoder,
            encoder=CPU_ENCODER if self.encoder is None else self.encoder.name,
        )

    def codecs(self) -> str:
        """Returns a line on what decodes and encodes, and why; empty where nothing does."""
        chosen = {"decoder": self.decoder, "encoder": self.encoder}
        lines = (f"{kind} {one.name} ({one.reason})" for kind, one in chosen.items() if one)
        return ", ".join(lines)

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
    deliveries = deliveries_of(options)
    chaos = Chaos() if options.chaos is None else parse_chaos(options.chaos)
    infos = _describe_sources(options, on_note)
    has_live = any(info.kind == "live" for info in infos)
    # Batches come in bursts, which is no matter to a file and a nuisance to who looks on.
    is_watched = has_live or any(own.viewers for own in deliveries)
    return Plan(
        options=options,
        engine_path=engine_path,
        manifest=manifest,
        infos=infos,
        deliveries=deliveries,
        slot_count=options.slots or _default_slots(options, is_watched=is_watched),
        is_watched=is_watched,
        threads=threads,
        decoder=_decoder(options, infos),
        encoder=_encoder(options, deliveries),
        names=_names(options),
        restarts=has_live if options.restarts is None else options.restarts,
        chaos=chaos,
    )


def _decoder(options: RunOptions, infos: Sequence[SourceInfo]) -> Choice | None:
    has_files = "source" not in options.replaced and any(info.kind == "file" for info in infos)
    return choose("decoder", options.codec.decoder) if has_files else None


def _encoder(options: RunOptions, deliveries: Sequence[SourceDeliveries]) -> Choice | None:
    paths = [path for own in deliveries for path in own.videos]
    if "writer" in options.replaced or not paths:
        return None
    wish = options.codec.encoder
    playlist = next((path for path in paths if path.lower().endswith(HLS_SUFFIX)), None)
    if playlist is not None and wish.startswith("hevc"):
        raise ConfigError(f"{playlist}: web players do not play {wish}; use an encoder of H.264.")
    return choose("encoder", wish)


def _names(options: RunOptions) -> tuple[str, ...]:
    named = [options.of(i).name or shown(uri) for i, uri in enumerate(options.sources)]
    return tuple(
        name if named.count(name) == 1 else f"{name} ({number})"
        for number, name in enumerate(named)
    )


def _find_engine(options: RunOptions) -> tuple[str, Manifest]:
    if options.manifest is not None:
        return options.engine, options.manifest
    opener = options.replaced.get("engine")
    if opener is not None:
        manifest: Manifest = substitute(opener)(options.engine, threads=1).manifest
        return options.engine, manifest
    try:
        path = resolve_engine(options.engine)
        return str(path), read_manifest(path, options.runtime.family)
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


def _default_slots(options: RunOptions, *, is_watched: bool) -> int:
    batch = options.batch or (LIVE_BATCH if is_watched else FILE_BATCH)
    held = TrackOptions().hold_frames if options.track and not is_watched else 0
    # One batch in the engine, the next one filling, one frame in each other stage's hands, and
    # those that tracking holds back.
    return 2 * batch + 3 + held


def _capture(plan: Plan, source_ids: tuple[int, ...]) -> CaptureSettings:
    (source_id,) = source_ids
    info, uri = plan.infos[source_id], plan.options.sources[source_id]
    own = plan.options.of(source_id)
    policy = plan.policy(source_id)
    is_fresh = info.kind == "live" and policy == "latest"
    return CaptureSettings(
        uri=uri,
        source_id=source_id,
        info=info if _is_live(plan.options, uri) else None,
        live=own.live or plan.options.live,
        policy=policy,
        ahead_max=(plan.options.batch or LIVE_BATCH) if is_fresh else None,
        max_frames=own.max_frames or plan.options.max_frames,
        threads=plan.threads.decoder,
        decoder=None if plan.decoder is None else plan.decoder.name,
        damage_share=plan.chaos.damage_share,
        opener=plan.options.replaced.get("source"),
    )


def _infer(plan: Plan, source_ids: tuple[int, ...]) -> InferSettings:
    options = plan.options
    live = frozenset(i for i in source_ids if plan.infos[i].kind == "live")
    return InferSettings(
        engine=plan.engine_path,
        runtime=options.runtime,
        threads=plan.threads.engine,
        batch=options.batch or (LIVE_BATCH if plan.is_watched else None),
        # A batch of all slots would leave none to decode into meanwhile.
        batch_limit=max(1, (plan.slot_count - 1) * len(source_ids)),
        live_sources=live,
        shares={i: share for i in source_ids if (share := options.of(i).batch_share) is not None},
        deadline_s=options.times.batch_deadline_s,
        score_min=options.score_min if plan.track is None else plan.track.score_continue,
        top_k=plan.row_count,
        class_ids=options.class_ids,
        max_crops=options.max_crops,
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
        follow=None if plan.track is None else _follow(plan, plan.track, source_ids[0]),
    )


def _follow(plan: Plan, track: TrackOptions, source_id: int) -> FollowSettings:
    return FollowSettings(
        track=track,
        width=plan.infos[source_id].width,
        height=plan.infos[source_id].height,
        delay=plan.delay(source_id),
        top_k=plan.options.top_k,
        first_id=source_id + 1,
        id_step=len(plan.infos),
    )


def _sink(plan: Plan, source_ids: tuple[int, ...]) -> SinkSettings:
    (source_id,) = source_ids
    own = plan.deliveries[source_id]
    return SinkSettings(
        source_id=source_id,
        videos=tuple(_video(plan, source_id, path) for path in own.videos),
        results_paths=own.results,
        endpoints=own.endpoints,
        encoding=plan.options.results_encoding,
        class_names=plan.manifest.class_names,
        opener=plan.options.replaced.get("writer"),
    )


def _video(plan: Plan, source_id: int, path: str) -> VideoSettings:
    info = plan.infos[source_id]
    return VideoSettings(
        path=path,
        segment=plan.options.segment,
        encoder=plan.encoder_settings(source_id),
        audio_from=info.uri if info.has_audio else None,
    )


_SETTINGS: dict[str, Callable[[Plan, tuple[int, ...]], Any]] = {
    "capture": _capture,
    "infer": _infer,
    "overlay": _overlay,
    "sink": _sink,
}
