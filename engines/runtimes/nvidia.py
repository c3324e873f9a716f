"""Whether there is an NVIDIA GPU that programs can use, asked of its driver."""

from __future__ import annotations

import ctypes
from functools import cache

_DRIVER = "libcuda.so.1"


@cache
def why_no_gpu() -> str | None:
    """Return why no NVIDIA GPU can be used here, in a phrase; None where one can.

    The driver's library is asked, not a tool or a file: containers often have the one and not the
    other. It costs a tenth of a second where there is a GPU, once a process.
    """
    try:
        driver = ctypes.CDLL(_DRIVER)
    except OSError:
        return f"no NVIDIA driver is here ({_DRIVER})"
    count = ctypes.c_int(0)
    for call, arguments in (("cuInit", (0,)), ("cuDeviceGetCount", (ctypes.byref(count),))):
        code = getattr(driver, call)(*arguments)
        if code:
            return f"the NVIDIA driver finds no GPU ({call} failed with {code})"
    return None if count.value else "the NVIDIA driver finds no GPU"
