"""The encoder: of a recording that survives being killed, and of pictures that are sent.

Recordings are encoded by x264 or by graphics hardware (``stream.codecs.hardware`` says which is
here), what is sent always by x264.

An mp4 grows in fragments from one keyframe to the next and is turned into a plain seekable one
when it is closed (FFmpeg's "hybrid fragmented"); an mkv grows in clusters of a second. So whatever
kills the process, what was recorded up to about two seconds before plays.

What is sent has no B-frames and no lookahead: each frame leaves the encoder as it goes in, and is
cut into slices for its threads rather than kept back for them.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any, cast, get_args

import av
import numpy as np
from av.codec.context import Flags, ThreadType
from av.codec.hwaccel import HWAccel
from av.container import OutputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream
from numpy.lib.stride_tricks import as_strided

from maskstream.errors import ConfigError
from maskstream.stream.arguments import CRF_MAX, Preset, RunArguments
from maskstream.stream.memory.frame import Planes
from maskstream.stream.memory.source_info import RANGE_FULL, SourceInfo

PRESETS: tuple[str, ...] = get_args(Preset)
"""Of x264, from the fastest to the one that makes the smallest files."""
_DEFAULT_RATE_HZ = Fraction(25)
_RATE_MAX_HZ = 1000
_KEYFRAME_SPACING_S = 2
_SENT_KEYFRAME_SPACING_S = 1
"""Whoever lost a packet, or joins, sees a whole picture after so long at the latest."""
_COMMON_OPTIONS = {
    "flush_packets": "1",  # nothing that is finished stays in our memory
    "max_interleave_delta": "1000000",  # sound that breaks off holds pictures back for 1 s, not 10
}
_SIDE_MAX_PX = 16_384
"""Of x264; HEVC holds more, but x265 as it comes with PyAV ended the process on such pictures."""
_PIXEL_FORMATS = {"qsv": "nv12", "vaapi": "nv12"}
"""What the encoders of each maker take; all others take what the line has."""
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
        ConfigError: The preset, the crf or the size is impossible.
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
    preset: str = RunArguments.preset
    """One of ``PRESETS``: faster ones make larger files."""
    crf: int = RunArguments.crf
    """Quality of x264, 0 (lossless) to 51; 20 looks like the source."""
    threads: int = 1
    """At least 1; for x264."""
    encoder: str = "libx264"
    """Of recordings, by FFmpeg's name: ``libx264``, or one of ``hardware.CANDIDATES``."""

    @classmethod
    def of(
        cls, info: SourceInfo, *, time_base: Fraction | None = None, **quality: Any
    ) -> EncoderSettings:
        """Returns what encodes the frames of a source.

        Args:
            info: Of the source.
            time_base: Of the pts; None takes the source's own.
            quality: ``preset``, ``crf``, ``threads`` and ``encoder``, where they are not the usual
                ones.
        """
        return cls(
            width=info.width,
            height=info.height,
            time_base=time_base or info.time_base,
            frame_rate=info.frame_rate,
            color_range=info.color_range,
            color_matrix=info.color_matrix,
            **quality,
        )

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            near = difflib.get_close_matches(self.preset, PRESETS, n=1)
            wanted = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(PRESETS)}."
            raise ConfigError(f"preset: {self.preset!r} is unknown; {wanted}")
        if not 0 <= self.crf <= CRF_MAX:
            raise ConfigError(f"crf: {self.crf} is impossible; give 0 (lossless) to {CRF_MAX}.")
        if max(self.width, self.height) > _SIDE_MAX_PX:
            raise ConfigError(
                f"pictures of {self.width}x{self.height}: H.264 takes {_SIDE_MAX_PX} pixels a side "
                "at most; scale the video down first, or deliver results alone (--results)."
            )

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
    """Returns a new stream in ``container``, ready to encode I420 frames."""
    maker = settings.encoder.rpartition("_")[2]
    stream: VideoStream = cast("Any", container.add_stream)(
        settings.encoder,
        rate=settings.rate_hz,
        options=_recording_options(settings, maker),
        time_base=settings.time_base,
        hwaccel=HWAccel("vaapi") if maker == "vaapi" else None,
    )
    context = stream.codec_context
    _describe_pictures(context, settings, _KEYFRAME_SPACING_S)
    # PyAV converts where it has to, into pictures that the encoder may hold on to.
    context.pix_fmt = _PIXEL_FORMATS.get(maker, "yuv420p")
    # PyAV's default, slices, costs a fifth of the speed; the delay it saves matters to no file.
    context.thread_type = ThreadType.FRAME
    return stream


def _recording_options(settings: EncoderSettings, maker: str) -> dict[str, str]:
    """Returns the options of an encoder; each maker has a scale of quality much like x264's."""
    quality = str(max(1, settings.crf))  # 0 leaves it to the hardware
    by_maker = {
        # NVENC takes a bit rate of 2 Mbit/s for wanted unless it is told 0.
        "nvenc": {"preset": "p4", "rc": "vbr", "cq": quality, "b": "0", "forced-idr": "1"},
        "qsv": {"preset": "veryfast", "global_quality": quality, "forced_idr": "1"},
        "vaapi": {"rc_mode": "CQP", "global_quality": quality},
    }
    # Asked for a keyframe, x264 makes one that frames after it may still look behind.
    x264 = x264_options(settings.preset, settings.crf) | {"forced-idr": "1"}
    return by_maker.get(maker, x264)


def x264_options(preset: str, crf: int) -> dict[str, str]:
    """Returns FFmpeg's options for x264, of a recording.

    Looking ahead is the one thing that superfast leaves out and that pays: with it, files are about
    as small and as good as veryfast's (2 to 14 % and up to 0.5 dB apart on five clips) for two
    thirds of its time.
    """
    options = {"preset": preset, "crf": str(crf)}
    if preset == "superfast":
        options["x264-params"] = "mbtree=1:rc-lookahead=10"
    return options


def add_sent_video(container: OutputContainer, settings: EncoderSettings) -> VideoStream:
    """Returns a new H.264 stream of low delay in ``container``, whose keyframes explain it."""
    stream = container.add_stream(
        "libx264",
        rate=settings.rate_hz,
        options=_sent_options(settings) | {"x264-params": "repeat-headers=1"},
        time_base=settings.time_base,
    )
    _describe_pictures(stream.codec_context, settings, _SENT_KEYFRAME_SPACING_S)
    stream.codec_context.thread_type = ThreadType.SLICE
    return stream


def open_sent_video(settings: EncoderSettings) -> VideoCodecContext:
    """Returns an H.264 encoder of low delay; its ``extradata`` holds the parameter sets alone."""
    context = VideoCodecContext.create("libx264", "w")
    context.framerate, context.time_base = settings.rate_hz, settings.time_base
    context.options = _sent_options(settings)
    context.flags |= Flags.global_header
    _describe_pictures(context, settings, _SENT_KEYFRAME_SPACING_S)
    context.thread_type = ThreadType.SLICE
    context.open()
    return context


def _sent_options(settings: EncoderSettings) -> dict[str, str]:
    # A keyframe that is asked for is one to begin with (IDR), not just a whole picture.
    common = {"tune": "zerolatency", "forced-idr": "1"}
    return common | {"preset": settings.preset, "crf": str(settings.crf)}


def _describe_pictures(
    context: VideoCodecContext, settings: EncoderSettings, keyframe_spacing_s: int
) -> None:
    context.width, context.height, context.pix_fmt = settings.width, settings.height, "yuv420p"
    is_full = settings.color_range == RANGE_FULL
    context.color_range = ColorRange.JPEG if is_full else ColorRange.MPEG
    context.colorspace = settings.color_matrix
    context.gop_size = max(1, round(settings.rate_hz * keyframe_spacing_s))
    context.thread_count = settings.threads


class FrameWrapper:
    """Hands planes to the encoder, without a copy where they lie in memory as in a slot.

    Encoders copy what they are given before ``encode`` returns, so the planes are free again then.
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
