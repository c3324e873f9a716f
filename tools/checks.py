"""Checks at the edge: what a run is to write and which classes it keeps, before anything starts."""

import difflib
import tempfile
from collections.abc import Sequence
from pathlib import Path

from stream.errors import ConfigError, OutputError
from stream.options import NULL_OUTPUT, RunOptions

VIDEO_SUFFIXES = (".mp4", ".mkv")
LISTED_CLASSES_MAX = 10


def check_outputs(options: RunOptions, report: Path | None) -> None:
    """Check that everything a run is to write can be written, and over nothing that it reads.

    Raises:
        OutputError: With the path, what is wrong with it, and what would be right.
    """
    targets: dict[str, Path] = {}
    if options.output != NULL_OUTPUT:
        output = Path(options.output)
        _check_video(output, len(options.sources))
        targets["--output"] = output
    if options.results is not None:
        _check_file(options.results, may_be_folder=len(options.sources) > 1)
        targets["--results"] = options.results
    if report is not None:
        _check_file(report)
        targets["--report"] = report
    _check_apart(targets, options.sources)


def class_ids_of(names: str, class_names: Sequence[str]) -> frozenset[int]:
    """Return the ids of comma-separated class names.

    Args:
        class_names: Of the engine, by class id.

    Raises:
        ConfigError: A name is not among them; the nearest is suggested.
    """
    wanted = [name for part in names.split(",") if (name := part.strip())]
    if not wanted:
        raise ConfigError(f"--classes: {names!r} names no class; {_known(class_names)}.")
    for name in wanted:
        if name not in class_names:
            near = difflib.get_close_matches(name.lower(), class_names, n=1, cutoff=0.5)
            needed = f"did you mean {near[0]!r}?" if near else f"{_known(class_names)}."
            raise ConfigError(f"--classes: the engine does not know {name!r}; {needed}")
    return frozenset(class_names.index(name) for name in wanted)


def _known(class_names: Sequence[str]) -> str:
    """Return which classes there are to choose from."""
    listed = ", ".join(class_names[:LISTED_CLASSES_MAX])
    more = len(class_names) - LISTED_CLASSES_MAX
    return f"it knows {listed}" + (f" and {more} more" if more > 0 else "")


def _check_video(path: Path, source_count: int) -> None:
    """Check a place for annotated video: a file of a known kind, or a folder that is there."""
    if path.is_dir():
        _check_folder(path, path)
    elif source_count > 1:
        raise OutputError(
            f"{path}: no folder, as {source_count} sources need; make it first: mkdir -p {path}"
        )
    elif path.suffix.lower() not in VIDEO_SUFFIXES:
        found = f"the name ends in {path.suffix!r}" if path.suffix else "the name has no suffix"
        raise OutputError(
            f"{path}: {found}; use .mp4, .mkv, .ndjson, a folder that is there, or {NULL_OUTPUT}"
        )
    else:
        _check_file(path)


def _check_file(path: Path, *, may_be_folder: bool = False) -> None:
    """Check a place for a file that may be there already and is replaced then."""
    if path.is_dir():
        if not may_be_folder:
            raise OutputError(f"{path}: a folder; name a file in it.")
        _check_folder(path, path)
    elif path.exists() and not path.is_file():
        raise OutputError(f"{path}: no ordinary file, so it cannot be replaced; name another.")
    else:
        _check_folder(path, path.parent)


def _check_folder(path: Path, folder: Path) -> None:
    """Check that a file can be made in a folder, by making a nameless one."""
    if not folder.is_dir():
        found = "is no folder" if folder.exists() else "does not exist"
        raise OutputError(f"{path}: {folder} {found}; make it first: mkdir -p {folder}")
    try:
        # The mode bits alone do not tell: root passes them, and a read-only disk has them too.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as exc:
        raise OutputError(
            f"{path}: {folder} cannot be written to ({exc.strerror}); name another folder."
        ) from exc


def _check_apart(targets: dict[str, Path], sources: Sequence[str]) -> None:
    """Check that no two outputs are one file and that none is a source."""
    seen: dict[Path, str] = {}
    for option, path in targets.items():
        place = path.resolve()
        if place in seen and not place.is_dir():
            raise OutputError(f"{path}: {seen[place]} and {option} both name it; name two files.")
        seen[place] = option
        if place.is_file() and any(_is_same_file(place, source) for source in sources):
            raise OutputError(f"{path}: it is the source itself; name another file.")


def _is_same_file(path: Path, source: str) -> bool:
    """Whether a source is a file, and that one."""
    try:
        return path.samefile(source)
    except OSError:
        return False  # a stream, or nothing at all: opening it will tell
