"""Which cameras this machine has and what they can do, asked of the kernel (Video4Linux 2)."""

from __future__ import annotations

import ctypes
import fcntl
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

_CAPTURE = 1
"""V4L2_BUF_TYPE_VIDEO_CAPTURE"""
_CAN_CAPTURE = 0x1
_CAN_STREAM = 0x04000000
_HAS_DEVICE_CAPS = 0x80000000
_DISCRETE = 1
_LISTED_MAX = 256
"""A driver that never says that its list is over is not asked for ever."""


class _Capability(ctypes.Structure):
    _fields_: ClassVar[Any] = [
        ("driver", ctypes.c_char * 16),
        ("card", ctypes.c_char * 32),
        ("bus_info", ctypes.c_char * 32),
        ("version", ctypes.c_uint32),
        ("capabilities", ctypes.c_uint32),
        ("device_caps", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32 * 3),
    ]


class _FormatDescription(ctypes.Structure):
    _fields_: ClassVar[Any] = [
        ("index", ctypes.c_uint32),
        ("type", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("description", ctypes.c_char * 32),
        ("pixelformat", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32 * 4),
    ]


class _FrameSize(ctypes.Structure):
    """Of the stepwise kind only the largest is used: fields 1 and 4."""

    _fields_: ClassVar[Any] = [
        ("index", ctypes.c_uint32),
        ("pixel_format", ctypes.c_uint32),
        ("type", ctypes.c_uint32),
        ("sizes", ctypes.c_uint32 * 6),
        ("reserved", ctypes.c_uint32 * 2),
    ]


class _FrameInterval(ctypes.Structure):
    """Three fractions; of the stepwise kind the first is the shortest interval."""

    _fields_: ClassVar[Any] = [
        ("index", ctypes.c_uint32),
        ("pixel_format", ctypes.c_uint32),
        ("width", ctypes.c_uint32),
        ("height", ctypes.c_uint32),
        ("type", ctypes.c_uint32),
        ("intervals", ctypes.c_uint32 * 6),
        ("reserved", ctypes.c_uint32 * 2),
    ]


def _request(direction: int, number: int, structure: type[ctypes.Structure]) -> int:
    """Returns an ioctl's number as _IOR and _IOWR of the kernel's headers make it."""
    return direction << 30 | ctypes.sizeof(structure) << 16 | ord("V") << 8 | number


_QUERYCAP = _request(2, 0, _Capability)
_ENUM_FMT = _request(3, 2, _FormatDescription)
_ENUM_FRAMESIZES = _request(3, 74, _FrameSize)
_ENUM_FRAMEINTERVALS = _request(3, 75, _FrameInterval)


@dataclass(frozen=True, slots=True)
class CameraMode:
    """A format and size that a camera delivers."""

    format: str
    """The kernel's four letters, such as MJPG, YUYV or H264."""
    width: int
    height: int
    rates_hz: tuple[float, ...]
    """Frames a second, highest first; empty where the camera does not say."""


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera of this machine."""

    path: str
    """Of the device, such as /dev/video0."""
    lasting_path: str | None
    """A name that stays the same when the camera is plugged in elsewhere or later."""
    name: str
    bus: str
    modes: tuple[CameraMode, ...]


def device_paths(folder: Path = Path("/dev")) -> list[str]:
    """Returns the video devices in ``folder``, by number."""
    found = [path for path in folder.glob("video*") if re.fullmatch(r"video\d+", path.name)]
    return [str(path) for path in sorted(found, key=lambda path: int(path.name[5:]))]


def ask_camera(path: str, lasting_path: str | None = None) -> Camera | None:
    """Returns the camera at ``path``; None where the device captures no pictures.

    Raises:
        OSError: It cannot be opened, or is no video device.
    """
    fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        capability = _Capability()
        fcntl.ioctl(fd, _QUERYCAP, capability)
        abilities = capability.capabilities
        if abilities & _HAS_DEVICE_CAPS:  # those of the whole card are more than this device's
            abilities = capability.device_caps
        if not (abilities & _CAN_CAPTURE and abilities & _CAN_STREAM):
            return None
        return Camera(
            path=path,
            lasting_path=lasting_path,
            name=capability.card.decode(errors="replace"),
            bus=capability.bus_info.decode(errors="replace"),
            modes=tuple(_modes(fd)),
        )
    finally:
        os.close(fd)


def _modes(fd: int) -> Iterator[CameraMode]:
    for format_index in range(_LISTED_MAX):
        description = _FormatDescription(index=format_index, type=_CAPTURE)
        if not _ask(fd, _ENUM_FMT, description):
            return
        letters = description.pixelformat.to_bytes(4, "little").decode(errors="replace")
        for width, height in _sizes(fd, description.pixelformat):
            rates_hz = tuple(_rates_hz(fd, description.pixelformat, width, height))
            yield CameraMode(letters.strip(), width, height, rates_hz)


def _sizes(fd: int, pixel_format: int) -> Iterator[tuple[int, int]]:
    for index in range(_LISTED_MAX):
        size = _FrameSize(index=index, pixel_format=pixel_format)
        if not _ask(fd, _ENUM_FRAMESIZES, size):
            return
        if size.type != _DISCRETE:
            yield size.sizes[1], size.sizes[4]  # min_width, max_width, step; the same for height
            return
        yield size.sizes[0], size.sizes[1]


def _rates_hz(fd: int, pixel_format: int, width: int, height: int) -> Iterator[float]:
    for index in range(_LISTED_MAX):
        interval = _FrameInterval(
            index=index, pixel_format=pixel_format, width=width, height=height
        )
        if not _ask(fd, _ENUM_FRAMEINTERVALS, interval):
            return
        if interval.intervals[0] and interval.intervals[1]:
            yield float(Fraction(interval.intervals[1], interval.intervals[0]))
        if interval.type != _DISCRETE:
            return


def _ask(fd: int, request: int, structure: ctypes.Structure) -> bool:
    """Returns whether the driver answered; an error means that its list is over."""
    try:
        fcntl.ioctl(fd, request, structure)
    except OSError:
        return False
    return True
