"""Text files of labels, whose faults are told in one line."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from maskstream.train.errors import AnnotationError


def read_text(path: Path, wanted: str) -> str:
    """Return a file's text.

    Args:
        path: In UTF-8, with or without a byte order mark.
        wanted: What is needed instead of something else, for the message.

    Raises:
        AnnotationError: It is no text in UTF-8.
    """
    with told_faults(path, wanted):
        return path.read_text(encoding="utf-8-sig")


@contextmanager
def told_faults(path: Path, wanted: str) -> Iterator[None]:
    """Turn the faults of a text or a table into an `AnnotationError` of one line."""
    try:
        yield
    except UnicodeDecodeError as exc:
        raise AnnotationError(
            f"{path}: is no text in UTF-8 (byte {exc.start + 1}); {wanted} is needed."
        ) from exc
    except csv.Error as exc:
        raise AnnotationError(f"{path}: is no table ({exc}); {wanted} is needed.") from exc
