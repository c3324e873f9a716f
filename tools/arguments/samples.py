"""Frames of a clip or pictures of a folder, for what looks at each of them by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from maskstream.engines.decoding.crops import Picture, RgbPicture
from maskstream.engines.interface.fit import FitKind, fitted
from maskstream.errors import SourceError
from maskstream.stream.memory.frame import planes_of
from maskstream.stream.pixels.crops import PlanesPicture
from maskstream.stream.pixels.scaling import network_input
from maskstream.stream.sources.open import open_source
from maskstream.tools.arguments.pictures import holds_picture, pictures_of, read_picture


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture or frame.

    Attributes:
        size_px: Width and height.
        to_input: Returns it as (side, side, 3) RGB, for an input of that side and that fit.
        picture: It at its full resolution, for what looks at parts of it.

    Both are good until the next sample is asked for.
    """

    size_px: tuple[int, int]
    to_input: Callable[[int, FitKind], NDArray[np.uint8]]
    picture: Picture

    @classmethod
    def of_rgb(cls, rgb: NDArray[np.uint8]) -> Self:
        """Make one of a (H, W, 3) RGB picture."""
        return cls((rgb.shape[1], rgb.shape[0]), partial(fitted, rgb), RgbPicture(rgb))


def read_samples(source: Path, count_max: int) -> Iterator[Sample]:
    """Yield frames of a clip, or a picture or a folder's pictures; evenly spread where some do.

    Raises:
        SourceError: There is none, or one cannot be read.
    """
    paths = pictures_of(source) if source.is_dir() else [source]
    if source.is_dir() or holds_picture(source):
        step = max(1, len(paths) // count_max)
        yield from map(_picture, paths[::step][:count_max])
    else:
        yield from _frames(source, count_max)


def _picture(path: Path) -> Sample:
    bgr = read_picture(path)
    if bgr is None:
        raise SourceError(f"{path}: cannot be read as a picture; take it out.")
    return Sample.of_rgb(bgr[..., ::-1])


def _frames(source: Path, count_max: int) -> Iterator[Sample]:
    """Yield frames as the line's network sees them."""
    with closing(open_source(str(source), threads=1)) as opened:
        info = opened.info
        planes = planes_of(
            np.zeros(info.width * info.height * 3 // 2, np.uint8), info.width, info.height
        )

        def to_input(side: int, fit: FitKind) -> NDArray[np.uint8]:
            out = np.empty((side, side, 3), np.uint8)
            network_input(
                planes, out, color_range=info.color_range, color_matrix=info.color_matrix, fit=fit
            )
            return out

        picture = PlanesPicture(planes, info.color_range, info.color_matrix)
        step = max(1, (info.frame_count or 0) // count_max)
        taken = 0
        for number, frame in enumerate(opened.frames()):
            if number % step == 0:
                frame.write_into(planes)
                yield Sample((info.width, info.height), to_input, picture)
                taken += 1
            if taken == count_max:
                return
        if taken == 0:
            reason = opened.error or "it has no frames"
            raise SourceError(f"{source}: no frame could be read ({reason}).")
