"""The device through PyCUDA, for machines where it is what is installed.

PyCUDA has no CUDA graphs, and compiles kernels with the toolkit's nvcc.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskstream.engines.errors import BackendError
from maskstream.engines.files.plan_file import Gpu
from maskstream.engines.runtimes.tensorrt.device import DeviceMemoryError, no_such_gpu


class PyCudaDevice:
    """See `engines.runtimes.tensorrt.device.Device`.

    Args:
        number: As the driver counts GPUs.

    Raises:
        UnavailableError: There is no such GPU.
    """

    provider = "pycuda"
    has_graphs = False

    def __init__(self, number: int = 0) -> None:
        import pycuda.driver as cuda

        cuda.init()
        if number >= cuda.Device.count():
            raise no_such_gpu(number, cuda.Device.count())
        self._cuda: Any = cuda
        device = cuda.Device(number)
        major, minor = device.compute_capability()
        self.gpu = Gpu(device.name(), f"sm{major}{minor}")
        self._context = device.retain_primary_context()
        self._thread = threading.local()
        self.make_current()
        self._allocations: dict[int, Any] = {}
        self._streams: dict[int, Any] = {}
        self._registered: dict[int, Any] = {}
        self._modules: list[Any] = []
        self._is_open = True

    def free_bytes(self) -> int:
        """See `engines.runtimes.tensorrt.device.Device.free_bytes`."""
        return int(self._cuda.mem_get_info()[0])

    def allocate(self, byte_count: int) -> int:
        """See `engines.runtimes.tensorrt.device.Device.allocate`."""
        try:
            allocation = self._cuda.mem_alloc(max(byte_count, 1))
        except self._cuda.MemoryError as exc:
            raise DeviceMemoryError(
                "tensorrt: the GPU's memory is full; a smaller --batch is needed."
            ) from exc
        self._allocations[int(allocation)] = allocation
        return int(allocation)

    def free(self, pointer: int) -> None:
        """See `engines.runtimes.tensorrt.device.Device.free`."""
        self._allocations.pop(pointer).free()

    def pinned_empty(self, byte_count: int) -> NDArray[np.uint8]:
        """See `engines.runtimes.tensorrt.device.Device.pinned_empty`."""
        empty: NDArray[np.uint8] = self._cuda.pagelocked_empty(byte_count, np.uint8)
        return empty

    def pin(self, host: NDArray[np.uint8]) -> bool:
        """See `engines.runtimes.tensorrt.device.Device.pin`."""
        try:
            registered = self._cuda.register_host_memory(host)
        except self._cuda.Error:
            return False
        self._registered[host.ctypes.data] = registered
        return True

    def unpin(self, host: NDArray[np.uint8]) -> None:
        """See `engines.runtimes.tensorrt.device.Device.unpin`."""
        self._registered.pop(host.ctypes.data).base.unregister()

    def new_stream(self) -> int:
        """See `engines.runtimes.tensorrt.device.Device.new_stream`."""
        stream = self._cuda.Stream()
        self._streams[int(stream.handle)] = stream
        return int(stream.handle)

    def upload(self, pointer: int, host: NDArray[np.uint8], stream: int) -> None:
        """See `engines.runtimes.tensorrt.device.Device.upload`."""
        self._cuda.memcpy_htod_async(pointer, host, self._streams[stream])

    def download(self, host: NDArray[np.uint8], pointer: int, stream: int) -> None:
        """See `engines.runtimes.tensorrt.device.Device.download`."""
        self._cuda.memcpy_dtoh_async(host, pointer, self._streams[stream])

    def wait(self, stream: int) -> None:
        """See `engines.runtimes.tensorrt.device.Device.wait`."""
        try:
            self._streams[stream].synchronize()
        except self._cuda.Error as exc:
            raise BackendError(f"tensorrt: the CUDA driver says {exc}.") from exc

    def load_kernel(self, source: str, name: str) -> Any:
        """See `engines.runtimes.tensorrt.device.Device.load_kernel`."""
        from pycuda.compiler import SourceModule

        try:
            # The source says itself what is extern "C".
            module = SourceModule(source, no_extern_c=True)
        except (self._cuda.CompileError, OSError) as exc:
            raise BackendError(f"tensorrt: nvcc does not compile a kernel ({exc}).") from exc
        self._modules.append(module)
        return module.get_function(name)

    def launch(
        self,
        kernel: Any,
        grid: tuple[int, int],
        block: tuple[int, int],
        arguments: Sequence[np.generic],
        stream: int,
    ) -> None:
        """See `engines.runtimes.tensorrt.device.Device.launch`."""
        kernel(*arguments, grid=grid, block=(*block, 1), stream=self._streams[stream])

    def begin_capture(self, stream: int) -> None:
        """Not to be called, as `has_graphs` says."""
        raise BackendError("tensorrt: PyCUDA has no CUDA graphs; cuda-bindings has.")

    def end_capture(self, stream: int) -> Any:
        """Not to be called, as `has_graphs` says."""
        raise BackendError("tensorrt: PyCUDA has no CUDA graphs; cuda-bindings has.")

    def launch_graph(self, graph: Any, stream: int) -> None:
        """Not to be called, as `has_graphs` says."""
        raise BackendError("tensorrt: PyCUDA has no CUDA graphs; cuda-bindings has.")

    def make_current(self) -> None:
        """See `engines.runtimes.tensorrt.device.Device.make_current`."""
        if not getattr(self._thread, "has_context", False):
            self._context.push()
            self._thread.has_context = True

    def close(self) -> None:
        """See `engines.runtimes.tensorrt.device.Device.close`."""
        if not self._is_open:
            return
        self._is_open = False
        for pointer in list(self._allocations):
            self.free(pointer)
        self._streams.clear()
        self._modules.clear()
        self._context.pop()
        self._thread.has_context = False
