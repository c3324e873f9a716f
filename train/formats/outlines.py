"""Masks as polygons that give the same masks back, pixel by pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Point = tuple[int, int]


def outline(mask: NDArray[np.uint8]) -> list[float]:
    """Return one polygon around everything in a mask.

    It runs along the edges of pixels, so pycocotools, and whatever fills by the even-odd rule,
    makes the same mask of it. Parts and holes are joined by lines that are gone along twice, once
    in each direction, and so enclose nothing.

    Args:
        mask: (height, width) of 0 and 1, not empty.

    Returns:
        x, y alternately, in pixels.
    """
    loops = _loops(mask)
    first = loops[0][0]
    points: list[Point] = []
    for loop in loops:
        points += [*loop, loop[0], first]
    return (
        [float(value) for point in points[:-2] for value in point]
        if len(loops) == 1
        else [float(value) for point in points for value in point]
    )


def _loops(mask: NDArray[np.uint8]) -> list[list[Point]]:
    """Return the closed lines between object and background, corners only."""
    fenced = np.pad(mask.astype(np.int8), 1)
    across = np.diff(fenced, axis=0)[:, 1:-1]  # (height + 1, width): changes between rows
    down = np.diff(fenced, axis=1)[1:-1]  # (height, width + 1): changes between columns
    # Each edge goes with the object on its right; a corner has one or two ways out.
    ways: dict[Point, list[Point]] = {}
    for sign, y, x in zip(across[across != 0], *np.nonzero(across), strict=True):
        begin, end = ((x, y), (x + 1, y)) if sign > 0 else ((x + 1, y), (x, y))
        ways.setdefault(begin, []).append(end)
    for sign, y, x in zip(down[down != 0], *np.nonzero(down), strict=True):
        begin, end = ((x, y + 1), (x, y)) if sign > 0 else ((x, y), (x, y + 1))
        ways.setdefault(begin, []).append(end)
    loops = []
    while ways:
        start = next(iter(ways))
        loop, at = [start], _leave(ways, start)
        while at != start:
            loop.append(at)
            at = _leave(ways, at)
        loops.append(_corners(loop))
    return loops


def _leave(ways: dict[Point, list[Point]], at: Point) -> Point:
    """Return where the next edge from ``at`` ends, and use that edge up."""
    ends = ways[at]
    end = ends.pop()
    if not ends:
        del ways[at]
    return end


def _corners(loop: list[Point]) -> list[Point]:
    """Return a loop without the points in the middle of its straight lines."""
    before, after = [loop[-1], *loop[:-1]], [*loop[1:], loop[0]]
    return [
        at
        for last, at, following in zip(before, loop, after, strict=True)
        if last[0] != following[0] and last[1] != following[1]
    ]
