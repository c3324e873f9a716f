"""The kernels that make a network's input from a frame's planes, or from rectangles of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from maskstream.engines.errors import BackendError, UnavailableError
from maskstream.engines.interface.fit import FitKind, placement
from maskstream.engines.interface.planar_frame import DeviceFrame, PlanarFrame

KERNEL_NAME = "frame_input"
CROP_KERNEL_NAME = "crop_input"
BLOCK = (32, 8)
_SOURCE = Path(__file__).with_name("frame_input.cu")


def kernel_source() -> str:
    """Return the kernels' source, in C that both a GPU's and a processor's compiler take."""
    return _SOURCE.read_text(encoding="utf-8")


def kernel_grid(side: int, count: int = 1) -> tuple[int, int]:
    """Return how many blocks cover an input, or ``count`` of them one under the other."""
    return -(-side // BLOCK[0]), -(-side * count // BLOCK[1])


def kernel_arguments(
    frame: PlanarFrame, planes: int, target: int, side: int, fit: FitKind
) -> list[np.generic]:
    """Return the kernel's arguments in their order.

    Args:
        planes: Where the frame's bytes lie on the device.
        target: Where (side, side, 3) bytes of the input lie there.
    """
    sizes = (side, *placement(fit, frame.width, frame.height, side))
    return [
        np.uint64(planes),
        np.int32(frame.width),
        np.int32(frame.height),
        np.uint64(target),
        *map(np.int32, sizes),
        *frame.rgb_matrix.astype(np.float32).ravel(),
    ]


def crop_arguments(
    frame: DeviceFrame, target: int, side: int, rectangles: int, count: int
) -> list[np.generic]:
    """Return the arguments of the kernel that cuts rectangles out of a frame, in their order.

    Args:
        target: Where (count, side, side, 3) bytes of the input lie on the device.
        rectangles: Where (count, 4) int32 lie there: left, top, right and bottom in pixels of the
            frame, even, the latter two exclusive.
    """
    return [
        np.uint64(frame.address),
        np.int32(frame.width),
        np.int32(frame.height),
        np.uint64(target),
        np.int32(side),
        np.uint64(rectangles),
        np.int32(count),
        *frame.rgb_matrix.astype(np.float32).ravel(),
    ]


@cache
def compile_cubin(source: str, sm: str) -> bytes:
    """Compile a kernel with NVRTC, which needs no GPU.

    Args:
        sm: Compute capability, such as "sm89".

    Raises:
        UnavailableError: NVRTC is not installed.
        BackendError: It refuses the kernel.
    """
    try:
        from cuda.bindings import nvrtc
    except ModuleNotFoundError as exc:
        raise UnavailableError(
            "cuda-bindings is not installed: pip install 'maskstream[tensorrt]'"
        ) from exc
    try:
        program = _answer(
            nvrtc, nvrtc.nvrtcCreateProgram(source.encode(), _SOURCE.name.encode(), 0, [], [])
        )
    except RuntimeError as exc:  # the library is not found
        raise UnavailableError(
            "NVRTC is not installed, which compiles kernels: pip install nvidia-cuda-nvrtc"
        ) from exc
    # Products and sums are not fused, so that the processor's compiler gives the same pixels.
    options = [f"--gpu-architecture=sm_{sm.removeprefix('sm')}".encode(), b"--fmad=false"]
    (result,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
    if result != nvrtc.nvrtcResult.NVRTC_SUCCESS:
        log = b" " * _answer(nvrtc, nvrtc.nvrtcGetProgramLogSize(program))
        nvrtc.nvrtcGetProgramLog(program, log)
        words = " ".join(log.decode(errors="replace").strip("\0 ").split())
        raise BackendError(f"tensorrt: NVRTC does not compile a kernel for {sm} ({words}).")
    cubin: bytes = b" " * _answer(nvrtc, nvrtc.nvrtcGetCUBINSize(program))
    _answer(nvrtc, nvrtc.nvrtcGetCUBIN(program, cubin))
    _answer(nvrtc, nvrtc.nvrtcDestroyProgram(program))
    return cubin


def _answer(nvrtc: Any, answer: tuple[Any, ...]) -> Any:
    """Return what a function of NVRTC gives beside its result."""
    result, *values = answer
    if result != nvrtc.nvrtcResult.NVRTC_SUCCESS:
        raise BackendError(f"tensorrt: NVRTC says {result.name}.")
    return values[0] if values else None
