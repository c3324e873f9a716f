"""Pictures through an engine, and their instances drawn on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from maskstream.engines import Engine
from maskstream.engines.decoding.crops import RgbPicture
from maskstream.engines.interface.fit import fitted
from maskstream.engines.interface.instances import Instances
from maskstream.stream.memory.frame import planes_of
from maskstream.stream.pixels.colors import LIMITED_RANGE
from maskstream.stream.pixels.painter import DrawStyle, Painter
from maskstream.stream.pixels.still import Still

BATCH = 4
_BT601 = 6


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that was read.

    Attributes:
        bgr: (H, W, 3) uint8, the right way up.
    """

    path: Path
    bgr: NDArray[np.uint8]


def detect_pictures(
    engine: Engine, pictures: Iterable[Picture], **selection: Any
) -> Iterator[tuple[Picture, Instances]]:
    """Run an engine over pictures, a few at once; ``selection`` is that of `Engine.detect`."""
    size, fit = engine.manifest.input_size, engine.manifest.fit
    rest = iter(pictures)
    while some := list(islice(rest, BATCH)):
        whole = [RgbPicture(picture.bgr[..., ::-1]) for picture in some]
        # Turned after it is fitted: to scale the turned view, OpenCV would copy the whole picture.
        frames = np.stack([fitted(picture.bgr, size, fit)[..., ::-1] for picture in some])
        sizes = [(picture.bgr.shape[1], picture.bgr.shape[0]) for picture in some]
        found = engine.detect(frames, sizes, pictures=whole, **selection)
        yield from zip(some, found, strict=True)


def draw_on(bgr: NDArray[np.uint8], instances: Instances, style: DrawStyle) -> NDArray[np.uint8]:
    """Return a picture with its instances drawn by the line's painter; the rest stays as it was.

    Args:
        bgr: (H, W, 3), of any size; not changed.
    """
    height, width = bgr.shape[:2]
    # The painter works on planes, whose chroma is at half the size, so the sides have to be even.
    even = cv2.copyMakeBorder(bgr, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    pixels = np.asarray(cv2.cvtColor(even, cv2.COLOR_BGR2YUV_I420), np.uint8).reshape(-1)
    still = Still(
        planes_of(pixels, even.shape[1], even.shape[0]), LIMITED_RANGE, _BT601, sequence=0
    )
    before = np.empty(even.shape, np.uint8)
    after = np.empty(even.shape, np.uint8)
    still.write_bgr(before)
    Painter(style, *still.size, LIMITED_RANGE, _BT601).draw(still.planes, instances, None)
    still.write_bgr(after)
    # Only what was drawn on is taken from the planes: they have lost some of the colour.
    is_drawn = (before != after).any(axis=2)[:height, :width, None]
    return np.where(is_drawn, after[:height, :width], bgr)
