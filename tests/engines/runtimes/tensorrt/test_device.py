"""The device's provider against a driver that checks its arguments, and machines without one."""

import os
import subprocess
import sys

import pytest

from maskstream.engines.errors import UnavailableError
from maskstream.engines.runtimes.nvidia import why_no_gpu
from maskstream.engines.runtimes.tensorrt.device import open_device
from maskstream.engines.runtimes.tensorrt.device_pycuda import PyCudaDevice
from maskstream.engines.runtimes.tensorrt.kernel import compile_cubin, kernel_source
from tests.conftest import REPOSITORY_DIR
from tests.engines.runtimes.tensorrt import fake_pycuda
from tests.engines.runtimes.tensorrt.provider_calls import check_kernel, check_memory, check_pinning


@pytest.mark.skipif(why_no_gpu() is None, reason="there is a GPU here")
def test_a_machine_without_a_driver_says_so():
    with pytest.raises(UnavailableError, match="no NVIDIA driver is here"):
        open_device()


def test_cuda_bindings_calls_the_driver_as_it_wants_to_be_called(tmp_path):
    (tmp_path / "frame_input.c").write_text(kernel_source(), encoding="utf-8")
    source = REPOSITORY_DIR / "tests/engines/runtimes/tensorrt/fake_libcuda.c"
    library = tmp_path / "libcuda.so.1"
    options = ["-O2", "-Wall", "-Werror", "-shared", "-fPIC", f"-I{tmp_path}"]
    subprocess.run(["gcc", *options, source, "-o", library, "-lm", "-ldl"], check=True)
    cubin = tmp_path / "frame_input.cubin"
    cubin.write_bytes(compile_cubin(kernel_source(), "sm89"))
    done = subprocess.run(
        [sys.executable, "-m", "tests.engines.runtimes.tensorrt.provider_calls", cubin],
        cwd=REPOSITORY_DIR,
        env={**os.environ, "LD_LIBRARY_PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_pycuda_is_called_as_its_documentation_says(monkeypatch):
    for name, module in fake_pycuda.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    device = PyCudaDevice()
    assert (device.gpu.name, device.gpu.sm) == ("Pretended GPU", "sm89")
    assert not device.has_graphs
    for check in (check_memory, check_pinning, check_kernel):
        check(device)
    device.allocate(1000)
    device.close()
    device.close()
    assert fake_pycuda._Allocation.live_bytes == 0
    assert fake_pycuda._Context.depth == 0
    with pytest.raises(UnavailableError, match=r"^there is no cuda:3, the driver finds 1 GPU$"):
        PyCudaDevice(3)
