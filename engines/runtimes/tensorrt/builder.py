"""Build an engine from an ONNX graph, with TensorRT or TensorRT for RTX."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskstream.engines.errors import BackendError
from maskstream.engines.runtimes.tensorrt.flavors import Flavor

_WAIT_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSettings:
    """What an engine is built for.

    Attributes:
        batches: Batch sizes, rising: the smallest and the largest that it has to run, and the last
            but one (or the only one) that it is tuned for.
        sm: Compute capability such as "sm89"; None builds for the GPU of this machine.
        workspace_bytes: Most GPU memory that a layer may take for itself; 0 for no limit.
        timing_cache: File that keeps what was measured, so that the next build is quicker.
    """

    batches: tuple[int, ...]
    sm: str | None = None
    workspace_bytes: int = 0
    timing_cache: Path | None = None


def ahead_targets(flavor: Flavor) -> tuple[str, ...]:
    """Return the capabilities a flavor can build for without such a GPU, such as ("sm89",)."""
    if not flavor.builds_ahead:
        return ()
    members = flavor.load().ComputeCapability.__members__
    return tuple(name.lower() for name in members if name.startswith("SM"))


def build_plan(
    onnx_bytes: bytes,
    flavor: Flavor,
    settings: BuildSettings,
    *,
    subject: str,
    watch: Callable[[float, str], None] = lambda share, phase: None,
) -> bytes:
    """Return an engine; Ctrl-C ends the build.

    Args:
        onnx_bytes: A graph of one input, whose only dynamic side is the batch, if any.
        subject: What is built, as errors call it.
        watch: Is told the share that is done, 0 to 1, and what is being done; from other threads.

    Raises:
        BackendError: The flavor is not installed, cannot build for ``sm``, or refuses the graph.
        KeyboardInterrupt: The user ended it.
    """
    build = _Build(flavor, settings, subject, watch)
    worker = threading.Thread(target=build.run, args=(onnx_bytes,), name="build", daemon=True)
    worker.start()
    # The builder is one call of C++ that takes minutes; the main thread stays free for Ctrl-C.
    try:
        while worker.is_alive():
            worker.join(_WAIT_S)
    except KeyboardInterrupt:
        build.cancelled.set()
        worker.join()
        raise
    return build.plan()


class _Build:
    """One build, in a thread of its own."""

    def __init__(
        self,
        flavor: Flavor,
        settings: BuildSettings,
        subject: str,
        watch: Callable[[float, str], None],
    ) -> None:
        self._trt = flavor.load()
        self._flavor = flavor
        self._settings = settings
        self._subject = subject
        self._watch = watch
        self._logger = _make_logger(self._trt)
        self._plan: bytes | None = None
        self._error: Exception | None = None
        self.cancelled = threading.Event()

    def run(self, onnx_bytes: bytes) -> None:
        try:
            self._plan = self._build(onnx_bytes)
        except Exception as exc:  # noqa: BLE001 - carried to the thread that waits
            # Else the error's frames keep the builder until the garbage collector comes. That may
            # be in the middle of a later builder's making, which holds a lock that its end takes.
            traceback.clear_frames(exc.__traceback__)
            self._error = exc

    def plan(self) -> bytes:
        """Return what was built, or raise what went wrong."""
        if self._error is not None:
            raise self._error
        assert self._plan is not None
        return self._plan

    def _build(self, onnx_bytes: bytes) -> bytes:
        trt = self._trt
        builder = trt.Builder(self._logger)
        # TensorRT 10 has to be asked for strong types; 11 and RTX know nothing else.
        strong = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
        network = builder.create_network(0 if strong is None else 1 << int(strong))
        parser = trt.OnnxParser(network, self._logger)
        if not parser.parse(onnx_bytes):
            raise BackendError(f"{self._subject}: {self._flavor.name} refuses it ({_why(parser)}).")
        config = self._config(builder, network)
        monitor = _make_monitor(trt, self._watch, self.cancelled)
        config.progress_monitor = monitor
        serialized = builder.build_serialized_network(network, config)
        if serialized is None and not self.cancelled.is_set():
            raise BackendError(
                f"{self._subject}: {self._flavor.name} cannot build it ({self._logger.last_error})."
            )
        self._keep_timings(config)
        return b"" if serialized is None else bytes(serialized)

    def _config(self, builder: Any, network: Any) -> Any:
        trt, settings = self._trt, self._settings
        config = builder.create_builder_config()
        frames = network.get_input(0)
        if frames.shape[0] == -1:
            profile = builder.create_optimization_profile()
            sides = tuple(frames.shape)[1:]
            shapes = [(size, *sides) for size in profile_batches(settings.batches)]
            profile.set_shape(frames.name, *shapes)
            config.add_optimization_profile(profile)
        if settings.workspace_bytes:
            config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, settings.workspace_bytes)
        if self._flavor.builds_ahead:
            config.num_compute_capabilities = 1
            config.set_compute_capability(self._target(), 0)
        elif settings.timing_cache is not None:
            found = settings.timing_cache
            cached = found.read_bytes() if found.is_file() else b""
            config.set_timing_cache(config.create_timing_cache(cached), False)
        return config

    def _target(self) -> Any:
        capabilities = self._trt.ComputeCapability
        if self._settings.sm is None:
            return capabilities.CURRENT
        target = getattr(capabilities, self._settings.sm.upper(), None)
        if target is None:
            known = ", ".join(ahead_targets(self._flavor))
            raise BackendError(
                f"--for: {self._flavor.name} builds ahead for {known}, not for "
                f"{self._settings.sm!r}; for another GPU, build on its own machine without --for."
            )
        return target

    def _keep_timings(self, config: Any) -> None:
        path = self._settings.timing_cache
        if path is None or self._flavor.builds_ahead:  # which times nothing
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        partial.write_bytes(bytes(config.get_timing_cache().serialize()))
        partial.replace(path)


def profile_batches(batches: Sequence[int]) -> tuple[int, int, int]:
    """Return the smallest batch an engine runs, the one it is tuned for, and the largest.

    Every size up to the largest has to run, since the last batch of a file is short.
    """
    return 1, batches[-2] if len(batches) > 2 else batches[-1], batches[-1]


def _why(parser: Any) -> str:
    """Return the parser's first reason in its own words."""
    if parser.num_errors == 0:
        return "it is no ONNX graph"
    error = parser.get_error(0)
    return f"{error.node_operator()} {error.node_name()}: {error.desc()}".strip(" :")


def _make_logger(trt: Any) -> Any:
    class Logger(trt.ILogger):  # type: ignore[misc]
        """Keeps the last error instead of writing to the terminal."""

        def __init__(self) -> None:
            super().__init__()
            self.last_error = "it gives no reason"

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
                self.last_error = " ".join(message.split())

    return Logger()


def _make_monitor(trt: Any, watch: Callable[[float, str], None], cancelled: threading.Event) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        """Turns nested phases into one share."""

        def __init__(self) -> None:
            super().__init__()
            self._phases = Phases()
            self._lock = threading.Lock()  # the builder has threads of its own

        def phase_start(self, name: str, parent: str | None, step_count: int) -> None:
            with self._lock:
                self._phases.start(name, parent, step_count)

        def step_complete(self, name: str, step: int) -> bool:
            with self._lock:
                self._phases.step(name, step)
                watch(self._phases.share(), name)
            return not cancelled.is_set()

        def phase_finish(self, name: str) -> None:
            with self._lock:
                self._phases.finish(name)

    return Monitor()


class Phases:
    """The share of a build that is done, from phases of which one can be a step of another."""

    def __init__(self) -> None:
        self._parents: dict[str, str | None] = {}
        self._done: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._largest = 0.0

    def start(self, name: str, parent: str | None, step_count: int) -> None:
        """Begin a phase of so many steps."""
        self._parents[name], self._done[name], self._counts[name] = parent, 0.0, max(step_count, 1)

    def step(self, name: str, step: int) -> None:
        """Count a step, numbered from 0, as done."""
        self._done[name] = step + 1.0

    def finish(self, name: str) -> None:
        """End a phase, whether or not all of its steps were told."""
        for store in (self._parents, self._done, self._counts):
            store.pop(name, None)

    def share(self) -> float:
        """Return what is done, 0 to 1; it never falls."""
        roots = [name for name, parent in self._parents.items() if parent not in self._parents]
        self._largest = max([self._largest, *map(self._share_of, roots)])
        return self._largest

    def _share_of(self, name: str) -> float:
        inner = [self._share_of(child) for child, parent in self._parents.items() if parent == name]
        return min(1.0, (self._done[name] + max(inner, default=0.0)) / self._counts[name])
