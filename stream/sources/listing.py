"""Files of a folder: which of them are videos, and their order."""

from __future__ import annotations

import re
from pathlib import Path

from maskstream.errors import SourceError

# fmt: off
VIDEO_SUFFIXES = frozenset({
    ".3gp", ".asf", ".avi", ".divx", ".flv", ".gif", ".h264", ".h265", ".hevc", ".ivf", ".m2ts",
    ".m4v", ".mjpeg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".obu",
    ".ogv", ".ts", ".vob", ".webm", ".wmv", ".y4m",
})
# fmt: on
"""What counts as a video in a folder. A file that is named itself may have any suffix."""


_HIDDEN = (".", "~$", "@ea")
"""macOS leaves ``._clip.mp4``, offices ``~$name``, storage devices ``@eaDir``."""


def files_in(folder: Path) -> list[Path]:
    """Return what is in a folder, without hidden files, which systems leave and nobody means.

    Raises:
        SourceError: It may not be read.
    """
    try:
        return [path for path in folder.iterdir() if not path.name.startswith(_HIDDEN)]
    except OSError as exc:
        raise SourceError(
            f"{folder}: {exc.strerror or exc}; give a folder that you may read."
        ) from exc


def natural_key(path: Path) -> list[tuple[int, int, str]]:
    """Return a key that puts clip2 before clip10."""
    # Every second part is a number: what the pattern's group caught.
    parts = re.split(r"([0-9]+)", str(path).lower())
    return [(index % 2, int(part) if index % 2 else 0, part) for index, part in enumerate(parts)]
