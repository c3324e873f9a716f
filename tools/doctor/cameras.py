"""Cameras as `maskstream doctor` finds them: each is opened, and its picture and rate looked at."""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import av.error
import numpy as np
from av.video.frame import VideoFrame

from maskstream.errors import MaskstreamError
from maskstream.stream.options import LiveOptions
from maskstream.stream.sources.camera import lasting_name
from maskstream.stream.sources.live_open import Link, Patience, open_link
from maskstream.stream.sources.live_packets import packets_of
from maskstream.stream.sources.media import cause_of
from maskstream.stream.sources.trouble import Trouble
from maskstream.stream.sources.v4l2 import Camera, ask_camera, device_paths
from maskstream.tools.doctor.findings import Finding, ok, warning

MEASURED_S = 2.0
"""From the second picture on: the first may come late, and exposure finds its level."""
FIRST_S = 3.0
"""A camera that shows no picture for so long shows none."""
RATE_SHARE = 0.8
DARK_LUMA = 40
"""A picture whose bright parts are below is black, whatever the range of its luma."""
_GROUP = "join its group and log in again: sudo usermod -aG video $USER"


@dataclass(frozen=True, slots=True)
class Look:
    """What a camera showed."""

    width: int
    height: int
    codec: str
    stated_hz: float | None
    """What it says that it gives, frames a second."""
    rate_hz: float
    """What it gave."""
    brightest: int
    """Luma of the brightest hundredth of the last picture."""


def check_cameras(paths: Sequence[str] | None = None) -> Iterator[Finding]:
    """Look which cameras there are, and what each shows.

    Args:
        paths: Devices to look at; all of them where None.
    """
    is_any = False
    for path in device_paths() if paths is None else paths:
        finding = _check(path)
        if finding is not None:
            is_any = True
            yield finding
    if not is_any:
        todo = "only webcams need one; in a container, pass it on: --device /dev/video0"
        yield warning("camera", "none (/dev/video*)", todo)


def _check(path: str) -> Finding | None:
    """Return what is found of a device; None where it is for something else than pictures."""
    try:
        camera = ask_camera(path)
    except PermissionError:
        return warning("camera", f"{path} may not be opened", _GROUP)
    except OSError as exc:
        todo = "plug it in again; dmesg says more"
        return warning("camera", f"{path} cannot be asked ({cause_of(exc).lower()})", todo)
    if camera is None:
        return None
    try:
        return _judge(camera, _look(path))
    except MaskstreamError as exc:
        found, _, todo = str(exc).removeprefix(f"{path}: ").rstrip(".").partition("; ")
        return warning("camera", f"{_name(camera)}: {found}", todo or "plug it in again")


def _judge(camera: Camera, look: Look) -> Finding:
    stated = "" if look.stated_hz is None else f" of {look.stated_hz:g}"
    found = (
        f"{_name(camera)}: {look.width}x{look.height} {look.codec}, "
        f"{look.rate_hz:.1f}{stated} frames/s"
    )
    if look.brightest < DARK_LUMA:
        return warning("camera", f"{found}, a black picture", "open the lens cover, or make light")
    if look.stated_hz is not None and look.rate_hz < RATE_SHARE * look.stated_hz:
        todo = "make light (exposure takes longer in the dark), or ask for less: ?size=640x480"
        return warning("camera", found, todo)
    return ok("camera", found)


def _name(camera: Camera) -> str:
    lasting = lasting_name(camera.path)
    also = "" if lasting == camera.path else f", {lasting}"
    return f"{camera.path} ({camera.name}{also})"


def _look(path: str) -> Look:
    """Read a camera for a while, as it is set.

    Raises:
        MaskstreamError: It cannot be opened, or shows nothing.
    """
    link = open_link(path, LiveOptions(timeout_s=FIRST_S), threads=1)
    try:
        return _measure(link)
    finally:
        link.close()


def _measure(link: Link) -> Look:
    times_s: list[float] = []
    frame: VideoFrame | None = None
    begun_s = time.monotonic()

    def is_enough() -> bool:
        late = time.monotonic() - begun_s > FIRST_S + 2 * MEASURED_S
        return late or (bool(times_s) and times_s[-1] - times_s[0] >= MEASURED_S)

    for packet in packets_of(link, is_enough, Patience()):
        with suppress(av.error.FFmpegError):  # joined midway: its first whole picture comes later
            for decoded in packet.decode():
                frame = decoded
                times_s.append(time.monotonic())
    if frame is None or len(times_s) < 2:
        raise Trouble("unsupported", link.uri, "its video cannot be decoded", "try another format")
    context, stated_hz = link.stream.codec_context, link.stream.average_rate
    return Look(
        width=frame.width,
        height=frame.height,
        codec=frame.format.name if context.name == "rawvideo" else context.name,
        stated_hz=float(stated_hz) if stated_hz else None,
        rate_hz=(len(times_s) - 1) / (times_s[-1] - times_s[0]),
        # Single pixels of a sensor may be bright in the dark.
        brightest=int(np.percentile(frame.to_ndarray(format="gray"), 99)),
    )
