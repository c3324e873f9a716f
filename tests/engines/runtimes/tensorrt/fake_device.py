"""A device that copies real bytes and runs kernels on the processor, but late.

Work waits in its stream until the stream is waited for, so whoever reads too early, or writes over
what has not been copied yet, gets wrong bytes. Pointers are addresses of the processor's memory.
"""

import ctypes
import subprocess
import tempfile
import threading
from collections import deque
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from maskstream.engines.errors import BackendError
from maskstream.engines.files.plan_file import Gpu
from maskstream.engines.runtimes.tensorrt.device import DeviceMemoryError
from maskstream.engines.runtimes.tensorrt.kernel import CROP_KERNEL_NAME, KERNEL_NAME, kernel_source
from maskstream.engines.runtimes.tensorrt.loaded_plan import Tensor


@cache
def compiled_kernels():
    """The kernels' source, compiled by the C compiler."""
    folder = Path(tempfile.mkdtemp(prefix="maskstream-test-"))
    source, library = folder / "frame_input.c", folder / "frame_input.so"
    source.write_text(kernel_source(), encoding="utf-8")
    options = ["-O2", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off", "-shared", "-fPIC"]
    subprocess.run(["gcc", *options, source, "-o", library, "-lm"], check=True)
    return ctypes.CDLL(str(library))


def run_kernel(arguments, name=KERNEL_NAME):
    """Call a compiled kernel as it would be launched."""
    kinds = {np.uint64: ctypes.c_uint64, np.int32: ctypes.c_int, np.float32: ctypes.c_float}
    kernel = getattr(compiled_kernels(), name)
    kernel(*(kinds[type(value)](value.item()) for value in arguments))


class FakeDevice:
    """See `engines.runtimes.tensorrt.device.Device`; ``calls`` holds what was begun, in order."""

    provider = "fake"

    def __init__(self, memory_bytes=1 << 30, has_graphs=True, pins=True):
        self.gpu = Gpu("Fake GPU", "sm89")
        self.has_graphs = has_graphs
        self.calls = []
        self.blocks = {}
        self.pinned = {}
        self.pin_count = 0
        self.threads = {threading.get_ident()}
        self.is_closed = False
        self.broken_with = None
        self._memory_bytes = memory_bytes
        self._pins = pins
        self._streams = []
        self._capturing: Any = None
        self._hosts: list[Any] = []

    def free_bytes(self):
        return self._memory_bytes - sum(block.nbytes for block in self.blocks.values())

    def allocate(self, byte_count):
        if byte_count > self.free_bytes():
            raise DeviceMemoryError("full")
        block = np.full(byte_count, 0xAA, np.uint8)
        self.blocks[block.ctypes.data] = block
        return block.ctypes.data

    def free(self, pointer):
        del self.blocks[pointer]

    def pinned_empty(self, byte_count):
        self._hosts.append(np.full(byte_count, 0x55, np.uint8))
        return self._hosts[-1]

    def pin(self, host):
        self.pin_count += 1
        if self._pins:
            self.pinned[host.ctypes.data] = host.nbytes
        return self._pins

    def unpin(self, host):
        del self.pinned[host.ctypes.data]

    def new_stream(self):
        self._streams.append(deque())
        return len(self._streams) - 1

    def begin(self, stream, what, work):
        """Put work into a stream, or into the graph that is being captured."""
        assert threading.get_ident() in self.threads
        if self._capturing is not None and self._capturing[0] == stream:
            self._capturing[1].append(work)
            return
        self.calls.append((what, stream))
        self._streams[stream].append(work)

    def upload(self, pointer, host, stream):
        self._check(pointer, host.nbytes)
        address = host.ctypes.data
        self.begin(
            stream, ("upload", address, host.nbytes),
            lambda: ctypes.memmove(pointer, address, host.nbytes),
        )  # fmt: skip

    def download(self, host, pointer, stream):
        self._check(pointer, host.nbytes)
        self.begin(
            stream, ("download", host.nbytes),
            lambda: ctypes.memmove(host.ctypes.data, pointer, host.nbytes),
        )  # fmt: skip

    def wait(self, stream):
        self.calls.append((("wait",), stream))
        if self.broken_with is not None:
            raise BackendError(self.broken_with)
        while self._streams[stream]:
            self._streams[stream].popleft()()

    def load_kernel(self, source, name):
        assert name in source
        return name

    def launch(self, kernel, grid, block, arguments, stream):
        side = int(arguments[4])
        rows = side * (int(arguments[6]) if kernel == CROP_KERNEL_NAME else 1)
        assert grid[0] * block[0] >= side
        assert grid[1] * block[1] >= rows
        self.begin(stream, (kernel,), lambda: run_kernel(arguments, kernel))

    def begin_capture(self, stream):
        self._capturing = (stream, [])

    def end_capture(self, stream):
        graph, self._capturing = self._capturing[1], None
        return graph

    def launch_graph(self, graph, stream):
        self.begin(stream, ("graph",), lambda: [work() for work in graph])

    def make_current(self):
        self.threads.add(threading.get_ident())

    def close(self):
        self.is_closed = True

    def _check(self, pointer, byte_count):
        """A copy has to stay inside one block."""
        assert any(
            start <= pointer and pointer + byte_count <= start + block.nbytes
            for start, block in self.blocks.items()
        )


class FakeNetwork:
    """See `engines.runtimes.tensorrt.loaded_plan.Network`: a function of the frames instead of a
    plan."""

    def __init__(
        self, device, function, side=8, batch_max=4, scratch_bytes=1000, graphs_itself=False,
        name="frames",
    ):  # fmt: skip
        self.batch_max = batch_max
        self.graphs_itself = graphs_itself
        self.is_closed = False
        self.contexts = []
        self.input = Tensor(name, (side, side, 3), np.dtype(np.uint8))
        example = function(np.zeros((1, side, side, 3), np.uint8))
        self.outputs = tuple(
            Tensor(name, array.shape[1:], array.dtype) for name, array in example.items()
        )
        self._device = device
        self._function = function
        self._scratch_bytes = scratch_bytes

    def scratch_bytes(self, batch):
        return batch * self._scratch_bytes

    def new_context(self, batch, addresses, scratch, scratch_bytes):
        assert scratch_bytes >= self.scratch_bytes(batch)
        self.contexts.append(batch)
        return _FakeContext(self._device, self, batch, addresses)

    def compute(self, batch, addresses):
        frames = _at(addresses[self.input.name], self.input, batch)
        for tensor, array in zip(self.outputs, self._function(frames).values(), strict=True):
            _at(addresses[tensor.name], tensor, batch)[:] = array

    def close(self):
        self.is_closed = True


class _FakeContext:
    def __init__(self, device, network, batch, addresses):
        self._device, self._network, self._batch = device, network, batch
        self._addresses = dict(addresses)

    def run(self, stream):
        self._device.begin(
            stream, ("network", self._batch),
            lambda: self._network.compute(self._batch, self._addresses),
        )  # fmt: skip


def _at(address, tensor, batch):
    count = batch * tensor.frame_bytes
    data = np.ctypeslib.as_array((ctypes.c_uint8 * count).from_address(address))
    return data.view(tensor.dtype).reshape(batch, *tensor.sides)
