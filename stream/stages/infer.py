"""The second stage: frames of all sources through one engine, several at a time.

Frames wait in a deadline batcher (``stream.stages.batcher``) until a batch is due. The network's
input is scaled straight from each slot's planes, and what was found is written back into the slot.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskstream.engines import open_engine
from maskstream.engines.engine import Engine, Frames
from maskstream.engines.errors import EngineError
from maskstream.engines.interface.instances import Instances
from maskstream.engines.interface.planar_frame import PlanarFrame
from maskstream.engines.limits import MAX_CROPS
from maskstream.errors import ConfigError
from maskstream.stream.memory.channel import Kind
from maskstream.stream.memory.slot import Slot
from maskstream.stream.options import RuntimeOptions
from maskstream.stream.pixels.crops import PlanesPicture
from maskstream.stream.pixels.scaling import network_input, rgb_matrix
from maskstream.stream.processes.substitute import substitute
from maskstream.stream.stages.batcher import Batcher
from maskstream.stream.stages.stage import IDLE_S, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class InferSettings:
    """What infer is started with."""

    engine: str
    """Path of the engine file."""
    runtime: RuntimeOptions
    threads: int
    batch: int | None
    """Most frames in a batch; None takes what the engine prefers."""
    batch_limit: int
    """Most frames that can come together at all, by the number of slots."""
    live_sources: frozenset[int]
    """Sources whose frames come at their own pace."""
    shares: Mapping[int, int]
    """Most frames of a source in a batch, for sources that have such a limit."""
    deadline_s: float
    score_min: float | None
    top_k: int
    class_ids: frozenset[int] | None
    max_crops: int = MAX_CROPS
    """Most boxes of a batch that an engine of two stages masks."""
    opener: str | None = None
    """``package.module:function`` instead of ``engines.open_engine``, with its arguments."""


def run(stage: Stage, settings: InferSettings) -> None:
    """Run every frame through the engine until all sources have ended."""
    with closing(_open_engine(settings)) as engine:
        batch_max = min(settings.batch or engine.preferred_batch, settings.batch_limit)
        worker = _Worker(stage, engine, settings, batch_max)
        worker.warm_up()
        stage.ready(
            {
                "backend": engine.backend,
                "device": engine.device,
                "precision": engine.precision,
                "reason": engine.reason,
                "batch": batch_max,
            }
        )
        inbox = _Inbox(stage, settings, batch_max)
        while (batch := inbox.next_batch()) is not None:
            worker.work(batch)
            inbox.end_finished()
        worker.tell_left_out()


def _open_engine(settings: InferSettings) -> Engine:
    opener = open_engine if settings.opener is None else substitute(settings.opener)
    runtime = settings.runtime
    try:
        engine: Engine = opener(
            settings.engine,
            backend=runtime.backend,
            device=runtime.device,
            precision=runtime.precision,
            require_gpu=runtime.require_gpu,
            family=runtime.family,
            threads=settings.threads,
            batch=settings.batch,
        )
    except EngineError as exc:
        raise ConfigError(str(exc)) from exc
    return engine


class _Inbox:
    """Slots that have come in and wait for a batch."""

    def __init__(self, stage: Stage, settings: InferSettings, batch_max: int) -> None:
        self._stage = stage
        setup = stage.setup
        lanes = range(len(setup.source_ids))
        self._batcher: Batcher[Slot] = Batcher(
            {lane: setup.source_ids[lane] in settings.live_sources for lane in lanes},
            batch_max=batch_max,
            per_source_max={
                lane: settings.shares[setup.source_ids[lane]]
                for lane in lanes
                if setup.source_ids[lane] in settings.shares
            },
            deadline_s=settings.deadline_s,
        )
        self._open_lanes = set(lanes)
        self._feeding_lanes = set(lanes)

    def next_batch(self) -> list[tuple[int, Slot]] | None:
        """Returns (lane, slot) of the next batch, waiting for it; None once all have ended."""
        while True:
            for lane in list(self._feeding_lanes):
                self._take_in(lane)
            due_in_s = self._batcher.due_in_s(time.monotonic())
            if due_in_s == 0:
                self._stage.attend()
                return self._batcher.take()
            if due_in_s is None:
                self.end_finished()
                if not self._open_lanes:
                    return None
            self._stage.wait(IDLE_S if due_in_s is None else due_in_s)

    def end_finished(self) -> None:
        """End the outputs of sources that have ended and have no frame left here."""
        for lane in list(self._open_lanes):
            if lane in self._stage.ends and not self._batcher.has_waiting(lane):
                self._open_lanes.discard(lane)
                self._stage.pass_end_on(lane)

    def _take_in(self, lane: int) -> None:
        """Take all that lies ready on ``lane``."""
        while (message := self._stage.receive(lane)) is not None:
            if message.kind == Kind.END:
                self._feeding_lanes.discard(lane)
                self._batcher.end(lane)
                return
            slot = self._stage.setup.pools[lane].slot(message.slot)
            self._batcher.add(lane, slot, time.monotonic())


class _Worker:
    """The engine with its input buffer."""

    def __init__(
        self, stage: Stage, engine: Engine, settings: InferSettings, batch_max: int
    ) -> None:
        self._stage = stage
        self._engine = engine
        self._settings = settings
        # What an opener gives need not have this.
        self._takes_planes = getattr(engine, "takes_planes", False)
        side = engine.manifest.input_size
        self._frames: NDArray[np.uint8] = np.zeros((batch_max, side, side, 3), np.uint8)

    def warm_up(self) -> None:
        """Run once, so that what a runtime puts off to its first batch is not in any figure."""
        self._detect(self._frames, [(64, 64)] * len(self._frames), [])

    def work(self, batch: list[tuple[int, Slot]]) -> None:
        """Find the instances of ``batch`` and give its slots on."""
        begun_ns = time.monotonic_ns()
        self._stage.page.begin(batch[0][1].header.sequence, begun_ns)
        self._stage.page.count_batch(len(batch))
        for _, slot in batch:
            self._stage.take(slot, begun_ns)
        if not self._takes_planes:
            for frame, (_, slot) in zip(self._frames, batch, strict=False):
                self._scale(slot, frame)
        self._find(batch)
        work_ns = (time.monotonic_ns() - begun_ns) // len(batch)
        for lane, slot in batch:
            self._stage.give(slot, lane, work_ns=work_ns)
        self._stage.page.rest(time.monotonic_ns())

    def _scale(self, slot: Slot, out: NDArray[np.uint8]) -> None:
        header = slot.header
        network_input(
            slot.planes,
            out,
            color_range=header.color_range,
            color_matrix=header.color_matrix,
            fit=self._engine.manifest.fit,
        )

    def _find(self, batch: list[tuple[int, Slot]]) -> None:
        sizes_px = [(slot.layout.width, slot.layout.height) for _, slot in batch]
        slots = [slot for _, slot in batch]
        frames = _as_they_came(slots) if self._takes_planes else self._frames[: len(batch)]
        found = self._detect(frames, sizes_px, slots)
        for slot, instances in zip(slots, found, strict=True):
            slot.write_instances(instances)

    def tell_left_out(self) -> None:
        """Tell how many boxes went without a mask, where any did."""
        count = self._engine.left_out_count if self._engine.manifest.crop_px else 0
        if count:
            self._stage.note(
                f"infer: {count} boxes were left out, the least likely of batches with more than "
                f"{self._settings.max_crops}; raise --max-crops to keep them."
            )

    def _detect(
        self, frames: Frames, sizes_px: list[tuple[int, int]], slots: list[Slot]
    ) -> list[Instances]:
        whole: dict[str, Any] = {}
        if slots and self._engine.manifest.crop_px is not None:  # it looks at the frames themselves
            pictures = [
                PlanesPicture(slot.planes, slot.header.color_range, slot.header.color_matrix)
                for slot in slots
            ]
            whole = {"pictures": pictures, "max_crops": self._settings.max_crops}
        return self._engine.detect(
            frames,
            sizes_px,
            score_min=self._settings.score_min,
            top_k=self._settings.top_k,
            class_ids=self._settings.class_ids,
            **whole,
        )


def _as_they_came(slots: list[Slot]) -> list[PlanarFrame]:
    """Return what lies in the slots, for a backend that scales on its device."""
    return [
        PlanarFrame(
            slot.pixels,
            slot.layout.width,
            slot.layout.height,
            rgb_matrix(slot.header.color_range, slot.header.color_matrix),
        )
        for slot in slots
    ]
