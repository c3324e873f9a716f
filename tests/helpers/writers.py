"""What the tests of all writers share: small settings, and frames that are written."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from maskstream.stream.codecs.encoding import EncoderSettings
from tests.helpers.clips import gradient, planes_from


def small_settings(**changes: Any) -> EncoderSettings:
    """Pictures of 64 x 48 at 25 a second, encoded as fast as can be."""
    usual: dict[str, Any] = {
        "width": 64,
        "height": 48,
        "time_base": Fraction(1, 25),
        "frame_rate": 25.0,
        "color_range": 0,
        "color_matrix": 6,
        "preset": "ultrafast",
    }
    return EncoderSettings(**(usual | changes))


def write_timed(writer: Any, pts: Iterable[int]) -> None:
    """Write small pictures that tell their pts, for some seconds of video."""
    for time in pts:
        writer.write(planes_from(gradient(time % 70, 64, 48), 64, 48), time)


def write_noise(writer: Any, size: tuple[int, int], pts: Iterable[int] = range(2000)) -> None:
    """Write what cannot be compressed; where a disk is small, until it fails."""
    rng = np.random.default_rng(0)
    for time in pts:
        noise = rng.integers(0, 255, size[0] * size[1] * 3 // 2).astype(np.uint8)
        writer.write(planes_from(noise, *size), time)


def pictures(place: Path | str) -> list[np.ndarray]:
    """All pictures of a file or an address, as I420 bytes."""
    with av.open(str(place)) as container:
        return [frame.to_ndarray(format="yuv420p").ravel() for frame in container.decode(video=0)]
