"""What a sink that was killed leaves behind: kept where it is of use, removed where it is not."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

from maskstream.engines.files.disk import partial_path
from maskstream.stream.processes.partial_files import is_held
from maskstream.stream.recording.playable import cut_torn_end, is_playable
from maskstream.stream.recording.series import Series

_RESULTS_SUFFIX = ".ndjson"


def continue_recording(path: Path) -> Path:
    """Finish what a killed writer left of ``path``, and return where the next one goes on.

    What plays gets its own name: ``NAME.mp4`` first, then ``NAME-2.mp4``, ``NAME-3.mp4``, ... The
    next writer gets the first of these names that is free, so nothing is ever written over.
    """
    for partial in _partials_of(path):
        is_first = partial == partial_path(path)
        own = path if is_first else partial.with_name(partial.name.replace(".partial", ""))
        if not _is_of_use(partial):
            partial.unlink()
        # Only the name that was asked for may be had by a file of an earlier run.
        elif own == path or not own.exists():
            partial.replace(own)
    names = (path.with_name(f"{path.stem}-{count}{path.suffix}") for count in itertools.count(2))
    return next(
        name
        for name in itertools.chain([path], names)
        if not name.exists() and not partial_path(name).exists()
    )


def salvage(path: str) -> str | None:
    """Look after the partial files of ``path``, whose writer is gone.

    Args:
        path: Of the video or the results, as it would have been called in the end.

    Returns:
        A line for the user if a partial file holds something; else they are removed.
    """
    kept = []
    for partial in [*_partials_of(Path(path)), *_partial_chunks_of(Path(path))]:
        if _is_of_use(partial):
            kept.append(str(partial))
        else:
            partial.unlink(missing_ok=True)
    if not kept:
        return None
    return f"{', '.join(kept)}: holds what was written before the end."


def _partials_of(path: Path) -> list[Path]:
    """Returns the partial files of ``path`` and its continuations that nobody writes any more."""
    if not path.parent.is_dir():
        return []
    name = re.compile(rf"{re.escape(path.stem)}(-[1-9]\d*)?\.partial{re.escape(path.suffix)}")
    return sorted(
        entry
        for entry in path.parent.iterdir()
        if (name.fullmatch(entry.name) or entry == partial_path(path))
        and entry.is_file()
        and not is_held(entry)
    )


def _partial_chunks_of(path: Path) -> list[Path]:
    if not path.parent.is_dir():
        return []
    return [partial for partial in Series(path).partials() if not is_held(partial)]


def _is_of_use(partial: Path) -> bool:
    if partial.suffix == _RESULTS_SUFFIX:
        return partial.stat().st_size > 0
    cut_torn_end(partial)
    return is_playable(partial)
