"""What `maskstream doctor` finds: one line a subject, and what to do about it."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    level: Level
    """``error``: runs will fail. ``warning``: something cannot be had here, or is scarce."""
    found: str
    todo: str = ""
    """What to do where it is not ok."""


def ok(subject: str, found: str) -> Finding:
    """Return that all is well."""
    return Finding(subject, "ok", found)


def warning(subject: str, found: str, todo: str) -> Finding:
    """Return that runs work, but not with everything."""
    return Finding(subject, "warning", found, todo)


def error(subject: str, found: str, todo: str) -> Finding:
    """Return that runs will fail."""
    return Finding(subject, "error", found, todo)
