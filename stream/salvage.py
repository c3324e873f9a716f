"""What a sink that was killed leaves behind: kept where it is of use, removed where it is not."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from stream.errors import SourceError
from stream.output import partial_path
from stream.video_file import VideoFile


def salvage(path: str) -> str | None:
    """Look after the partial file of ``path``, whose writer is gone.

    Args:
        path: Of the video or the results, as it would have been called in the end.

    Returns:
        A line for the user if the partial file holds something; else it is removed.
    """
    partial = partial_path(Path(path))
    if not partial.is_file():
        return None
    if _holds_something(partial):
        return f"{partial}: holds what was written before the end."
    partial.unlink(missing_ok=True)
    return None


def _holds_something(partial: Path) -> bool:
    if partial.suffix == ".ndjson":
        return partial.stat().st_size > 0
    try:
        with closing(VideoFile(str(partial), threads=1)):
            return True
    except SourceError:
        return False
