"""The encoder of a recording: x264 in an mp4 or mkv that survives being killed.

An mp4 grows in fragments from one keyframe to the next and is turned into a plain seekable one
when it is closed (FFmpeg's "hybrid fragmented"); an mkv grows in clusters of a second. So whatever
kills the process, what was recorded up to about two seconds before plays.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
from av.codec.context import ThreadType
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream
from numpy.lib.stride_tricks import as_strided

from stream.errors import ConfigError
from stream.frame import Planes
from stream.source_types import RANGE_FULL

PRESETS = (
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow",
)  # fmt: skip
"""Of x264, from the fastest to the one that makes the smallest files."""
CRF_MAX = 51
_DEFAULT_RATE_HZ = Fraction(25)
_RATE_MAX_HZ = 1000
_KEYFRAME_SPACING_S = 2
_COMMON_OPTIONS = {
    "flush_packets": "1",  # nothing that is finished stays in our memory
    "max_interleave_delta": "1000000",  # sound that breaks off holds pictures back for 1 s, not 10
}
_MATROSKA_OPTIONS = {"cluster_time_limit": "1000"}
_MP4_OPTIONS = {
    # delay_moov: the first header waits for the first frames, so that a start after 0 and the
    # encoder's reordering are written into it instead of shifting every timestamp.
    # frag_keyframe: cut at other places, by frag_duration, FFmpeg 8 may take the time of the next
    # packet in decoding order for the track's end, and the edit list then hides the last frame.
    "movflags": "hybrid_fragmented+frag_keyframe+delay_moov",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSettings:
    """What the encoder is to make.

    Raises:
        ConfigError: The preset or the crf is impossible.
    """

    width: int
    """Even, in pixels."""
    height: int
    """Even, in pixels."""
    time_base: Fraction
    """Seconds in one unit of the pts."""
    frame_rate: float | None
    """Frames a second, a hint for rate control and keyframes; None where it is unknown."""
    color_range: int
    """0 limited, 1 full; written into the file."""
    color_matrix: int
    """1 = BT.709, 5 or 6 = BT.601; written into the file."""
    preset: str
    """One of ``PRESETS``."""
    crf: int
    """Quality of x264, 0 (lossless) to 51."""
    threads: int
    """At least 1."""

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            near = difflib.get_close_matches(self.preset, PRESETS, n=1)
            wanted = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(PRESETS)}."
            raise ConfigError(f"preset: {self.preset!r} is unknown; {wanted}")
        if not 0 <= self.crf <= CRF_MAX:
            raise ConfigError(f"crf: {self.crf} is impossible; give 0 (lossless) to {CRF_MAX}.")

    @property
    def rate_hz(self) -> Fraction:
        """Frames a second, 25 where nothing sensible is known."""
        if self.frame_rate is None or not 0 < self.frame_rate <= _RATE_MAX_HZ:
            return _DEFAULT_RATE_HZ
        return max(Fraction(self.frame_rate).limit_denominator(1001), Fraction(1, 1001))

    @property
    def nominal_duration(self) -> int:
        """How long a frame is usually shown, in the time base."""
        return max(1, round(1 / (self.rate_hz * self.time_base)))


def open_recording(target: Path | BytesIO, container: str, time_base: Fraction) -> OutputContainer:
    """Returns a new file, opened for writing, without streams.

    Args:
        target: Overwritten where it exists; memory for a trial.
        container: FFmpeg's name, ``mp4`` or ``matroska``.
        time_base: Of the pictures to come.
    """
    options = _MATROSKA_OPTIONS
    if container == "mp4":
        # Edit lists count in the movie's own time scale, milliseconds by default.
        options = _MP4_OPTIONS | {"movie_timescale": str(time_base.denominator)}
    return av.open(
        f"file:{target}" if isinstance(target, Path) else target,
        mode="w",
        format=container,
        container_options=_COMMON_OPTIONS | options,
    )


def add_video(container: OutputContainer, settings: EncoderSettings) -> VideoStream:
    """Returns a new H.264 stream in ``container``, ready to encode I420 frames."""
    stream = container.add_stream(
        "libx264",
        rate=settings.rate_hz,
        options={"preset": settings.preset, "crf": str(settings.crf)},
        time_base=settings.time_base,
    )
    stream.width, stream.height, stream.pix_fmt = settings.width, settings.height, "yuv420p"
    context = stream.codec_context
    is_full = settings.color_range == RANGE_FULL
    context.color_range = ColorRange.JPEG if is_full else ColorRange.MPEG
    context.colorspace = settings.color_matrix
    context.gop_size = max(1, round(settings.rate_hz * _KEYFRAME_SPACING_S))
    context.thread_count = settings.threads
    # PyAV's default, slices, costs a fifth of the speed; the delay it saves matters to no file.
    context.thread_type = ThreadType.FRAME
    return stream


class FrameWrapper:
    """Hands planes to the encoder, without a copy where they lie in memory as in a slot.

    x264 copies what it is given before ``encode`` returns, so the planes are free again then.
    """

    def __init__(self) -> None:
        """Own nothing yet."""
        self._frame: VideoFrame | None = None

    def wrap(self, planes: Planes) -> VideoFrame:
        """Returns a frame with the picture of ``planes``, valid until the next call."""
        height, width = planes.y.shape
        # PyAV computes a wrong height for pictures of 2 rows more than a multiple of 4.
        if height % 4 == 0 and _is_joint(planes):
            joint = as_strided(planes.y, (height * 3 // 2, width), (width, 1))
            return VideoFrame.from_numpy_buffer(joint, "yuv420p")
        if self._frame is None:
            self._frame = VideoFrame(width, height, "yuv420p")
        for source, plane in zip(planes, self._frame.planes, strict=True):
            rows, columns = source.shape
            memory = np.frombuffer(memoryview(plane), np.uint8).reshape(rows, plane.line_size)
            np.copyto(memory[:, :columns], source)
        return self._frame


def _is_joint(planes: Planes) -> bool:
    """Returns whether the planes lie one after the other without padding, as in a slot."""
    y, u, v = planes
    start = y.ctypes.data
    return (
        all(plane.flags.c_contiguous for plane in planes)
        and u.ctypes.data == start + y.size
        and v.ctypes.data == start + y.size + u.size
    )
