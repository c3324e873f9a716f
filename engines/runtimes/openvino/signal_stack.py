"""Keeping a runtime from giving our signal handlers a stack that is too small for them."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar


class _SignalStack(ctypes.Structure):
    """``stack_t`` of sigaltstack(2)."""

    _fields_: ClassVar[Any] = [
        ("address", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("size", ctypes.c_size_t),
    ]


@contextmanager
def same_signal_stack() -> Iterator[None]:
    """Leave the calling thread's alternate signal stack as it was.

    OpenVINO sets one of the smallest size that the kernel takes. Python runs its handlers on it,
    and where wide registers are in use, as after PyTorch has worked, the kernel's own frame fills
    it: Ctrl-C then ends the process with SIGSEGV.
    """
    libc, before = ctypes.CDLL(None), _SignalStack()
    libc.sigaltstack(None, ctypes.byref(before))
    try:
        yield
    finally:
        libc.sigaltstack(ctypes.byref(before), None)
