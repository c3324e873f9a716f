"""What a file says about its video stream, read so that nonsense does no harm."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import SideData
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from maskstream.stream.pixels.geometry import UPRIGHT, Orientation, orientation_of

RATE_MAX_HZ = 1000
"""Higher rates than this are nonsense."""
_SAMPLE_ASPECT_MAX = 8
_BY_ANGLE = {  # PyAV counts anticlockwise
    90: Orientation(transpose=True, flip_y=True),
    -90: Orientation(transpose=True, flip_x=True),
    180: Orientation(flip_x=True, flip_y=True),
    -180: Orientation(flip_x=True, flip_y=True),
}


def time_base_of(stream: VideoStream) -> Fraction:
    """Returns the seconds in one unit of the stream's timestamps."""
    return Fraction(1, 90_000) if stream.time_base is None else Fraction(stream.time_base)


def frame_rate_of(stream: VideoStream, first: VideoFrame, time_base: Fraction) -> Fraction | None:
    """Returns the average frames a second; None where nobody says anything sensible."""
    spacing = Fraction(1, first.duration) / time_base if first.duration else None
    stated = (stream.average_rate, stream.guessed_rate, spacing)
    if first.pts is None:  # a bare stream: its frames know better than its container
        stated = (spacing, stream.guessed_rate, stream.average_rate)
    for rate_hz in stated:
        if rate_hz is not None and 0 < rate_hz <= RATE_MAX_HZ:
            return Fraction(rate_hz)
    return None


def duration_s_of(stream: VideoStream, container: InputContainer) -> float | None:
    """Returns the stream's length, or the file's where only that is known."""
    if stream.duration is not None and stream.duration > 0:
        return float(stream.duration * time_base_of(stream))
    if container.duration is not None and container.duration > 0:
        return container.duration / av.time_base
    return None


def frame_count_of(
    stream: VideoStream, container: InputContainer, rate_hz: Fraction | None
) -> int | None:
    """Returns how many frames are to be expected; None where nothing tells."""
    duration_s = duration_s_of(stream, container)
    if stream.frames > 0:
        return stream.frames
    if duration_s is None or rate_hz is None:
        return None
    return round(duration_s * float(rate_hz))


def sample_aspect_of(stream: VideoStream, notes: list[str]) -> Fraction:
    """Returns a pixel's width over its height; what is odd about it goes to ``notes``."""
    aspect = stream.sample_aspect_ratio
    if not aspect:  # None and 0 both mean that nothing is said
        return Fraction(1)
    if not 1 <= max(aspect, 1 / aspect) <= _SAMPLE_ASPECT_MAX:
        notes.append(f"pixels of {aspect}:1 cannot be meant; taken as square")
        return Fraction(1)
    return Fraction(aspect)


def orientation_in(frame: VideoFrame, notes: list[str]) -> Orientation:
    """Returns how to turn the picture upright; what is odd about it goes to ``notes``."""
    try:
        # The library's type hints know only one kind of side data here.
        entries = list(cast("Iterable[SideData]", frame.side_data))
    except ValueError:  # side data of a kind that PyAV has no name for: only the angle is left
        return _BY_ANGLE.get(frame.rotation, UPRIGHT)
    matrices = [bytes(data) for data in entries if data.type == SideDataType.DISPLAYMATRIX]
    if not matrices:
        return UPRIGHT
    orientation = orientation_of(np.frombuffer(matrices[0], np.int32).tolist())
    if orientation is None:
        notes.append("turned by no multiple of 90 degrees; shown as stored")
        return UPRIGHT
    return orientation
