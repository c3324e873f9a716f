"""What objects look like: the colours of the pixels in their masks.

A mask leaves the background out, so a few histograms tell people apart by their clothes where
boxes would mostly compare pavements. An object's upper and lower half are described apart, as a
jacket and trousers are.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from maskstream.engines.interface.instances import MASK_THRESHOLD

_LUMA_BINS = 8
_CHROMA_BINS = 8
_CHROMA_SPAN = 64
"""Of 256 levels, those around grey that clothes use; what is more colourful falls into the last."""
_SAMPLE_PX = 24
"""Longest side of the small picture that is described."""

Looks = NDArray[np.float32]
"""(2 halves x 24 bins,) square roots of shares, so that a dot product compares two."""


def describe(
    planes: tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]],
    patch: NDArray[np.uint8],
    extent_xyxy: NDArray[np.int32],
) -> Looks:
    """Return the looks of one instance.

    Args:
        planes: (H, W) luma and two (H / 2, W / 2) chroma planes of the frame.
        patch: (h, w) mask probabilities, 0..255.
        extent_xyxy: (4,) the rectangle of the frame that ``patch`` covers, in pixels.
    """
    left, top, right, bottom = (int(edge) for edge in extent_xyxy)
    scale = min(_SAMPLE_PX / max(right - left, bottom - top), 1.0)
    size = (max(int((right - left) * scale), 2), max(int((bottom - top) * scale), 2))
    mask = cv2.resize(patch, size, interpolation=cv2.INTER_LINEAR) >= MASK_THRESHOLD
    y = _sample(planes[0][top:bottom, left:right], size)
    half = (
        slice(top // 2, max((bottom + 1) // 2, top // 2 + 1)),
        slice(left // 2, max((right + 1) // 2, left // 2 + 1)),
    )
    u, v = _sample(planes[1][half], size), _sample(planes[2][half], size)
    codes = (
        y.astype(np.intp) * _LUMA_BINS // 256,
        _LUMA_BINS + _chroma_codes(u),
        _LUMA_BINS + _CHROMA_BINS + _chroma_codes(v),
    )
    middle = size[1] // 2
    bins = _LUMA_BINS + 2 * _CHROMA_BINS
    looks = np.zeros((2, bins), np.float32)
    for part, rows in enumerate((slice(0, middle), slice(middle, None))):
        inside = mask[rows]
        count = int(np.count_nonzero(inside))
        if count:
            picked = np.concatenate([code[rows][inside] for code in codes])
            looks[part] = np.bincount(picked, minlength=bins) / (3 * count)
    return np.sqrt(looks).ravel()


def likeness(first: Looks, second: Looks) -> float:
    """Return the Bhattacharyya coefficient of two looks, 0 (nothing in common) to 1 (equal)."""
    return float(first @ second) / 2


def _sample(plane: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.uint8)


def _chroma_codes(values: NDArray[np.uint8]) -> NDArray[np.intp]:
    shifted = values.astype(np.intp) - (128 - _CHROMA_SPAN // 2)
    return np.clip(shifted * _CHROMA_BINS // _CHROMA_SPAN, 0, _CHROMA_BINS - 1)
