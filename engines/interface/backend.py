"""What every runtime offers; one contract test runs them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from maskstream.engines.errors import BackendError
from maskstream.engines.interface.planar_frame import PlanarFrame
from maskstream.engines.limits import Precision

Outputs = Mapping[str, NDArray[Any]]
"""A graph's outputs by name, each with the batch first."""

Model = Path | bytes
"""A graph: the file that holds it, or what is in that file."""

Provider = Literal["cpu", "cuda", "tensorrt", "coreml"]
"""Our names of ONNX Runtime's execution providers."""

InputLayout = Literal["frames", "planes"]
"""How a graph takes its one input, whatever the input is called.

``frames`` is our boundary: (B, S, S, 3) uint8 RGB. ``planes`` is what most exporters write:
(B, 3, S, S) floats, RGB in [0, 1]. A manifest says which
(`engines.files.manifest.Manifest.layout`). Backends are given frames either way, and bring them
into the graph's layout themselves.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendOptions:
    """How a graph is to be opened.

    Attributes:
        input_size: Side of the graph's square input, in pixels.
        layout: How the graph takes its input.
        threads: That the runtime may use, at least 1.
        batch: Frames that will come at once; 1 asks for the shortest wait of one frame, None or
            more for the most frames a second.
        device: As the runtime names it, such as "GPU.0" or "cuda:1"; None for its usual one.
        graph_precision: What the graph is written in, as its manifest says.
        precision: To compute in; None for the quickest that the runtime offers on its own.
        masks_are_rare: Whether this graph's masks are seldom wanted, as another one makes most.
    """

    input_size: int
    layout: InputLayout = "frames"
    threads: int = 1
    batch: int | None = None
    device: str | None = None
    graph_precision: str = "fp32"
    precision: Precision | None = None
    masks_are_rare: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What of a batch's outputs somebody will look at; a backend may leave the rest zero.

    Attributes:
        score_min: Rows that score at least this,
        mask_area_min: and masks of such rows whose boxes cover at least this share of the input,
        small_count_max: or of all of them, where a frame has more than so many.
    """

    score_min: float = 0.0
    mask_area_min: float = 0.0
    small_count_max: int = 0


EVERYTHING = Wanted()


class Backend(Protocol):
    """A runtime that holds one loaded graph.

    Attributes:
        name: Such as "openvino".
        device: What it runs on, such as "cpu" or "cuda:0".
        precision: What it computes in, such as "bf16".
        preferred_batch: Frames that it likes to get at once where nobody waits for them.
    """

    name: str
    device: str
    precision: str
    preferred_batch: int

    def infer(self, frames: NDArray[np.uint8], wanted: Wanted = EVERYTHING) -> Outputs:
        """Run the graph on a batch, and wait for it.

        Args:
            frames: (B, S, S, 3) RGB, B from 1; not changed, and not kept. Of more than the
                backend can hold in memory at once it takes a part after the other.
            wanted: What will be looked at.

        Returns:
            The outputs by name, B first; the caller owns them until the next call.

        Raises:
            BackendError: The backend is closed, or the batch has another shape.
        """
        ...

    def close(self) -> None:
        """Give back everything; a second call does nothing."""
        ...


class PlanesBackend(Backend, Protocol):
    """A backend that also takes frames as they came, and scales them on its device.

    Attributes:
        takes_planes: Whether it can with the graph that it holds.
    """

    takes_planes: bool

    def infer_planes(self, frames: Sequence[PlanarFrame], wanted: Wanted = EVERYTHING) -> Outputs:
        """Run the graph on a batch of frames, and wait for it.

        Args:
            frames: At least one. Their memory must stay mapped until the backend is closed.
            wanted: What will be looked at.

        Returns:
            As `Backend.infer`.
        """
        ...


def in_parts(
    run: Callable[[NDArray[np.uint8]], Outputs], frames: NDArray[np.uint8], size: int
) -> Outputs:
    """Return what ``run`` gives for ``frames``, of which it takes ``size`` at most."""
    if len(frames) <= size:
        return run(frames)
    parts = [run(frames[start : start + size]) for start in range(0, len(frames), size)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def check_frames(frames: NDArray[Any], input_size: int, *, backend: str) -> None:
    """Check that a batch is what `Backend.infer` takes.

    Args:
        backend: Name of the runtime, for the error message.

    Raises:
        BackendError: It is not.
    """
    shape = (input_size, input_size, 3)
    if (
        frames.ndim != 4
        or len(frames) == 0
        or frames.shape[1:] != shape
        or frames.dtype != np.uint8
    ):
        raise BackendError(
            f"{backend} backend: frames are {frames.dtype} of shape {frames.shape}; uint8 of "
            f"shape (1 or more, {input_size}, {input_size}, 3) is needed."
        )


def closed_error(backend: str) -> BackendError:
    """Return what a backend raises that is used after it was closed."""
    return BackendError(f"{backend} backend: it is closed; open the engine again.")


def to_planes(frames: NDArray[np.uint8], dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Return (B, S, S, 3) frames as (B, 3, S, S) floats in [0, 1]."""
    planes = np.ascontiguousarray(frames.transpose(0, 3, 1, 2), dtype)
    planes *= planes.dtype.type(1 / 255)
    return planes


def graph_name(model: Model) -> str:
    """Return what to call a graph in an error message."""
    return str(model) if isinstance(model, Path) else "the graph"
