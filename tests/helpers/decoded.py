"""What PyAV alone makes of a clip: decoded once for all tests of a session."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

EVERY = 10
"""Of so many frames one is compared pixel by pixel, and the last."""


@dataclass(frozen=True)
class Plain:
    """A clip's best video stream, and the times of its sound."""

    times: list[Fraction]
    """Of each frame, in seconds, as the file says them; empty where one has none."""
    sizes: list[tuple[int, int]]
    """Of each frame, as it is stored: width, height."""
    digests: dict[int, str]
    """Of the I420 bytes of some frames, by number; empty where the clip has other pixels."""
    last: NDArray[np.uint8]
    """The last frame's own planes, as PyAV gives them."""
    start_s: Fraction
    """When the first of the clip's video and sound streams begins."""
    sound: list[list[Fraction]]
    """Times of the packets of each sound stream, in seconds."""


def digest(pixels: NDArray[Any]) -> str:
    """Return what tells pictures apart that differ in any byte."""
    return hashlib.sha256(pixels.tobytes()).hexdigest()


@cache
def plain(path: Path) -> Plain:
    """Return what is in a clip; it is decoded at the first call."""
    frames: list[tuple[Fraction | None, tuple[int, int]]] = []
    digests: dict[int, str] = {}
    last: av.VideoFrame | None = None
    with av.open(str(path)) as container:
        streams = (*container.streams.video, *container.streams.audio)
        starts = [_seconds(s.start_time, s.time_base) for s in streams if s.start_time is not None]
        for last in _frames(container):
            time = None if last.pts is None else _seconds(last.pts, last.time_base)
            if len(frames) % EVERY == 0:
                digests[len(frames)] = digest(last.to_ndarray().ravel())
            frames.append((time, (last.width, last.height)))
    assert last is not None, path
    digests[len(frames) - 1] = digest(last.to_ndarray().ravel())
    times = [time for time, _ in frames if time is not None]
    return Plain(
        times=times if len(times) == len(frames) else [],
        sizes=[size for _, size in frames],
        digests=digests,
        last=last.to_ndarray().astype(np.uint8, copy=False),
        start_s=min(starts, default=Fraction(0)),
        sound=sound_times(path),
    )


def sound_times(path: Path) -> list[list[Fraction]]:
    """Presentation times of all packets of each sound stream, in seconds."""
    found = []
    with av.open(str(path)) as container:
        indexes = [stream.index for stream in container.streams.audio]
    for index in indexes:
        with av.open(str(path)) as container:
            packets = container.demux(container.streams[index])
            found.append([_seconds(p.pts, p.time_base) for p in packets if p.size])
    return found


def _frames(container: Any) -> Iterator[av.VideoFrame]:
    for packet in container.demux(container.streams.best("video")):
        yield from decoded(packet)


def decoded(packet: Any) -> list[Any]:
    """Return a packet's frames; of the last packet, all that the decoder still holds."""
    for _ in range(100):
        try:
            return list(packet.decode())
        except av.error.EOFError:
            break
        except av.error.FFmpegError:
            if packet.size:
                break
    return []


def _seconds(value: Any, unit: Any) -> Fraction:
    return Fraction(value * unit)
