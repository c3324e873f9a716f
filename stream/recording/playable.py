"""Whether a file that was not finished can be played, and cutting off what is torn of it."""

from __future__ import annotations

import os
from pathlib import Path

import av
import av.error

_BOX_HEADER_BYTES = 8
_LARGE_BOX_HEADER_BYTES = 16
_FRAGMENT_HEADER = b"moof"


def is_playable(path: Path) -> bool:
    """Returns whether the first picture of a recording can be seen."""
    try:
        with av.open(f"file:{path}", mode="r") as container:
            return next(container.decode(video=0), None) is not None
    except (av.error.FFmpegError, OSError, ValueError, IndexError):
        return False


def cut_torn_end(path: Path) -> None:
    """Cut the last fragment off an mp4 whose writer was killed, if it is not whole.

    Players stop at it with an error, or do not open the file. An mkv needs nothing: its readers
    take the end of the file for its end.

    Source: ISO/IEC 14496-12, 4.2: a box is its size, its type and its contents.
    """
    if path.suffix.lower() != ".mp4":
        return
    with path.open("r+b") as file:
        file_bytes = os.fstat(file.fileno()).st_size
        whole_bytes = end = 0
        while end + _BOX_HEADER_BYTES <= file_bytes:
            file.seek(end)
            header = file.read(_LARGE_BOX_HEADER_BYTES)
            size, kind = int.from_bytes(header[:4]), header[4:8]
            if size == 1:
                size = int.from_bytes(header[8:])
            end += size
            if size < _BOX_HEADER_BYTES or end > file_bytes:
                break
            if kind != _FRAGMENT_HEADER:  # what it describes comes after it
                whole_bytes = end
        if whole_bytes < file_bytes:
            file.truncate(whole_bytes)


def cut_torn_line(path: Path) -> None:
    """Cut off the last line of a text file if its writer was killed in the middle of it."""
    with path.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - (1 << 16))
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                file.truncate(start + newline + 1)
                return
            end = start
        file.truncate(0)
