"""Tries decoders and encoders: ``python -m maskstream.stream.codecs.hardware_trial decoder:cuda
encoder:libx264``.

Each is given a few frames of 1280 x 720 pixels through what a run itself decodes and encodes with,
and a line of JSON on standard output says what came of it: the fields of ``hardware.Trial``.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import closing
from dataclasses import asdict
from fractions import Fraction
from io import BytesIO
from typing import cast

import av.error
import numpy as np
from av.codec.codec import Codec, UnknownCodecError
from av.codec.hwaccel import HWAccel

from maskstream.errors import MaskstreamError
from maskstream.stream.codecs.encoding import EncoderSettings, open_recording
from maskstream.stream.codecs.frame_encoder import FrameEncoder
from maskstream.stream.codecs.hardware import CPU_DECODER, CPU_ENCODER, Kind, Trial
from maskstream.stream.memory.frame import Planes, planes_of
from maskstream.stream.sources.media import cause_of
from maskstream.stream.sources.video_file import VideoFile

_SIZE = (1280, 720)
_WARM_UP_COUNT = 8
_COUNT = 48
"""Of frames, the first ones included, whose time is not counted: devices wake up meanwhile."""
_ERRORS = (av.error.FFmpegError, OSError, ValueError, MaskstreamError)


def main(texts: list[str]) -> None:
    """Try what ``texts`` name, one after the other."""
    for text in texts:
        kind, _, name = text.partition(":")
        line = json.dumps(asdict(try_one(cast("Kind", kind), name)))
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def try_one(kind: Kind, name: str) -> Trial:
    """Return what came of one; whatever is wrong is in its ``problem``."""
    try:
        frame_ms = _decode_ms(name) if kind == "decoder" else _encode_ms(name)
    except (UnknownCodecError, NotImplementedError):
        return Trial(kind, name, None, "not built into FFmpeg here")
    except _ERRORS as exc:
        return Trial(kind, name, None, cause_of(exc).lower())
    return Trial(kind, name, frame_ms)


def _encode_ms(name: str) -> float:
    started_s = 0.0
    pictures = _pictures()
    with closing(FrameEncoder(_settings(name), "mp4")) as encoder:
        for number in range(_COUNT):
            if number == _WARM_UP_COUNT:
                started_s = time.perf_counter()
            encoder.encode(pictures[number % len(pictures)], number)
        encoder.flush()
        return 1e3 * (time.perf_counter() - started_s) / (_COUNT - _WARM_UP_COUNT)


def _decode_ms(name: str) -> float:
    wished = None if name == CPU_DECODER else name
    if wished is not None:
        HWAccel(wished).create(Codec("h264", "r"))  # a file would only say that it is not taken
    descriptor = os.memfd_create("clip")
    try:
        os.write(descriptor, _clip())
        path = f"/proc/self/fd/{descriptor}"
        with closing(VideoFile(path, threads=1, decoder=wished)) as file:
            if file.decoder != wished:
                raise ValueError("h264 is not decoded")
            return _read_ms(file)
    finally:
        os.close(descriptor)


def _read_ms(file: VideoFile) -> float:
    planes, started_s = _planes(np.zeros(_SIZE[0] * _SIZE[1] * 3 // 2, np.uint8)), 0.0
    for number, frame in enumerate(file.frames()):
        if number == _WARM_UP_COUNT:
            started_s = time.perf_counter()
        frame.write_into(planes)
    if file.error is not None or number + 1 != _COUNT:
        raise ValueError(f"{number + 1} of {_COUNT} frames decoded")
    return 1e3 * (time.perf_counter() - started_s) / (_COUNT - _WARM_UP_COUNT)


def _clip() -> bytes:
    """Return a small file with as many frames as are tried."""
    memory, pictures = BytesIO(), _pictures()
    settings = _settings(CPU_ENCODER)
    with (
        closing(FrameEncoder(settings, "mp4")) as encoder,
        closing(open_recording(memory, "mp4", settings.time_base)) as container,
    ):
        stream = container.add_stream_from_template(encoder.stream)
        for number in range(_COUNT + 1):
            is_end = number == _COUNT
            packets = (
                encoder.flush()
                if is_end
                else encoder.encode(pictures[number % len(pictures)], number)
            )
            for packet in packets:
                packet.stream = stream
                container.mux_one(packet)
    return memory.getvalue()


def _settings(encoder: str) -> EncoderSettings:
    return EncoderSettings(
        width=_SIZE[0],
        height=_SIZE[1],
        time_base=Fraction(1, 25),
        frame_rate=25.0,
        color_range=0,
        color_matrix=1,
        encoder=encoder,
    )


def _pictures() -> list[Planes]:
    """Return some pictures that move, with as much grain as a camera's."""
    width, height = _SIZE
    random = np.random.default_rng(0)
    down, across = np.mgrid[0:height, 0:width]
    pictures = []
    for number in range(8):
        pixels = np.full(width * height * 3 // 2, 128, np.uint8)
        waves = 60 * np.sin((across + 9 * number) / 37) * np.cos((down - 5 * number) / 23)
        grain = random.normal(0, 3, (height, width))
        pixels[: width * height] = np.clip(125 + waves + grain, 16, 235).ravel()
        pictures.append(_planes(pixels))
    return pictures


def _planes(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Planes:
    return planes_of(pixels, *_SIZE)


if __name__ == "__main__":
    main(sys.argv[1:])
