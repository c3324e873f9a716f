"""Pictures whose file ends before the picture does, as a download that broke off leaves them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

TAIL_BYTES = 1 << 16
"""Cameras and editors write something behind the end of a picture, and seldom more than this."""
_ENDS = {b"\xff\xd8": b"\xff\xd9", b"\x89PNG\r\n\x1a\n": b"IEND"}
"""How a JPEG and a PNG begin -> how they end."""


def cut_pictures(paths: Iterable[Path]) -> Iterator[Path]:
    """Return the JPEG and PNG files that lack their end.

    They are decoded all the same, the rest in grey, so nothing else finds them; and only the ends
    of the files are read, as a look at every pixel would take minutes.
    """
    for path in paths:
        with path.open("rb") as file:
            head = file.read(8)
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            tail = file.read()
        if any(head.startswith(begin) and end not in tail for begin, end in _ENDS.items()):
            yield path
