"""PyCUDA as its documentation describes it, over the processor's memory, for ``sys.modules``."""

import ctypes
import types

import numpy as np

from tests.engines.runtimes.tensorrt.fake_device import run_kernel

MEMORY_BYTES = 64 << 20


class CudaError(Exception):
    """pycuda.driver.Error"""


class CudaMemoryError(CudaError):
    """pycuda.driver.MemoryError"""


class CudaCompileError(CudaError):
    """pycuda.driver.CompileError"""


class _Context:
    depth = 0

    def push(self):
        _Context.depth += 1

    def pop(self):
        _Context.depth -= 1


class _Device:
    def __init__(self, number):
        assert number == 0

    @staticmethod
    def count():
        return 1

    def name(self):
        return "Pretended GPU"

    def compute_capability(self):
        return (8, 9)

    def retain_primary_context(self):
        return _Context()


class _Allocation:
    live_bytes = 0

    def __init__(self, byte_count):
        if _Allocation.live_bytes + byte_count > MEMORY_BYTES:
            raise CudaMemoryError("cuMemAlloc failed: out of memory")
        self._block = np.zeros(byte_count, np.uint8)
        _Allocation.live_bytes += byte_count

    def __int__(self):
        return self._block.ctypes.data

    def free(self):
        _Allocation.live_bytes -= self._block.nbytes


class _Stream:
    count = 0

    def __init__(self):
        _Stream.count += 1
        self.handle = 0x2000 + _Stream.count

    def synchronize(self):
        pass


class _Registered(np.ndarray):
    """An array whose ``base`` can be unregistered."""

    @property
    def base(self):
        return types.SimpleNamespace(unregister=lambda: None)


def _register_host_memory(array, flags=0):
    if array.ctypes.data % 4096:
        raise CudaError("cuMemHostRegister failed: invalid argument")
    return array.view(_Registered)


def _memcpy_htod_async(dest, src, stream):
    assert isinstance(stream, _Stream)
    ctypes.memmove(dest, src.ctypes.data, src.nbytes)


def _memcpy_dtoh_async(dest, src, stream):
    assert isinstance(stream, _Stream)
    ctypes.memmove(dest.ctypes.data, src, dest.nbytes)


class _SourceModule:
    def __init__(self, source, no_extern_c=False):
        assert no_extern_c
        assert 'extern "C" __global__' in source

    def get_function(self, name):
        assert name == "frame_input"
        return self._launch

    def _launch(self, *arguments, grid, block, stream):
        assert len(grid) == 2
        assert len(block) == 3
        assert isinstance(stream, _Stream)
        run_kernel(arguments)


def modules():
    """Return what stands for ``pycuda``, ``pycuda.driver`` and ``pycuda.compiler``."""
    package, driver, compiler = (
        types.ModuleType(name) for name in ("pycuda", "pycuda.driver", "pycuda.compiler")
    )
    vars(driver).update(
        init=lambda: None,
        Device=_Device,
        Stream=_Stream,
        Error=CudaError,
        MemoryError=CudaMemoryError,
        CompileError=CudaCompileError,
        mem_alloc=_Allocation,
        mem_get_info=lambda: (MEMORY_BYTES - _Allocation.live_bytes, MEMORY_BYTES),
        pagelocked_empty=np.empty,
        register_host_memory=_register_host_memory,
        memcpy_htod_async=_memcpy_htod_async,
        memcpy_dtoh_async=_memcpy_dtoh_async,
    )
    vars(compiler).update(SourceModule=_SourceModule)
    vars(package).update(driver=driver, compiler=compiler)
    return {"pycuda": package, "pycuda.driver": driver, "pycuda.compiler": compiler}
