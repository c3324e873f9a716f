"""Checks of what a command is to write and which classes it keeps, before anything starts."""

import difflib
import tempfile
from collections.abc import Sequence
from pathlib import Path

from maskstream.errors import ConfigError, OutputError

LISTED_CLASSES_MAX = 10


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


def check_file(path: Path, *, may_be_folder: bool = False) -> None:
    """Check a place for a file that may be there already and is replaced then.

    Raises:
        OutputError: No file can be written there.
    """
    if path.is_dir():
        if not may_be_folder:
            raise OutputError(f"{path}: a folder; name a file in it.")
        check_folder(path, path)
    elif path.exists() and not path.is_file():
        raise OutputError(f"{path}: no ordinary file, so it cannot be replaced; name another.")
    else:
        check_folder(path, path.parent)


def check_folder(path: Path, folder: Path) -> None:
    """Check that a file can be made in a folder, by making a nameless one.

    Args:
        path: What the message begins with.

    Raises:
        OutputError: None can.
    """
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
