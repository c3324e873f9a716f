"""Files that take long to make and that many tests read: made once, by whoever needs one first."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

KEPT_DIR = Path(tempfile.gettempdir()) / f"maskstream-tests-{os.getuid()}"
"""For all workers and runs of this user's tests."""
_REPOSITORY_DIR = Path(__file__).resolve().parents[2]


def kept_file(name: str, write: Callable[[Path], object]) -> Path:
    """Return the file called ``name``, which ``write`` has made now or in an earlier process.

    It is made anew where the code of the engines or of their tests has changed since.
    """
    folder = KEPT_DIR / "engines" / _code_digest()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            made = folder / f"partial-{name}"
            write(made)
            made.replace(path)
    return path


@functools.cache
def _code_digest() -> str:
    digest = hashlib.sha256(version("torch").encode())
    for folder in ("engines", "tests/helpers/engines"):
        for path in sorted((_REPOSITORY_DIR / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
