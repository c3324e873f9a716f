"""Cameras of this machine, through Video4Linux: their names, their options, opening one.

``0``, ``/dev/video0`` or ``/dev/v4l/by-id/...``, each with options if wanted:
``/dev/video0?size=1280x720&fps=30&format=mjpeg``. What is left out is what the camera is set to.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.error
from av.container import InputContainer
from av.video.stream import VideoStream

from maskstream.errors import ConfigError
from maskstream.stream.sources.media import cause_of
from maskstream.stream.sources.trouble import Trouble

FORMATS = {"mjpeg": "mjpeg", "yuyv": "yuyv422", "h264": "h264", "nv12": "nv12", "i420": "yuv420p"}
"""Our names of formats -> FFmpeg's."""

_CAMERA = re.compile(r"(\d+|/dev/video\d+|/dev/v4l/[^?]+)(?:\?(.*))?")
_SIZE = re.compile(r"(\d{2,5})x(\d{2,5})")
_LINK_FOLDERS = (Path("/dev/v4l/by-id"), Path("/dev/v4l/by-path"))
_OPEN_S = 5.0
_NONBLOCK_FLAG = 4
"""AVFMT_FLAG_NONBLOCK, which has no name: a stalled camera would hold a waiting read for ever."""
_FPS_MAX = 1000


@dataclass(frozen=True, slots=True)
class CameraAddress:
    """A camera and what is asked of it; None where nothing is."""

    device: str
    """Path of the device."""
    size: tuple[int, int] | None = None
    """Width and height in pixels."""
    fps: int | None = None
    format: str | None = None
    """A key of ``FORMATS``."""


@dataclass(frozen=True, slots=True)
class OpenedCamera:
    """A camera that delivers; whoever opened it closes the container."""

    container: InputContainer
    stream: VideoStream
    device: str
    """Where to find the camera again: see ``lasting_name``."""
    notes: tuple[str, ...]


def is_camera(uri: str) -> bool:
    """Whether ``uri`` names a camera of this machine."""
    return _CAMERA.fullmatch(uri) is not None and not (uri.isdigit() and Path(uri).is_file())


def parse_camera(uri: str) -> CameraAddress:
    """Returns what ``uri`` means.

    Raises:
        ConfigError: An option is unknown or makes no sense.
    """
    match = _CAMERA.fullmatch(uri)
    if match is None:
        raise ConfigError(f"{uri}: no camera; give one such as 0 or /dev/video0.")
    device = f"/dev/video{match[1]}" if match[1].isdigit() else match[1]
    size: tuple[int, int] | None = None
    fps: int | None = None
    wanted: str | None = None
    for option in filter(None, (match[2] or "").split("&")):
        key, _, value = option.partition("=")
        if key == "size" and (found := _SIZE.fullmatch(value)):
            size = int(found[1]), int(found[2])
        elif key == "fps" and value.isdigit() and 1 <= int(value) <= _FPS_MAX:
            fps = int(value)
        elif key == "format" and value in FORMATS:
            wanted = value
        else:
            raise ConfigError(
                f"{uri}: the option {option!r} is not understood; use size=1280x720, fps=30 and "
                f"format= one of {', '.join(FORMATS)}."
            )
    return CameraAddress(device, size, fps, wanted)


def lasting_name(device: str, folders: Sequence[Path] = _LINK_FOLDERS) -> str:
    """Returns a name of ``device`` that stays the same when it is unplugged and plugged in.

    The number in ``/dev/video0`` may be another afterwards. The name itself is returned where the
    system gives no other.
    """
    for folder in folders:
        for link in sorted(folder.glob("*")) if folder.is_dir() else ():
            if link.resolve() == Path(device).resolve():
                return str(link)
    return device


def open_camera(uri: str, device: str | None = None) -> OpenedCamera:
    """Returns the camera, opened; reading from it never waits.

    Args:
        uri: As the user gave it.
        device: The camera's lasting name where it was open before; else the one in ``uri``.

    Raises:
        Trouble: It is not there, not ours, or in use.
        ConfigError: ``uri`` makes no sense.
    """
    asked = parse_camera(uri)
    options = {"fflags": f"nobuffer+{_NONBLOCK_FLAG}"}
    if asked.size is not None:
        options["video_size"] = f"{asked.size[0]}x{asked.size[1]}"
    if asked.fps is not None:
        options["framerate"] = str(asked.fps)
    if asked.format is not None:
        options["input_format"] = FORMATS[asked.format]
    try:
        # For the container alone: a decoder would take the size for the one that is delivered.
        container = av.open(
            device or asked.device,
            format="v4l2",
            container_options=options,
            timeout=(_OPEN_S, _OPEN_S),
        )
    except (av.error.FFmpegError, ValueError) as exc:
        raise _trouble(uri, asked, exc) from exc
    stream = container.streams.video[0]
    notes = (_asked_and_got(uri, asked, stream),)
    return OpenedCamera(container, stream, lasting_name(device or asked.device), notes)


def _asked_and_got(uri: str, asked: CameraAddress, stream: VideoStream) -> str:
    context = stream.codec_context
    pixels = context.pix_fmt if context.name == "rawvideo" else context.name
    got = [f"{context.width}x{context.height}", _rate(stream.average_rate), str(pixels)]
    wishes = [
        *([] if asked.size is None else [f"{asked.size[0]}x{asked.size[1]}"]),
        *([] if asked.fps is None else [_rate(Fraction(asked.fps))]),
        *([] if asked.format is None else [asked.format]),
    ]
    return f"{uri}: asked for {', '.join(wishes) or 'nothing special'}; got {', '.join(got)}"


def _rate(rate_hz: Fraction | None) -> str:
    return "an unknown rate" if not rate_hz else f"{float(rate_hz):g} frames/s"


def _trouble(uri: str, asked: CameraAddress, error: Exception) -> Trouble:
    number = getattr(error, "errno", None)
    if number in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return Trouble("absent", uri, "no such camera", "maskstream devices lists what there is")
    if number == errno.EBUSY:
        return Trouble("busy", uri, "in use by another program", "end that program")
    if number in (errno.EACCES, errno.EPERM):
        return Trouble("forbidden", uri, "no permission", "add yourself to the group video")
    if isinstance(error, (av.error.TimeoutError, av.error.ExitError)):
        return Trouble("silent", uri, f"no picture within {_OPEN_S:g} s")
    if number == errno.EINVAL and asked.format is not None:
        return Trouble(
            "unsupported", uri, f"the camera does not deliver {asked.format}",
            "maskstream devices lists what it does",
        )  # fmt: skip
    if number in (errno.ENOTTY, errno.EINVAL):
        return Trouble("unsupported", uri, "no camera that pictures can be captured from")
    return Trouble("broken", uri, cause_of(error).lower())
