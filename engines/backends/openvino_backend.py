"""Run an exported graph in OpenVINO, on the CPU."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray

from engines.assemble import Outputs
from engines.errors import BackendError

_PREFERRED_BATCH = 8
_TRIAL_ROUNDS = 3
_PRECISION_HINTS = {"fp32": "f32", "fp16": "f16", "bf16": "bf16"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement:
    """How a batch is spread over the cores.

    Attributes:
        streams: Requests that run side by side; 1 gives the whole batch to one request.
        threads: Of all streams together.
    """

    streams: int
    threads: int


class OpenVinoBackend:
    """One graph, compiled for the cores that it may use.

    Args:
        path: An ONNX file.
        threads: That it may use, at least 1.
        batch: Frames that will come at once; 1 compiles for the shortest wait of one frame, None
            or more for the most frames a second. For those it measures whether one request for
            the batch or one request a frame, side by side, is the quicker here.

    Raises:
        BackendError: OpenVINO refuses the graph.
    """

    name = "openvino"

    def __init__(
        self,
        path: Path,
        *,
        threads: int,
        batch: int | None = None,
        precision: str | None = None,
    ) -> None:
        try:
            self._model = openvino.Core().read_model(path)
            self._shape = tuple(
                side.get_length() for side in list(self._model.inputs[0].partial_shape)[1:]
            )
            arrangements = _arrangements(threads, batch)
            runners = [_Runner(self._model, item, precision) for item in arrangements]
        except RuntimeError as exc:
            reason = str(exc).strip().splitlines()[-1]
            raise BackendError(f"{path}: OpenVINO refuses the graph ({reason}).") from exc
        self._runner: _Runner | None = self._quickest(runners)
        self.precision = self._runner.precision
        self.preferred_batch = _PREFERRED_BATCH if batch is None else batch

    def infer(self, frames: NDArray[np.uint8]) -> Outputs:
        """See `engines.backends.base.Backend.infer`."""
        if self._runner is None:
            raise BackendError("openvino backend: it is closed; open the engine again.")
        if frames.ndim != 4 or frames.shape[1:] != self._shape or frames.dtype != np.uint8:
            raise BackendError(
                f"openvino backend: frames are {frames.dtype} of shape {frames.shape}; uint8 of "
                f"shape (batch, {', '.join(map(str, self._shape))}) is needed."
            )
        return self._runner.infer(frames)

    @property
    def arrangement(self) -> Arrangement:
        """How batches are spread, as chosen when it was opened."""
        if self._runner is None:
            raise BackendError("openvino backend: it is closed; open the engine again.")
        return self._runner.arrangement

    def close(self) -> None:
        """See `engines.backends.base.Backend.close`."""
        self._runner = None
        self._model = None

    def _quickest(self, runners: list[_Runner]) -> _Runner:
        if len(runners) == 1:
            return runners[0]
        frames = np.zeros((_PREFERRED_BATCH, *self._shape), np.uint8)
        return min(runners, key=lambda runner: _trial_s(runner, frames))


class _Runner:
    """A compiled graph with its requests."""

    def __init__(self, model: Any, arrangement: Arrangement, precision: str | None) -> None:
        self.arrangement = arrangement
        settings: dict[str, Any] = {
            "NUM_STREAMS": arrangement.streams,
            "INFERENCE_NUM_THREADS": arrangement.threads,
            # The other stages need the cores too; pinning makes them queue behind us.
            "ENABLE_CPU_PINNING": False,
        }
        if precision is not None:
            settings["INFERENCE_PRECISION_HINT"] = _PRECISION_HINTS[precision]
        compiled = openvino.Core().compile_model(model, "CPU", settings)
        self._names = [output.any_name for output in compiled.outputs]
        # More requests than streams: whichever stream is free takes the next frame, so none waits
        # for the other while a frame is left. The other stages' work makes them uneven.
        count = 1 if arrangement.streams == 1 else max(arrangement.streams, _PREFERRED_BATCH)
        self._requests = [compiled.create_infer_request() for _ in range(count)]
        hint = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
        names = {hint: name for name, hint in _PRECISION_HINTS.items()}
        self.precision = names.get(hint, hint)

    def infer(self, frames: NDArray[np.uint8]) -> Outputs:
        """Run a batch, in one request or a frame a request."""
        if len(self._requests) == 1:
            self._requests[0].infer([frames], share_inputs=True)
            return self._results(self._requests[0])
        parts: list[Outputs] = []
        for start in range(0, len(frames), len(self._requests)):
            live = self._requests[: len(frames) - start]
            for offset, request in enumerate(live):
                row = start + offset
                request.start_async([frames[row : row + 1]], share_inputs=True)
            for request in live:
                request.wait()
                parts.append(self._results(request))
        return {name: np.concatenate([part[name] for part in parts]) for name in self._names}

    def _results(self, request: Any) -> Outputs:
        """Return copies: the next call writes over the request's own buffers."""
        return {
            name: request.get_output_tensor(index).data.copy()
            for index, name in enumerate(self._names)
        }


def _arrangements(threads: int, batch: int | None) -> list[Arrangement]:
    together = Arrangement(streams=1, threads=threads)
    if threads == 1 or batch == 1:
        return [together]
    return [together, Arrangement(streams=threads, threads=threads)]


def _trial_s(runner: _Runner, frames: NDArray[np.uint8]) -> float:
    """Return the seconds of a batch: the best of a few, since other work only ever adds."""
    runner.infer(frames)
    elapsed_s = []
    for _ in range(_TRIAL_ROUNDS):
        started_s = time.perf_counter()
        runner.infer(frames)
        elapsed_s.append(time.perf_counter() - started_s)
    return min(elapsed_s)
