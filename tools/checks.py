"""Checks at the edge: what a run is to write and which classes it keeps, before anything starts."""

import difflib
import tempfile
from collections.abc import Sequence
from pathlib import Path

from engines import BACKENDS
from stream.errors import ConfigError, OutputError
from stream.options import NULL_OUTPUT, RunOptions
from stream.output import CONTAINERS, check_output

LISTED_CLASSES_MAX = 10
_SUFFIXES = ", ".join(sorted(CONTAINERS))
_KNOWN_OUTPUTS = (
    f"a file ending in {_SUFFIXES} or .ndjson, a folder that is there, or {NULL_OUTPUT}"
)


def check_outputs(options: RunOptions, report: Path | None) -> None:
    """Check that everything a run is to write can be written, and over nothing that it reads.

    Raises:
        OutputError: With the path, what is wrong with it, and what would be right.
    """
    targets: dict[str, Path] = {}
    if options.output != NULL_OUTPUT:
        if "://" in options.output or options.output.endswith(":"):
            raise OutputError(
                f"{options.output}: no stream or window can be written to yet; use {_KNOWN_OUTPUTS}"
            )
        output = Path(options.output)
        _check_video(output, options.sources)
        targets["--output"] = output
    if options.results is not None:
        check_file(options.results, may_be_folder=len(options.sources) > 1)
        targets["--results"] = options.results
    if report is not None:
        check_file(report)
        targets["--report"] = report
    _check_apart(targets, options.sources)


def check_backend(backend: str) -> None:
    """Check the name of a backend.

    Raises:
        ConfigError: There is no such backend.
    """
    if backend not in ("auto", *BACKENDS):
        raise ConfigError(
            f"--backend: {backend!r} was given; it must be auto or one of {', '.join(BACKENDS)}."
        )


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


def _check_video(path: Path, sources: Sequence[str]) -> None:
    """Check a place for annotated video: a file of a known kind, or a folder that is there."""
    if path.is_dir():
        _check_folder(path, path)
        # Each video there is named after its source, so it could take its source's place.
        for source in sources:
            if Path(source).is_file() and path.samefile(Path(source).parent):
                raise ConfigError(
                    f"{path}: the source {source} lies in it and would be written over; "
                    "choose another folder."
                )
    elif len(sources) > 1:
        raise OutputError(
            f"{path}: no folder, as {len(sources)} sources need; make it first: mkdir -p {path}"
        )
    elif path.suffix.lower() not in CONTAINERS:
        found = f"the name ends in {path.suffix!r}" if path.suffix else "the name has no suffix"
        raise OutputError(f"{path}: {found}; use {_KNOWN_OUTPUTS}")
    else:
        check_output(path, sources)


def check_file(path: Path, *, may_be_folder: bool = False) -> None:
    """Check a place for a file that may be there already and is replaced then.

    Raises:
        OutputError: No file can be written there.
    """
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
