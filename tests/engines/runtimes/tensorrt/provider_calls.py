"""Call everything of the device's provider; run in a process whose CUDA driver is a fake.

The argument is a file with the kernel as compiled elsewhere: NVRTC asks the driver for more than
the fake has.
"""

import mmap
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np

from maskstream.engines.errors import BackendError, UnavailableError
from maskstream.engines.interface.planar_frame import PlanarFrame
from maskstream.engines.runtimes.tensorrt import device_cuda_bindings
from maskstream.engines.runtimes.tensorrt.device import DeviceMemoryError, open_device
from maskstream.engines.runtimes.tensorrt.kernel import (
    BLOCK,
    KERNEL_NAME,
    kernel_arguments,
    kernel_grid,
    kernel_source,
)
from maskstream.stream.pixels.scaling import rgb_matrix

SIDE = 32


def raised(call, kind):
    """What a call raises, in words."""
    try:
        call()
    except kind as exc:
        return str(exc)
    raise AssertionError(f"no {kind.__name__}")


def check_memory(device):
    free = device.free_bytes()
    pointer, stream = device.allocate(1000), device.new_stream()
    assert device.free_bytes() == free - 1000
    sent, back = device.pinned_empty(1000), device.pinned_empty(1000)
    sent[:] = np.arange(1000) % 251
    device.upload(pointer, sent, stream)
    device.download(back[:500], pointer + 100, stream)
    device.wait(stream)
    np.testing.assert_array_equal(back[:500], sent[100:600])
    device.free(pointer)
    assert device.free_bytes() == free
    message = raised(lambda: device.allocate(free + 1), DeviceMemoryError)
    assert "memory is full" in message


def check_pinning(device):
    block = np.frombuffer(mmap.mmap(-1, 8192), np.uint8)
    assert device.pin(block)
    device.unpin(block)
    assert not device.pin(block[1:])  # not from the beginning of a page


def check_kernel(device):
    kernel, stream = device.load_kernel(kernel_source(), KERNEL_NAME), device.new_stream()
    data = np.full(SIDE * SIDE * 3 // 2, 128, np.uint8)
    planes, target = device.allocate(data.nbytes), device.allocate(3 * SIDE * SIDE)
    frame = PlanarFrame(data, SIDE, SIDE, rgb_matrix(1, 6))
    device.upload(planes, data, stream)
    arguments = kernel_arguments(frame, planes, target, SIDE, "squash")
    device.launch(kernel, kernel_grid(SIDE), BLOCK, arguments, stream)
    out = device.pinned_empty(3 * SIDE * SIDE)
    device.download(out, target, stream)
    device.wait(stream)
    assert (out == 128).all()  # grey stays grey
    device.free(planes)
    device.free(target)


def check_graph(device):
    stream = device.new_stream()
    device.begin_capture(stream)
    graph = device.end_capture(stream)
    for _ in range(2):
        device.launch_graph(graph, stream)


def main():
    cubin = Path(sys.argv[1]).read_bytes()
    with patch.object(device_cuda_bindings, "compile_cubin", return_value=cubin):
        check_all()


def check_all():
    device = open_device()
    assert (device.gpu.name, device.gpu.sm) == ("Pretended GPU", "sm89")
    assert device.has_graphs
    for check in (check_memory, check_pinning, check_kernel, check_graph):
        check(device)
    assert "CUDA_ERROR_INVALID_VALUE" in raised(lambda: device.wait(7), BackendError)
    device.make_current()
    device.close()  # the fake refuses this if anything was not given back
    device.close()
    assert raised(lambda: open_device(3), UnavailableError).startswith("there is no cuda:3")


if __name__ == "__main__":
    main()
