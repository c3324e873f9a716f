"""A delivered frame to be looked at: scaled and converted for a screen, or saved as a file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import NamedTuple, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from maskstream.errors import OutputError
from maskstream.stream.memory.frame import Planes
from maskstream.stream.memory.slot import Slot
from maskstream.stream.pixels.colors import YuvSpace

_NAME_MAX = 80
_LITTLE_COMPRESSION = (cv2.IMWRITE_PNG_COMPRESSION, 1)


class Size(NamedTuple):
    """Of a picture, a part of the screen or a window, in pixels."""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Still:
    """One frame, in planes that belong to a slot, or to it alone once it is a copy."""

    planes: Planes
    color_range: int
    """0 limited, 1 full."""
    color_matrix: int
    """A key of ``colors.LUMA_WEIGHTS``."""
    sequence: int
    """Number of the frame in its source."""

    @classmethod
    def of(cls, slot: Slot) -> Self:
        """Returns the frame in ``slot``, valid as long as the slot is."""
        header = slot.header
        return cls(slot.planes, header.color_range, header.color_matrix, header.sequence)

    def copy(self) -> Still:
        """Returns the same frame in planes of its own."""
        planes = Planes(*(plane.copy() for plane in self.planes))
        return Still(planes, self.color_range, self.color_matrix, self.sequence)

    @property
    def size(self) -> Size:
        """Of the frame."""
        height, width = self.planes.y.shape
        return Size(width, height)

    def write_bgr(self, out: NDArray[np.uint8]) -> None:
        """Scale the frame to ``out``'s size and convert it to OpenCV's order of colours.

        The planes are scaled before they are converted, so that the cost goes by the pixels seen.
        A chroma sample counts as lying in the middle of its 2 x 2 pixels, as for the network.

        Args:
            out: (height, width, 3), may be a part of a larger picture; overwritten.
        """
        height, width = out.shape[:2]
        scaled = cv2.merge([_scaled(plane, Size(width, height)) for plane in self.planes])
        cv2.transform(scaled, _bgr_matrix(self.color_range, self.color_matrix), out)

    def bgr(self) -> NDArray[np.uint8]:
        """Return the frame in its own size, (height, width, 3) in OpenCV's order of colours."""
        picture = np.empty((self.size.height, self.size.width, 3), np.uint8)
        self.write_bgr(picture)
        return picture

    def save(self, folder: Path, name: str) -> Path:
        """Save the frame in its own size as a PNG file; returns its path, which is a new one.

        Args:
            folder: That is there.
            name: Of the source, which the file is named after, with the frame's number.

        Raises:
            OutputError: It cannot be written.
        """
        _, encoded = cv2.imencode(".png", self.bgr(), _LITTLE_COMPRESSION)
        stem = f"{_plain(name)}-{self.sequence:06d}"
        for number in count(1):
            path = folder / f"{stem}{'' if number == 1 else f'-{number}'}.png"
            try:
                with path.open("xb") as file:
                    file.write(encoded.tobytes())
            except FileExistsError:
                continue
            except OSError as exc:
                raise OutputError(
                    f"{path}: the picture cannot be written ({exc.strerror}); "
                    "start the run in a folder that you may write to."
                ) from exc
            break
        return path


def _plain(name: str) -> str:
    """Returns a source's name as part of a file's: ``street`` for ``clips/street.mp4``."""
    base = name if "://" in name else Path(name).stem
    return re.sub(r"[^\w.-]+", "-", base).strip("-.")[:_NAME_MAX] or "source"


@lru_cache(maxsize=16)
def _bgr_matrix(color_range: int, color_matrix: int) -> NDArray[np.float32]:
    return YuvSpace(color_range, color_matrix).rgb_matrix()[::-1].copy()


def _scaled(plane: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """Return ``plane`` at ``size``: halved while it is twice as large or more, then bilinear.

    Bilinear alone would skip pixels beyond a factor of two, so thin things would flicker. By area
    in one step took six times as long for 1080p in a window of 1728 x 972.
    """
    rows, columns = plane.shape
    while rows >= 2 * size.height and columns >= 2 * size.width:
        rows, columns = rows // 2, columns // 2
        plane = _resized(plane, columns, rows, cv2.INTER_AREA)
    if (columns, rows) == size:
        return plane
    return _resized(plane, size.width, size.height, cv2.INTER_LINEAR)


def _resized(plane: NDArray[np.uint8], columns: int, rows: int, method: int) -> NDArray[np.uint8]:
    return cv2.resize(plane, (columns, rows), interpolation=method).astype(np.uint8, copy=False)
