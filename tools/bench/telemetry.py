"""What the figures cost: the same run with every publisher on and with none, in turn.

On means: figures published with ZeroMQ and served over HTTP, and somebody who listens to the first
and asks ``/metrics`` and ``/status`` every second, on the same cores.
"""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from maskstream.stream.options import RunOptions
from maskstream.stream.processes.process import apart_from_caller
from maskstream.stream.supervision.supervisor import run_pipeline
from maskstream.stream.telemetry.service import TelemetryOptions, TelemetryService
from maskstream.stream.telemetry.snapshot import Event, RunResult
from maskstream.tools.bench.live.audience import attend

_START_S = 30.0


@dataclass(frozen=True, slots=True)
class TelemetryCost:
    """Both ways of one run."""

    off_fps: float
    """Median of the rounds."""
    on_fps: float
    """Median of the rounds."""
    ratios: tuple[float, ...]
    """``on`` over ``off``, each round by itself."""
    off_cpu_ms_per_s: float
    """Processor time of the supervisor's process, per second of the run; median."""
    on_cpu_ms_per_s: float
    """The same with all telemetry on."""

    @property
    def cost(self) -> float:
        """Share of the throughput that the figures take: 0 is nothing; noise makes it negative."""
        return 1 - statistics.median(self.ratios)


def measure_telemetry(options: RunOptions, *, rounds: int) -> TelemetryCost:
    """Return what a run costs both ways. To be called from the main thread.

    Args:
        options: The run; one that takes some seconds, as figures go out once a second.
        rounds: Each does both ways, in turn one and then the other first.

    Raises:
        RuntimeError: A run did not end well.
    """
    taken: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    for number in range(rounds):
        for is_on in (False, True) if number % 2 == 0 else (True, False):
            taken[is_on].append(_run(options, is_on=is_on))
    pairs = zip(taken[True], taken[False], strict=True)
    return TelemetryCost(
        off_fps=statistics.median(fps for fps, _ in taken[False]),
        on_fps=statistics.median(fps for fps, _ in taken[True]),
        ratios=tuple(on[0] / off[0] for on, off in pairs),
        off_cpu_ms_per_s=statistics.median(cpu for _, cpu in taken[False]),
        on_cpu_ms_per_s=statistics.median(cpu for _, cpu in taken[True]),
    )


def _run(options: RunOptions, *, is_on: bool) -> tuple[float, float]:
    """Return frames a second, and the supervisor's processor time in ms a second."""
    with ExitStack() as stack:
        telemetry = (
            stack.enter_context(_everything())
            if is_on
            else TelemetryService(TelemetryOptions(), tell=_ignore)
        )
        before_s = _cpu_s()
        result = run_pipeline(options, on_event=_ignore, on_tick=telemetry.show)
        cpu_s = _cpu_s() - before_s
    _check(result)
    return result.figures.fps, 1e3 * cpu_s / result.figures.wall_s


@contextmanager
def _everything() -> Iterator[TelemetryService]:
    """Give all telemetry, with somebody at each."""
    with tempfile.TemporaryDirectory(prefix="maskstream-bench-") as folder:
        endpoint = f"ipc://{folder}/own/figures"
        telemetry = TelemetryService(
            TelemetryOptions(telemetry=endpoint, http="127.0.0.1:0"), tell=_ignore
        )
        context = multiprocessing.get_context("spawn")
        seated, theirs = context.Pipe(duplex=False)
        audience = context.Process(
            target=attend, args=(endpoint, telemetry.url, theirs), daemon=True
        )
        try:
            with apart_from_caller():
                audience.start()
            # Until then it loads, which would be taken for the figures' cost.
            if not seated.poll(_START_S):
                raise RuntimeError("bench: the figures cannot be had; they have to answer.")
            yield telemetry
        finally:
            telemetry.close()
            audience.kill()
            audience.join()
            audience.close()
            seated.close()
            theirs.close()


def _check(result: RunResult) -> None:
    if result.exit_code:
        raise RuntimeError(f"bench: the run failed ({result.message}); it has to end well.")


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _ignore(_: Event) -> None:
    """A bench has no use for it."""
