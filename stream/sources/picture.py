"""From a decoded PyAV frame to the planes of the canvas.

Most video is 8-bit 4:2:0 already: then the planes are copied once, straight from the decoder's
memory. Everything else (other sampling, bit depth, RGB, other range, scaling) goes through
FFmpeg's scaler first.
"""

from __future__ import annotations

import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter
from numpy.typing import NDArray

from maskstream.stream.memory.frame import Planes
from maskstream.stream.memory.source_info import (
    MATRIX_BT470BG,
    MATRIX_BT601,
    MATRIX_UNKNOWN,
    RANGE_FULL,
    RANGE_LIMITED,
)
from maskstream.stream.pixels.geometry import Orientation, Placement, write_planes

_I420_FORMATS = frozenset({"yuv420p", "yuvj420p"})
_FULL_RANGE_PREFIX = "yuvj"


def color_range_of(frame: VideoFrame) -> int:
    """Returns 1 where the frame's luma takes all of 0..255, else 0; RGB becomes 0."""
    if frame.format.is_rgb:
        return RANGE_LIMITED
    full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith(_FULL_RANGE_PREFIX)
    return RANGE_FULL if full else RANGE_LIMITED


class PictureConverter:
    """Writes decoded frames into canvases of one colour range and matrix."""

    def __init__(self, color_range: int, color_matrix: int, threads: int) -> None:
        """Make a converter to ``color_range`` (0, 1) and ``color_matrix`` (1, 5, 6)."""
        self._range = color_range
        self._matrix = color_matrix
        self._threads = threads
        self._reformatter = VideoReformatter()

    def write(
        self, frame: VideoFrame, orientation: Orientation, placement: Placement, planes: Planes
    ) -> None:
        """Write ``frame``, converted, scaled and turned as asked, into ``planes``."""
        if not self._is_ready(frame, placement):
            frame = self._convert(frame, placement)
        write_planes(_planes_of(frame), orientation, placement, self._range, planes)

    def _is_ready(self, frame: VideoFrame, placement: Placement) -> bool:
        return (
            frame.format.name in _I420_FORMATS
            and (frame.width, frame.height) == (placement.scaled_width, placement.scaled_height)
            and color_range_of(frame) == self._range
            and self._has_our_matrix(frame)
        )

    def _has_our_matrix(self, frame: VideoFrame) -> bool:
        both = {frame.colorspace, self._matrix}
        return (
            frame.colorspace in (MATRIX_UNKNOWN, self._matrix)
            or both == {MATRIX_BT470BG, MATRIX_BT601}  # two numbers for one matrix
        )

    def _convert(self, frame: VideoFrame, placement: Placement) -> VideoFrame:
        is_rgb = frame.format.is_rgb
        keeps_matrix = not is_rgb and self._has_our_matrix(frame)
        is_full = color_range_of(frame) == RANGE_FULL
        return self._reformatter.reformat(
            frame,
            width=placement.scaled_width,
            height=placement.scaled_height,
            format="yuv420p",
            # The scaler's numbers are FFmpeg's own, but 6 is not among them.
            dst_colorspace=None if keeps_matrix else min(self._matrix, MATRIX_BT470BG),
            src_color_range=None if is_rgb else ColorRange.JPEG if is_full else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG if self._range == RANGE_FULL else ColorRange.MPEG,
            interpolation=Interpolation.BICUBIC,
            threads=self._threads,
        )


def _planes_of(frame: VideoFrame) -> Planes:
    y, u, v = frame.planes
    return Planes(_rows_of(y), _rows_of(u), _rows_of(v))


def _rows_of(plane: VideoPlane) -> NDArray[np.uint8]:
    pitch = plane.line_size
    memory = np.frombuffer(memoryview(plane), np.uint8)
    rows = memory.reshape(plane.height, abs(pitch))[:, : plane.width]
    return rows if pitch > 0 else rows[::-1]  # upside down in memory
