"""A GPU's memory, streams and kernels, behind one protocol with two providers.

NVIDIA's cuda-bindings is taken where it is installed, as it is a wheel and knows CUDA graphs; else
PyCUDA. Tests put a fake in their place.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from maskstream.engines.errors import BackendError, UnavailableError
from maskstream.engines.files.plan_file import Gpu
from maskstream.engines.runtimes.nvidia import why_no_gpu


class DeviceMemoryError(BackendError):
    """The GPU has too little free memory for what was asked of it."""


class Device(Protocol):
    """A GPU. Pointers and streams are whole numbers, as TensorRT takes them.

    Attributes:
        gpu: What it is.
        provider: "cuda-bindings" or "pycuda".
        has_graphs: Whether work can be captured and launched as one graph.
    """

    gpu: Gpu
    provider: str
    has_graphs: bool

    def free_bytes(self) -> int:
        """Return the memory that is free now."""
        ...

    def allocate(self, byte_count: int) -> int:
        """Return a pointer to new device memory.

        Raises:
            DeviceMemoryError: There is not as much.
        """
        ...

    def free(self, pointer: int) -> None:
        """Give back what `allocate` gave."""
        ...

    def pinned_empty(self, byte_count: int) -> NDArray[np.uint8]:
        """Return new host memory that copies to and from the device without staging.

        It stays until the device is closed.
        """
        ...

    def pin(self, host: NDArray[np.uint8]) -> bool:
        """Let copies from memory that is somebody else's go without staging.

        Args:
            host: Contiguous, from the beginning of a page; it has to stay until it is unpinned.

        Returns:
            Whether the driver agreed; copies work in any case.
        """
        ...

    def unpin(self, host: NDArray[np.uint8]) -> None:
        """End what `pin` began."""
        ...

    def new_stream(self) -> int:
        """Return a queue of work, done in order and beside other queues."""
        ...

    def upload(self, pointer: int, host: NDArray[np.uint8], stream: int) -> None:
        """Begin to copy contiguous bytes to the device; they must stay until it is done."""
        ...

    def download(self, host: NDArray[np.uint8], pointer: int, stream: int) -> None:
        """Begin to copy to contiguous bytes; they may be read after `wait`."""
        ...

    def wait(self, stream: int) -> None:
        """Block until all work of a stream is done.

        Raises:
            BackendError: Some of it failed.
        """
        ...

    def load_kernel(self, source: str, name: str) -> Any:
        """Compile a kernel for this GPU.

        Raises:
            BackendError: The compiler is missing or refuses it.
        """
        ...

    def launch(
        self,
        kernel: Any,
        grid: tuple[int, int],
        block: tuple[int, int],
        arguments: Sequence[np.generic],
        stream: int,
    ) -> None:
        """Begin a kernel; pointers are given as `numpy.uint64`."""
        ...

    def begin_capture(self, stream: int) -> None:
        """From here on keep a stream's work instead of doing it."""
        ...

    def end_capture(self, stream: int) -> Any:
        """Return the work since `begin_capture` as a graph."""
        ...

    def launch_graph(self, graph: Any, stream: int) -> None:
        """Begin all of a graph's work."""
        ...

    def make_current(self) -> None:
        """Let the calling thread use this device; who opened it need not."""
        ...

    def close(self) -> None:
        """Give back everything; a second call does nothing."""
        ...


def open_device(number: int = 0) -> Device:
    """Return a GPU.

    Args:
        number: As the driver counts them.

    Raises:
        UnavailableError: There is no provider, no driver or no such GPU.
    """
    if (reason := why_no_gpu()) is not None:
        raise UnavailableError(reason)
    if find_spec("cuda") and find_spec("cuda.bindings"):
        from maskstream.engines.runtimes.tensorrt.device_cuda_bindings import CudaBindingsDevice

        return CudaBindingsDevice(number)
    if find_spec("pycuda"):
        from maskstream.engines.runtimes.tensorrt.device_pycuda import PyCudaDevice

        return PyCudaDevice(number)
    raise UnavailableError(
        "neither cuda-bindings nor PyCUDA is installed: pip install 'maskstream[tensorrt]'"
    )


def no_such_gpu(number: int, count: int) -> UnavailableError:
    """Return what a provider raises that is asked for a GPU which is not here."""
    return UnavailableError(f"there is no cuda:{number}, the driver finds {count} GPU")
