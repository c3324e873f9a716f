"""Small video files with known contents, made as they are needed, and independent readings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from maskstream.stream.memory.frame import Planes, planes_of


def gradient(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """I420 bytes of a picture with no symmetry that differs from frame to frame."""
    down, across = np.mgrid[0:height, 0:width]
    luma = (40 + across * 120 // width + down * 50 // height + number * 3) % 220 + 16
    half_down, half_across = np.mgrid[0 : (height + 1) // 2, 0 : (width + 1) // 2]
    blue = 90 + half_across * 60 // width
    red = 150 - half_down * 60 // height
    return np.concatenate([plane.ravel() for plane in (luma, blue, red)]).astype(np.uint8)


def flat(y: int, u: int, v: int) -> Callable[[int, int, int], NDArray[np.uint8]]:
    """A painter of pictures of one colour."""

    def paint(number: int, width: int, height: int) -> NDArray[np.uint8]:
        chroma = ((width + 1) // 2) * ((height + 1) // 2)
        parts = [np.full(width * height, y), np.full(chroma, u), np.full(chroma, v)]
        return np.concatenate(parts).astype(np.uint8)

    return paint


def frame_of(pixels: NDArray[np.uint8], width: int, height: int) -> av.VideoFrame:
    """An I420 frame of any size, odd ones too, filled line by line."""
    frame = av.VideoFrame(width, height, "yuv420p")
    start = 0
    for plane in frame.planes:
        size = plane.width * plane.height
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        rows[:, : plane.width] = pixels[start : start + size].reshape(plane.height, plane.width)
        start += size
    return frame


def make_clip(
    path: Path,
    *,
    pts: Iterable[int] = range(5),
    time_base: Fraction = Fraction(1, 25),
    size: tuple[int, int] = (64, 48),
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    options: dict[str, str] | None = None,
    paint: Callable[[int, int, int], NDArray[np.uint8]] = gradient,
    color_range: int = 0,
    color_matrix: int = 2,
    sample_aspect: Fraction | None = None,
    rotation: dict[str, Any] | None = None,
    sound: str | None = None,
    sound_start_s: float = 0.0,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Write a clip; x264 is lossless unless ``options`` say otherwise."""
    width, height = size
    with av.open(str(path), "w", container_options=container_options or {}) as container:
        chosen = options if options is not None else {"qp": "0"} if codec == "libx264" else {}
        stream: Any = container.add_stream(codec, rate=25, options=chosen, time_base=time_base)
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        stream.codec_context.color_range = color_range
        stream.codec_context.colorspace = color_matrix
        if sample_aspect is not None:
            stream.codec_context.sample_aspect_ratio = sample_aspect
        if rotation is not None:
            stream.set_display_rotation(**rotation)
        tone = container.add_stream(sound, rate=48_000) if sound else None
        times = list(pts)
        for number, time in enumerate(times):
            frame = frame_of(paint(number, width, height), width, height)
            frame.pts, frame.time_base = time, time_base
            frame.color_range, frame.colorspace = color_range, color_matrix
            if pixel_format != "yuv420p":
                frame = frame.reformat(format=pixel_format)
                frame.pts, frame.time_base = time, time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if tone is not None:
            _add_tone(container, tone, float(times[-1] * time_base), sound_start_s)
    return path


def _add_tone(container: Any, stream: Any, length_s: float, start_s: float) -> None:
    samples = stream.codec_context.frame_size or 1024
    stream.codec_context.open(strict=False)
    samples = stream.codec_context.frame_size or 1024
    for index in range(int(length_s * 48_000 / samples) + 1):
        wave = np.sin(np.arange(index * samples, (index + 1) * samples) / 20).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(np.stack([wave, wave]), "fltp", "stereo")
        frame.sample_rate = 48_000
        frame.time_base = Fraction(1, 48_000)
        frame.pts = index * samples + int(start_s * 48_000)
        for part in _resampled(frame, stream):
            container.mux(stream.encode(part))
    container.mux(stream.encode(None))


def _resampled(frame: av.AudioFrame, stream: Any) -> list[av.AudioFrame]:
    resampler = av.AudioResampler(format=stream.codec_context.format, layout="stereo", rate=48_000)
    parts = resampler.resample(frame)
    for part in parts:
        part.pts = frame.pts
    return parts


def frame_times(path: Path) -> list[Fraction]:
    """Presentation times of all frames of the first video stream, in seconds."""
    with av.open(str(path)) as container:
        return [_seconds(frame) for frame in container.decode(video=0)]


def _seconds(item: Any) -> Fraction:
    return Fraction(item.pts * item.time_base)


def canvas(width: int, height: int) -> Planes:
    """Planes as in a slot, filled with what no test expects."""
    return planes_of(np.full(width * height * 3 // 2, 7, np.uint8), width, height)


def filled(width: int, height: int, y: int, chroma: int) -> Planes:
    """Planes of one luma, and of one value in both chroma planes."""
    planes = planes_of(np.full(width * height * 3 // 2, y, np.uint8), width, height)
    planes.u[...] = chroma
    planes.v[...] = chroma
    return planes


def planes_from(pixels: NDArray[np.uint8], width: int, height: int) -> Planes:
    """The planes in the bytes of an even-sized picture."""
    return planes_of(np.ascontiguousarray(pixels).reshape(-1), width, height)


def as_seconds(pts: Sequence[int], time_base: Fraction) -> list[Fraction]:
    """Timestamps in seconds."""
    return [value * time_base for value in pts]
