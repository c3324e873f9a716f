"""An engine in one backend beside the other: the graph alone, on the same threads.

Each backend works in a process of its own, since threads of one that wait by spinning would take
the cores from the next. They take turns, round after round, so that what else the machine does
meets all of them alike.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from rich.table import Table

from maskstream.engines import Engine, open_engine, read_manifest, resolve_engine
from maskstream.engines.limits import Precision
from maskstream.stream.processes.machine import available_cores
from maskstream.tools.arguments.extras import needs_training_parts
from maskstream.tools.measuring.tables import table

OURS = "openvino"
_NETWORKS = {"person": "yolact-light"}
"""Shipped engine -> the network that it was exported from. PyTorch gets it with random weights:
its time does not depend on them."""
_BATCHES_A_TURN = 5
_REST_S = 0.1
"""Before a turn, for threads that still spin to go to sleep."""
_TURN_S = 600.0
"""The longest that a turn may take, the opening included."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way of running the graph.

    Attributes:
        backend: Of `engines.open_engine`; "torch" is eager PyTorch.
        precision: None for what the backend takes by itself.
    """

    backend: str
    precision: Precision | None = None

    @property
    def name(self) -> str:
        """What tables call it."""
        return self.backend if self.precision is None else f"{self.backend}, {self.precision}"


@dataclass(frozen=True, slots=True)
class WayFigures:
    """What a way costs a frame: medians of the rounds."""

    name: str
    precision: str
    batch: int
    wall_ms: float
    cpu_ms: float
    """Processor time of all threads."""
    ratios: tuple[float, ...]
    """Its wall time over OpenVINO's, each round by itself; ones for OpenVINO."""

    @property
    def ratio(self) -> float:
        """Median of the rounds' ratios."""
        return statistics.median(self.ratios)


def measure_backends(
    engine: str, *, rounds: int, batches: Sequence[int] = (1, 8)
) -> list[WayFigures]:
    """Return each way's figures, for each size of batches.

    Args:
        engine: Path or name; PyTorch takes part where its network is known.
    """
    ways = [Way(OURS), Way(OURS, "fp32"), Way("onnxruntime")]
    if engine in _NETWORKS:
        ways.append(Way("torch"))
    return [row for batch in batches for row in _measure(engine, ways, batch, rounds)]


def backends_table(rows: Sequence[WayFigures]) -> Table:
    """Return the figures as they are shown."""
    made = table(
        f"the graph alone on {available_cores()} threads, a frame",
        ("", "computes in", "batch", "wall ms", "CPU ms", "openvino is faster by", "each round"),
    )
    for row in rows:
        each = "" if row.name == OURS else ", ".join(f"{ratio:.2f}" for ratio in row.ratios)
        times = "" if row.name == OURS else f"{row.ratio:.2f} x"
        wall, cpu = f"{row.wall_ms:.1f}", f"{row.cpu_ms:.1f}"
        made.add_row(row.name, row.precision, str(row.batch), wall, cpu, times, each)
    return made


@dataclass(frozen=True, slots=True)
class _Turn:
    precision: str
    wall_ms: float
    cpu_ms: float


def _measure(engine: str, ways: Sequence[Way], batch: int, rounds: int) -> list[WayFigures]:
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        workers = [
            stack.enter_context(
                ProcessPoolExecutor(
                    1, mp_context=context, initializer=_open, initargs=(engine, way, batch)
                )
            )
            for way in ways
        ]
        turns: list[list[_Turn]] = [[] for _ in ways]
        for number in range(rounds + 1):
            for worker, taken in zip(workers, turns, strict=True):
                turn = worker.submit(_turn, batch).result(_TURN_S)
                if number:  # the first opens what is opened late
                    taken.append(turn)
    ours = [turn.wall_ms for turn in turns[0]]
    return [
        WayFigures(
            name=way.name,
            precision=taken[0].precision,
            batch=batch,
            wall_ms=statistics.median(turn.wall_ms for turn in taken),
            cpu_ms=statistics.median(turn.cpu_ms for turn in taken),
            ratios=tuple(turn.wall_ms / one for turn, one in zip(taken, ours, strict=True)),
        )
        for way, taken in zip(ways, turns, strict=True)
    ]


_opened: list[Engine] = []
"""In a worker's process: the engine that it holds."""


def _open(engine: str, way: Way, batch: int) -> None:
    """Open a way in a worker's process."""
    threads = available_cores()
    if way.backend != "torch":
        opened = open_engine(
            engine, backend=way.backend, precision=way.precision, threads=threads, batch=batch
        )
    else:
        opened = _eager(engine, threads)
    _opened.append(opened)


def _eager(engine: str, threads: int) -> Engine:
    """Return an engine's network in PyTorch, as PyTorch runs it."""
    with needs_training_parts("bench"):
        import torch

        from maskstream.engines.networks.yolact.detect import YolactDetector
        from maskstream.engines.networks.yolact.network import Yolact
        from maskstream.engines.runtimes.torch_backend import TorchBackend
        from maskstream.train.yolact.recipe import YolactRecipe
    torch.set_num_threads(threads)
    manifest = read_manifest(resolve_engine(engine))
    config = YolactRecipe.choose_config(
        _NETWORKS[engine], class_count=len(manifest.class_names), input_size=manifest.input_size
    )
    torch.manual_seed(0)
    return Engine(TorchBackend(YolactDetector(Yolact(config)), manifest.input_size), manifest)


def _turn(batch: int) -> _Turn:
    """Return the time of a frame: the median of some batches."""
    time.sleep(_REST_S)
    (engine,) = _opened
    side = engine.manifest.input_size
    frames = np.random.default_rng(batch).integers(0, 256, (batch, side, side, 3), np.uint8)
    walls_ms, cpus_ms = [], []
    for _ in range(_BATCHES_A_TURN):
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        engine.infer(frames)
        walls_ms.append(1e3 * (time.perf_counter() - wall_s) / batch)
        cpus_ms.append(1e3 * (time.process_time() - cpu_s) / batch)
    return _Turn(engine.precision, statistics.median(walls_ms), statistics.median(cpus_ms))
