"""Run an exported graph in OpenVINO, on the processor or on another device that it lists."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino.preprocess import PrePostProcessor

from maskstream.engines.errors import BackendError, UnavailableError
from maskstream.engines.interface.backend import (
    EVERYTHING,
    BackendOptions,
    Model,
    Outputs,
    Wanted,
    check_frames,
    closed_error,
    graph_name,
    in_parts,
)
from maskstream.engines.limits import Precision
from maskstream.engines.runtimes.measured import MeasuredChoice
from maskstream.engines.runtimes.openvino.graph import move_less
from maskstream.engines.runtimes.openvino.masks import mask_if_wanted, told
from maskstream.engines.runtimes.openvino.signal_stack import same_signal_stack

_CPU = "CPU"
_PREFERRED_BATCH = 8
_GROUP = 4
_SMALL_PX = 128
"""Crops of the second stages, not frames."""
_TRIAL_ROUNDS = 8
_TRIAL_ENOUGH_S = 1.0
_CLEARLY = 0.97
"""What is quicker by less than this may be so by chance; the likely one stays."""
_HINTS: dict[str, str] = {"fp32": "f32", "fp16": "f16", "bf16": "bf16"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement:
    """How batches are computed.

    Attributes:
        streams: Requests that run side by side.
        group: Frames that a request takes. The graph then has a static shape, for which OpenVINO
            plans its memory once and for all.
        whole: Whether a request takes the whole batch instead.
        precision: What is computed in; None leaves it to OpenVINO.
    """

    streams: int = 1
    group: int = 1
    whole: bool = False
    precision: Precision | None = None


class OpenVinoBackend:
    """One graph, compiled for a device.

    It measures in which of the device's precisions it is the quickest, and where batches come,
    whether one request for the batch, one for a few small frames or one a frame, and how many of
    these side by side. What it found is kept.

    Raises:
        UnavailableError: OpenVINO does not list the device.
        BackendError: OpenVINO refuses the graph.
    """

    name = "openvino"

    def __init__(self, model: Model, options: BackendOptions) -> None:
        self._input_size = options.input_size
        self.preferred_batch = options.batch or _PREFERRED_BATCH
        with same_signal_stack():
            try:
                self._runner: _Runner | None = _Opening(model, options).quickest()
            except RuntimeError as exc:
                reason = str(exc).strip().splitlines()[-1]
                raise BackendError(
                    f"{graph_name(model)}: OpenVINO refuses the graph ({reason})."
                ) from exc
        self.arrangement = self._runner.arrangement
        self.device = self._runner.device.lower()
        is_quantised = options.graph_precision == "int8"
        self.precision: str = "int8" if is_quantised else self._runner.precision

    def infer(self, frames: NDArray[np.uint8], wanted: Wanted = EVERYTHING) -> Outputs:
        """See `engines.interface.backend.Backend.infer`."""
        if self._runner is None:
            raise closed_error(self.name)
        check_frames(frames, self._input_size, backend=self.name)
        return self._runner.infer(frames, wanted)

    def close(self) -> None:
        """See `engines.interface.backend.Backend.close`."""
        with same_signal_stack():
            self._runner = None


class _Runner:
    """A graph, compiled for one arrangement."""

    def __init__(
        self, graph: Any, device: str, arrangement: Arrangement, options: BackendOptions
    ) -> None:
        self.arrangement = arrangement
        self.device = device
        # A compiled graph's outputs may have names of tensors that were fused into them as well.
        self._names = [output.any_name for output in graph.outputs]
        self._batch = options.batch or _PREFERRED_BATCH
        settings: dict[str, Any] = {}
        if device == _CPU:
            settings["INFERENCE_NUM_THREADS"] = options.threads
            # The other stages need the cores too; pinning makes them queue behind us.
            settings["ENABLE_CPU_PINNING"] = False
        if not device.startswith("NPU"):
            settings["NUM_STREAMS"] = arrangement.streams
        if arrangement.precision is not None:
            settings["INFERENCE_PRECISION_HINT"] = _HINTS[arrangement.precision]
        core = openvino.Core()
        if arrangement.whole:
            compiled = core.compile_model(graph, device, settings)
            self._whole = compiled.create_infer_request()
        else:
            # What is left of a batch after its groups goes through one by one.
            sizes = sorted({arrangement.group, 1}, reverse=True)
            graphs = [_of_batch(graph, size, options.input_size) for size in sizes]
            # In a branch the plugin computes in floats: of INT8 only for what is seldom wanted.
            pays = options.graph_precision != "int8" or options.masks_are_rare
            self._is_told = (
                device == _CPU and pays and all([mask_if_wanted(each) for each in graphs])
            )
            compiles = [core.compile_model(each, device, settings) for each in graphs]
            count = max(self._batch, 2 * arrangement.streams)
            self._requests = {
                size: [compiled.create_infer_request() for _ in range(count)]
                for size, compiled in zip(sizes, compiles, strict=True)
            }
            compiled = compiles[-1]
        self._outputs = compiled.outputs
        self._rows: Outputs = {}
        hint = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
        names = {hint: name for name, hint in _HINTS.items()}
        self.precision = names.get(hint, hint)

    def infer(self, frames: NDArray[np.uint8], wanted: Wanted) -> Outputs:
        """Run a batch of any size."""
        if self.arrangement.whole:
            return in_parts(self._at_once, frames, self._batch)
        return self._side_by_side(frames, wanted)

    def _at_once(self, frames: NDArray[np.uint8]) -> Outputs:
        self._whole.infer([frames], share_inputs=True)
        # The next call may give the request's own memory back.
        return {
            name: self._whole.get_output_tensor(index).data.copy()
            for index, name in enumerate(self._names)
        }

    def _side_by_side(self, frames: NDArray[np.uint8], wanted: Wanted) -> Outputs:
        """Run each group of frames in a request of its own, as many as there are at a time.

        They are more than there are streams: whichever stream is free takes the next, so none waits
        for the other while one is left. The other stages' work makes them uneven.
        """
        rows = self._room_for(len(frames))
        also = [told(wanted)] if self._is_told else []
        started: dict[int, int] = dict.fromkeys(self._requests, 0)
        first = 0
        while first < len(frames):
            size = next(size for size in self._requests if size <= len(frames) - first)
            requests, count = self._requests[size], started[size]
            request = requests[count % len(requests)]
            if count >= len(requests):
                request.wait()
            for index, output in enumerate(rows.values()):
                part = output[first : first + size]
                request.set_output_tensor(index, openvino.Tensor(part, shared_memory=True))
            request.start_async([frames[first : first + size], *also], share_inputs=True)
            started[size] += 1
            first += size
        for size, count in started.items():
            for request in self._requests[size][:count]:
                request.wait()
        return {name: output[: len(frames)] for name, output in rows.items()}

    def _room_for(self, count: int) -> Outputs:
        """Return memory for the outputs of so many frames, the same as before if it is enough.

        New memory for each batch has to be cleared by the kernel, which took as long as a tenth of
        the network.
        """
        if not self._rows or len(next(iter(self._rows.values()))) < count:
            self._rows = {
                name: _room(output, count)
                for name, output in zip(self._names, self._outputs, strict=True)
            }
        return self._rows


class _Opening:
    """A graph on its way to the quickest arrangement."""

    def __init__(self, model: Model, options: BackendOptions) -> None:
        self._core = openvino.Core()
        self._device = _listed_device(self._core, options.device)
        self._options = options
        self._batch = options.batch or _PREFERRED_BATCH
        self._measured_ms: dict[str, float] = {}
        self._kept = MeasuredChoice(
            "openvino",
            model,
            {
                "openvino": openvino.__version__,
                "device": str(self._core.get_property(self._device, "FULL_DEVICE_NAME")).strip(),
                "threads": options.threads,
                "batch": self._batch,
                "layout": options.layout,
                "precision": options.precision,
            },
        )
        self._graph = self._core.read_model(model)
        if options.layout == "planes":
            self._graph = _taking_frames(self._graph)
        if self._device == _CPU:
            move_less(self._graph)

    def quickest(self) -> _Runner:
        """Return the graph, compiled as was measured to be the quickest, now or before."""
        precisions, ways = self._precisions(), self._ways()
        if len(precisions) == len(ways) == 1:
            return self._runner(replace(ways[0], precision=precisions[0]))
        kept = _arrangement(self._kept.read())
        if (
            kept is not None
            and replace(kept, precision=None) in ways
            and kept.precision in precisions
        ):
            return self._runner(kept)
        # One after the other, as which precision is the quicker hardly depends on the way.
        best = self._quicker(None, [replace(ways[0], precision=name) for name in precisions])
        assert best is not None  # there is at least one precision
        precision = best.arrangement.precision
        best = self._quicker(best, [replace(way, precision=precision) for way in ways[1:]]) or best
        self._kept.write(asdict(best.arrangement), self._measured_ms)
        return best

    def _precisions(self) -> list[Precision | None]:
        asked = self._options.precision
        if asked == "int8" == self._options.graph_precision:
            asked = None  # the graph says what is int8; the rest is as in other graphs
        abilities = self._core.get_property(self._device, "OPTIMIZATION_CAPABILITIES")
        offered: list[Precision | None] = [
            name for name in ("fp32", "bf16", "fp16") if name.upper() in abilities
        ]
        if asked is None:
            return offered or [None]
        if asked not in offered:
            raise BackendError(
                f"--precision: {asked} was given; OpenVINO's {self._device} computes in "
                f"{', '.join(map(str, offered))} here."
            )
        return [asked]

    def _ways(self) -> list[Arrangement]:
        """Return the arrangements to choose from, without a precision; a likely one first."""
        if self._batch == 1 or self._device.startswith("NPU"):  # which takes static shapes alone
            return [Arrangement()]
        most = self._options.threads if self._device == _CPU else 2
        counts = sorted({max(1, most // 2), most}, reverse=True)
        ways = [Arrangement(streams=count) for count in counts]
        if _has_batch_of_one(self._graph):
            return ways
        if self._is_small:
            ways.append(Arrangement(streams=most, group=_GROUP))
        return [*ways, Arrangement(whole=True)]

    @property
    def _is_small(self) -> bool:
        """Whether frames are so small that starting its layers is much of a request."""
        return self._options.input_size <= _SMALL_PX

    def _runner(self, arrangement: Arrangement) -> _Runner:
        return _Runner(self._graph, self._device, arrangement, self._options)

    def _quicker(self, best: _Runner | None, arrangements: list[Arrangement]) -> _Runner | None:
        """Return the quickest of the best so far and some arrangements, compiled one by one."""
        side = self._options.input_size
        count = min(self._batch, 2 * self._options.threads)
        if self._is_small:  # they come by the dozen
            count = max(count, 2 * _GROUP)
        # Noise, as zeros would be quicker in some precisions than pictures are.
        frames = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)
        for arrangement in arrangements:
            runner = self._runner(arrangement)
            runner.infer(frames[:1], EVERYTHING)  # warms up
            rivals = [runner] if best is None else [best, runner]
            times_ms = _trial_ms(rivals, frames)
            for rival, its_ms in zip(rivals, times_ms, strict=True):
                label = _label(rival.arrangement)
                self._measured_ms[label] = min(its_ms, self._measured_ms.get(label, its_ms))
            if best is None or times_ms[-1] < _CLEARLY * times_ms[0]:
                best = runner
        return best


def _label(arrangement: Arrangement) -> str:
    way = f"streams: {arrangement.streams}"
    if arrangement.whole:
        way = "whole batches"
    elif arrangement.group > 1:
        way += f", frames a request: {arrangement.group}"
    return f"{arrangement.precision}, {way}"


def _arrangement(kept: dict[str, Any] | None) -> Arrangement | None:
    """Return what was kept; None where it is of another form."""
    try:
        return None if kept is None or "group" not in kept else Arrangement(**kept)
    except TypeError:
        return None


def _trial_ms(runners: list[_Runner], frames: NDArray[np.uint8]) -> list[float]:
    """Return each one's milliseconds a frame: the best of a few, since other work only ever adds.

    They take turns, or what else the machine does at the moment would decide between them.
    """
    elapsed_s: list[list[float]] = [[] for _ in runners]
    while len(elapsed_s[0]) < _TRIAL_ROUNDS and sum(map(sum, elapsed_s)) < _TRIAL_ENOUGH_S:
        for runner, its_s in zip(runners, elapsed_s, strict=True):
            started_s = time.perf_counter()
            runner.infer(frames, EVERYTHING)
            its_s.append(time.perf_counter() - started_s)
    return [1e3 * min(its_s) / len(frames) for its_s in elapsed_s]


def _listed_device(core: Any, device: str | None) -> str:
    """Return a device as OpenVINO names it."""
    listed = list(core.available_devices)
    wanted = (device or _CPU).upper()
    # With several GPUs there is no "GPU", only "GPU.0" and so on; OpenVINO takes the first for it.
    if wanted in listed or any(name.partition(".")[0] == wanted for name in listed):
        return wanted
    raise UnavailableError(f"OpenVINO lists {', '.join(listed) or 'no device'} here")


def _room(output: Any, batch: int) -> NDArray[Any]:
    """Return memory for an output of so many frames, which is given for one."""
    shape = tuple(output.get_shape())
    return np.zeros((batch, *shape[1:]), output.get_element_type().to_dtype())


def _of_batch(graph: Any, size: int, side: int) -> Any:
    """Return a copy of the graph, for batches of one size if it has none."""
    of_size = graph.clone()
    if not _has_batch_of_one(graph):
        of_size.reshape([size, side, side, 3])
    return of_size


def _has_batch_of_one(graph: Any) -> bool:
    return bool(graph.inputs[0].partial_shape[0] == 1)


def _taking_frames(graph: Any) -> Any:
    """Return a graph that takes planes as one that takes frames."""
    steps = PrePostProcessor(graph)
    steps.input().tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    steps.input().model().set_layout(openvino.Layout("NCHW"))
    steps.input().preprocess().convert_element_type(openvino.Type.f32).scale(255.0)
    return steps.build()
