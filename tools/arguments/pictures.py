"""Picture files as typed: which a folder holds, reading and encoding one.

Files are read and written here, not by OpenCV: it takes names in UTF-8 alone, and ends the process
at others.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from maskstream.errors import SourceError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
"""Of pictures that are written."""
_STARTS = (
    b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP",
    b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"v/1\x01", b"#?RADIANCE",
)  # fmt: skip
_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1")
"""Of the pictures among the files in MP4's format."""
_START_BYTES = 64
_PROPERTIES_BYTES = 4096
"""Of an AVIF or HEIC file, in which its properties lie."""
_NAMED_MAX = 3
_NARROW = 1 << 14
"""A picture of 16 bits that uses less than a quarter of its range is scaled by what is in it."""


def is_picture_name(path: Path) -> bool:
    """Return whether a file of that name is written as a picture."""
    return path.suffix.lower() in SUFFIXES


def printable(path: Path) -> str:
    """Return a path as text that can be encoded; bytes that are no UTF-8 become ``\\xNN``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def pictures_of(source: Path, note: Callable[[str], None] = lambda _: None) -> list[Path]:
    """Return the picture, or the pictures of a folder: by their names, or by what they hold.

    Args:
        note: Takes a line about visible files that are none.

    Raises:
        SourceError: There is none.
    """
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise SourceError(f"{source}: no such file; a picture or a folder of pictures is needed.")
    files = sorted(p for p in source.iterdir() if p.is_file() and not p.name.startswith("."))
    paths = [path for path in files if is_picture_name(path) or holds_picture(path)]
    if not paths:
        raise SourceError(f"{source}: no pictures in it; files such as {', '.join(SUFFIXES)}.")
    others = [path.name for path in files if path not in paths]
    if others:
        more = f" and {len(others) - _NAMED_MAX} more" if len(others) > _NAMED_MAX else ""
        note(f"{source}: no pictures, so ignored: {', '.join(others[:_NAMED_MAX])}{more}.")
    return paths


def holds_picture(path: Path) -> bool:
    """Return whether a file begins as a picture does."""
    try:
        with path.open("rb") as file:
            start = file.read(_START_BYTES)
    except OSError:
        return False
    is_webp = start[:4] == b"RIFF" and start[8:12] == b"WEBP"
    is_avif = start[4:8] == b"ftyp" and any(brand in start[8:] for brand in _BRANDS)
    return is_webp or is_avif or start.startswith(_STARTS)


def read_picture(
    path: Path, note: Callable[[str], None] = lambda _: None
) -> NDArray[np.uint8] | None:
    """Return a picture's (H, W, 3) BGR, the right way up; None where it cannot be read.

    Args:
        note: Takes a line about a picture of more than 8 bits that is scaled.
    """
    try:
        data = np.fromfile(path, np.uint8)
        if not data.size:
            return None
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    except (OSError, cv2.error):  # cv2: the header says a size that no memory holds
        return None
    if bgr is None:
        return None
    scaled, scaling = _in_8_bits(bgr)
    if scaling:
        note(f"{path}: {scaling}.")
    start = data[:_PROPERTIES_BYTES].tobytes()
    upright = _turned(scaled, start) if start[4:8] == b"ftyp" else scaled
    return np.ascontiguousarray(upright, np.uint8)


def _in_8_bits(picture: NDArray[Any]) -> tuple[NDArray[np.uint8], str]:
    """Return a picture of 16 bits, or of floats, in 8 bits; and how it was scaled if unusually."""
    if picture.dtype == np.uint8:
        return picture.astype(np.uint8, copy=False), ""
    values = picture.astype(np.float32)
    low, high = (float(value) for value in np.percentile(values, (0.1, 99.9)))
    is_float = np.issubdtype(picture.dtype, np.floating)
    if not is_float and high >= _NARROW and high - low >= _NARROW:
        return (picture.astype(np.uint16) >> 8).astype(np.uint8), ""
    # Values far above zero are stretched; those that begin near it keep their black.
    low = low if high - low < high / 2 else min(low, 0.0)
    scaled = (values - low) * (255 / max(high - low, 1e-6))
    text = f"uses {low:.5g} to {high:.5g} of its range, scaled to 8 bits"
    return np.clip(scaled, 0, 255).astype(np.uint8), text


def _turned(bgr: NDArray[np.uint8], start: bytes) -> NDArray[np.uint8]:
    """Return an AVIF or HEIC picture turned as its properties say, which OpenCV ignores.

    Source: ISO/IEC 23008-12, ``irot`` (quarter turns anticlockwise), then ``imir`` (axis).
    """
    at = start.find(b"irot")
    if at >= 0 and len(start) > at + 4:
        bgr = np.rot90(bgr, start[at + 4] & 3)
    at = start.find(b"imir")
    if at >= 0 and len(start) > at + 4:
        bgr = bgr[:, ::-1] if start[at + 4] & 1 else bgr[::-1]
    return bgr


def encode_picture(suffix: str, bgr: NDArray[np.uint8]) -> bytes | None:
    """Return a picture in the format of a file's suffix; None where that cannot be."""
    try:
        is_done, data = cv2.imencode(suffix, bgr)
    except cv2.error:
        return None
    return data.tobytes() if is_done else None
