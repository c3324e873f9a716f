"""The device through NVIDIA's cuda-bindings: the CUDA driver's functions, and NVRTC."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
from cuda.bindings import driver
from numpy.typing import NDArray

from maskstream.engines.errors import BackendError
from maskstream.engines.files.plan_file import Gpu
from maskstream.engines.runtimes.tensorrt.device import DeviceMemoryError, no_such_gpu
from maskstream.engines.runtimes.tensorrt.kernel import compile_cubin

_ATTRIBUTE = driver.CUdevice_attribute
_RESULT = driver.CUresult


class CudaBindingsDevice:
    """See `engines.runtimes.tensorrt.device.Device`.

    Args:
        number: As the driver counts GPUs.

    Raises:
        UnavailableError: There is no such GPU.
    """

    provider = "cuda-bindings"
    has_graphs = True

    def __init__(self, number: int = 0) -> None:
        _checked(driver.cuInit(0))
        count = int(_checked(driver.cuDeviceGetCount()))
        if number >= count:
            raise no_such_gpu(number, count)
        self._device = _checked(driver.cuDeviceGet(number))
        self._context = _checked(driver.cuDevicePrimaryCtxRetain(self._device))
        self.make_current()
        name = bytes(_checked(driver.cuDeviceGetName(256, self._device)))
        self.gpu = Gpu(
            name.split(b"\0")[0].decode(),
            f"sm{self._attribute('MAJOR')}{self._attribute('MINOR')}",
        )
        self._streams: list[Any] = []
        self._pinned: list[int] = []
        self._modules: list[Any] = []
        self._is_open = True

    def _attribute(self, end: str) -> int:
        which = getattr(_ATTRIBUTE, f"CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_{end}")
        return int(_checked(driver.cuDeviceGetAttribute(which, self._device)))

    def free_bytes(self) -> int:
        """See `engines.runtimes.tensorrt.device.Device.free_bytes`."""
        free, _ = _checked(driver.cuMemGetInfo())
        return int(free)

    def allocate(self, byte_count: int) -> int:
        """See `engines.runtimes.tensorrt.device.Device.allocate`."""
        return int(_checked(driver.cuMemAlloc(max(byte_count, 1))))

    def free(self, pointer: int) -> None:
        """See `engines.runtimes.tensorrt.device.Device.free`."""
        _checked(driver.cuMemFree(pointer))

    def pinned_empty(self, byte_count: int) -> NDArray[np.uint8]:
        """See `engines.runtimes.tensorrt.device.Device.pinned_empty`."""
        address = int(_checked(driver.cuMemHostAlloc(max(byte_count, 1), 0)))
        self._pinned.append(address)
        return _bytes_at(address, byte_count)

    def pin(self, host: NDArray[np.uint8]) -> bool:
        """See `engines.runtimes.tensorrt.device.Device.pin`."""
        (result,) = driver.cuMemHostRegister(host.ctypes.data, host.nbytes, 0)
        return bool(result == _RESULT.CUDA_SUCCESS)

    def unpin(self, host: NDArray[np.uint8]) -> None:
        """See `engines.runtimes.tensorrt.device.Device.unpin`."""
        _checked(driver.cuMemHostUnregister(host.ctypes.data))

    def new_stream(self) -> int:
        """See `engines.runtimes.tensorrt.device.Device.new_stream`."""
        flags = driver.CUstream_flags.CU_STREAM_NON_BLOCKING
        self._streams.append(_checked(driver.cuStreamCreate(int(flags))))
        return int(self._streams[-1])

    def upload(self, pointer: int, host: NDArray[np.uint8], stream: int) -> None:
        """See `engines.runtimes.tensorrt.device.Device.upload`."""
        _checked(driver.cuMemcpyHtoDAsync(pointer, host.ctypes.data, host.nbytes, stream))

    def download(self, host: NDArray[np.uint8], pointer: int, stream: int) -> None:
        """See `engines.runtimes.tensorrt.device.Device.download`."""
        _checked(driver.cuMemcpyDtoHAsync(host.ctypes.data, pointer, host.nbytes, stream))

    def wait(self, stream: int) -> None:
        """See `engines.runtimes.tensorrt.device.Device.wait`."""
        _checked(driver.cuStreamSynchronize(stream))

    def load_kernel(self, source: str, name: str) -> Any:
        """See `engines.runtimes.tensorrt.device.Device.load_kernel`."""
        self._modules.append(_checked(driver.cuModuleLoadData(compile_cubin(source, self.gpu.sm))))
        return _checked(driver.cuModuleGetFunction(self._modules[-1], name.encode()))

    def launch(
        self,
        kernel: Any,
        grid: tuple[int, int],
        block: tuple[int, int],
        arguments: Sequence[np.generic],
        stream: int,
    ) -> None:
        """See `engines.runtimes.tensorrt.device.Device.launch`."""
        values = [np.array(argument) for argument in arguments]
        pointers = np.array([value.ctypes.data for value in values], np.uint64)
        # The driver has read the arguments when this returns.
        _checked(
            driver.cuLaunchKernel(kernel, *grid, 1, *block, 1, 0, stream, pointers.ctypes.data, 0)
        )

    def begin_capture(self, stream: int) -> None:
        """See `engines.runtimes.tensorrt.device.Device.begin_capture`."""
        mode = driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        _checked(driver.cuStreamBeginCapture(stream, mode))

    def end_capture(self, stream: int) -> Any:
        """See `engines.runtimes.tensorrt.device.Device.end_capture`."""
        graph = _checked(driver.cuStreamEndCapture(stream))
        launchable = _checked(driver.cuGraphInstantiate(graph, 0))
        _checked(driver.cuGraphDestroy(graph))
        return launchable

    def launch_graph(self, graph: Any, stream: int) -> None:
        """See `engines.runtimes.tensorrt.device.Device.launch_graph`."""
        _checked(driver.cuGraphLaunch(graph, stream))

    def make_current(self) -> None:
        """See `engines.runtimes.tensorrt.device.Device.make_current`."""
        _checked(driver.cuCtxSetCurrent(self._context))

    def close(self) -> None:
        """See `engines.runtimes.tensorrt.device.Device.close`."""
        if not self._is_open:
            return
        self._is_open = False
        for stream in self._streams:
            _checked(driver.cuStreamDestroy(stream))
        for module in self._modules:
            _checked(driver.cuModuleUnload(module))
        for address in self._pinned:
            _checked(driver.cuMemFreeHost(address))
        _checked(driver.cuDevicePrimaryCtxRelease(self._device))


def _checked(answer: tuple[Any, ...]) -> Any:
    """Return what a function of the driver gives beside its result.

    Raises:
        DeviceMemoryError: The GPU's memory is full.
        BackendError: It failed otherwise.
    """
    result, *values = answer
    if result == _RESULT.CUDA_ERROR_OUT_OF_MEMORY:
        raise DeviceMemoryError("tensorrt: the GPU's memory is full; a smaller --batch is needed.")
    if result != _RESULT.CUDA_SUCCESS:
        raise BackendError(f"tensorrt: the CUDA driver says {result.name}.")
    return values[0] if len(values) == 1 else tuple(values)


def _bytes_at(address: int, byte_count: int) -> NDArray[np.uint8]:
    return np.ctypeslib.as_array((ctypes.c_uint8 * byte_count).from_address(address))
