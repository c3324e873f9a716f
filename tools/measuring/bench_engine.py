"""What an engine costs by batch size: its model, what comes before and after, the whole line.

Batch sizes take turns, round after round, so that what else the machine does meets all of them
alike. What a runtime does only at first is not in any figure.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from maskstream.engines.engine import Engine
from maskstream.engines.interface.fit import FitKind
from maskstream.stream.delivery import parse_deliveries
from maskstream.stream.memory.frame import Planes, planes_of
from maskstream.stream.memory.source_info import SourceInfo
from maskstream.stream.options import RunOptions, RuntimeOptions
from maskstream.stream.pixels.crops import PlanesPicture
from maskstream.stream.pixels.scaling import network_input
from maskstream.stream.sources.open import open_source
from maskstream.stream.supervision.supervisor import run_pipeline
from maskstream.tools.arguments.engine_choice import EngineChoice
from maskstream.tools.measuring.timing import one_opencv_thread

WARM_UP_BATCHES = 2
_FRAMES_HELD = 64
_FRAMES_A_TURN = 32
_BATCHES_A_TURN = 4


@dataclass(frozen=True, slots=True)
class Quartiles:
    """Of values that were measured: half of them lie between the outer two."""

    p25: float
    p50: float
    p75: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Return the quartiles of at least one value."""
        p25, p50, p75 = (float(value) for value in np.percentile(values, (25, 50, 75)))
        return cls(p25, p50, p75)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchFigures:
    """One size of batches."""

    batch: int
    pre_ms: Quartiles
    """Of a frame: from its planes to the network's input."""
    model_ms: Quartiles
    """Of a batch: the graph, with its decoding and NMS."""
    post_ms: Quartiles
    """Of a frame: from the graph's rows to instances."""
    line_fps: Quartiles
    """Of the whole line, decoding and encoding included; of the rounds."""
    line_latency_ms: Quartiles
    """From a frame's capture to its delivery: of the rounds' medians."""

    @property
    def model_fps(self) -> float:
        """Frames a second of the model alone."""
        return 1e3 * self.batch / self.model_ms.p50

    @property
    def other_share(self) -> float:
        """Share of a frame's time here that is not the model's, in [0, 1]."""
        other_ms = self.pre_ms.p50 + self.post_ms.p50
        return other_ms / (other_ms + self.model_ms.p50 / self.batch)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFigures:
    """One engine in one runtime, on one clip."""

    engine: str
    backend: str
    device: str
    precision: str
    input_size: int
    clip: str
    frame_size: tuple[int, int]
    """Width and height, in pixels."""
    batches: tuple[BatchFigures, ...]


@dataclass(slots=True)
class _Samples:
    """What was measured of one size of batches."""

    pre_ms: list[float] = field(default_factory=list)
    model_ms: list[float] = field(default_factory=list)
    post_ms: list[float] = field(default_factory=list)
    line_fps: list[float] = field(default_factory=list)
    line_latency_ms: list[float] = field(default_factory=list)


def measure_engine(
    choice: EngineChoice, clip: Path, batches: Sequence[int], *, rounds: int, frame_count: int
) -> EngineFigures:
    """Return what an engine costs.

    Args:
        batches: Frames that go through the network at once, each measured by itself.
        rounds: That each is measured in.
        frame_count: Frames of the clip that go through the line.
    """
    info, frames = decoded(clip)
    samples = {batch: _Samples() for batch in batches}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="maskstream-bench-")))
        stack.enter_context(one_opencv_thread())
        opened = {batch: stack.enter_context(choice.open(batch=batch)) for batch in batches}
        for batch, engine in opened.items():
            for _ in range(WARM_UP_BATCHES):
                _measure_batch(engine, frames[:1] * batch, info, _Samples())
        for _ in range(rounds):
            for batch, engine in opened.items():
                _measure_turn(engine, frames, info, batch, samples[batch])
            for batch in batches:
                _measure_line(choice, clip, batch, frame_count, folder, samples[batch])
        first = opened[batches[0]]
        return EngineFigures(
            engine=choice.engine,
            backend=first.backend,
            device=first.device,
            precision=first.precision,
            input_size=first.manifest.input_size,
            clip=clip.name,
            frame_size=(info.width, info.height),
            batches=tuple(_figures(batch, samples[batch]) for batch in batches),
        )


def _figures(batch: int, samples: _Samples) -> BatchFigures:
    return BatchFigures(
        batch=batch,
        pre_ms=Quartiles.of(samples.pre_ms),
        model_ms=Quartiles.of(samples.model_ms),
        post_ms=Quartiles.of(samples.post_ms),
        line_fps=Quartiles.of(samples.line_fps),
        line_latency_ms=Quartiles.of(samples.line_latency_ms),
    )


def _measure_turn(
    engine: Engine, frames: Sequence[Planes], info: SourceInfo, batch: int, samples: _Samples
) -> None:
    """Measure a few batches of the frames that are held."""
    count = max(_BATCHES_A_TURN, _FRAMES_A_TURN // batch)
    for start in range(count):
        part = [frames[(start * batch + row) % len(frames)] for row in range(batch)]
        _measure_batch(engine, part, info, samples)


def _measure_batch(
    engine: Engine, part: Sequence[Planes], info: SourceInfo, samples: _Samples
) -> None:
    """Take the times of one batch, step by step, as the line's second stage goes through it."""
    batch = len(part)
    side, fit = engine.manifest.input_size, engine.manifest.fit
    inputs: NDArray[np.uint8] = np.empty((batch, side, side, 3), np.uint8)
    clock = _Clock()
    write_inputs(part, info, inputs, fit)
    samples.pre_ms.append(clock.lap_ms() / batch)
    sizes_px = [(info.width, info.height)] * batch
    outputs = engine.infer(inputs, engine.wanted(sizes_px))
    samples.model_ms.append(clock.lap_ms())
    pictures = [PlanesPicture(planes, info.color_range, info.color_matrix) for planes in part]
    engine.assemble(outputs, sizes_px, pictures=pictures)
    samples.post_ms.append(clock.lap_ms() / batch)


class _Clock:
    """Milliseconds between one call and the next."""

    def __init__(self) -> None:
        self._last_ns = time.perf_counter_ns()

    def lap_ms(self) -> float:
        now_ns = time.perf_counter_ns()
        elapsed_ms = (now_ns - self._last_ns) / 1e6
        self._last_ns = now_ns
        return elapsed_ms


def _measure_line(
    choice: EngineChoice, clip: Path, batch: int, frame_count: int, folder: Path, samples: _Samples
) -> None:
    """Send the clip through the whole line once."""
    options = RunOptions(
        sources=(str(clip),),
        engine=choice.engine,
        runtime=RuntimeOptions(backend=choice.backend, precision=choice.precision),
        batch=batch,
        deliveries=parse_deliveries([str(folder / "line.mp4")]),
        max_frames=frame_count,
    )
    result = run_pipeline(options, on_event=lambda _: None, on_tick=lambda _: None)
    figures = result.figures
    if result.exit_code or figures.latency_ms.p50 is None:
        raise RuntimeError(f"{clip}: the line delivered {figures.frames}; {result.message}")
    samples.line_fps.append(figures.frames.delivered / figures.wall_s)
    samples.line_latency_ms.append(figures.latency_ms.p50)


def write_inputs(
    part: Sequence[Planes], info: SourceInfo, out: NDArray[np.uint8], fit: FitKind
) -> None:
    """Scale frames into ``out``, the network's (B, S, S, 3) input."""
    for row, planes in zip(out, part, strict=True):
        network_input(
            planes, row, color_range=info.color_range, color_matrix=info.color_matrix, fit=fit
        )


def decoded(clip: Path) -> tuple[SourceInfo, list[Planes]]:
    """Return the clip's first frames, held in memory."""
    frames: list[Planes] = []
    with closing(open_source(str(clip), threads=1)) as source:
        info = source.info
        for frame in islice(source.frames(), _FRAMES_HELD):
            pixels = np.empty(info.width * info.height * 3 // 2, np.uint8)
            frames.append(planes_of(pixels, info.width, info.height))
            frame.write_into(frames[-1])
    return info, frames
