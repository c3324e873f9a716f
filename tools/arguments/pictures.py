"""Picture files as typed: which a folder holds, and reading one."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from maskstream.errors import SourceError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


def pictures_of(source: Path) -> list[Path]:
    """Return the picture, or the pictures of a folder.

    Raises:
        SourceError: There is none.
    """
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise SourceError(f"{source}: no such file; a picture or a folder of pictures is needed.")
    paths = sorted(p for p in source.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
    if not paths:
        raise SourceError(f"{source}: no pictures in it; files ending in {', '.join(SUFFIXES)}.")
    return paths


def read_bgr(path: Path) -> NDArray[np.uint8] | None:
    """Return a picture's (H, W, 3) BGR, the right way up; None where OpenCV does not read it."""
    try:
        bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    except cv2.error:  # the header says a size that no memory holds
        return None
    return None if bgr is None else np.asarray(bgr, np.uint8)
