"""Clips made for a measurement, so that it needs no file of the user's."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np

from maskstream.stream.codecs.encoding import EncoderSettings
from maskstream.stream.memory.frame import planes_of
from maskstream.stream.memory.source_info import SourceInfo
from maskstream.stream.processes.machine import available_cores
from maskstream.stream.recording.writer import VideoWriter
from maskstream.stream.sources.open import open_source


def make_clip(path: Path, *, width: int, height: int, frame_count: int) -> Path:
    """Record the synthetic source, so that a clip of any size has something to decode."""
    uri = f"synthetic:numbered?size={width}x{height}&fps=30&frames={frame_count}"
    pixels = np.zeros(width * height * 3 // 2, np.uint8)
    planes = planes_of(pixels, width, height)
    with closing(open_source(uri, threads=1)) as source:
        writer = open_writer(path, source.info, threads=available_cores())
        for frame in source.frames():
            frame.write_into(planes)
            writer.write(planes, frame.pts)
        writer.close(complete=True)
    return path


def open_writer(path: Path, info: SourceInfo, *, threads: int) -> VideoWriter:
    """Return a recorder of frames such as a source gives."""
    return VideoWriter(path, EncoderSettings.of(info, threads=threads))
