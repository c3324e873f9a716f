"""The page's own files, read once: nothing that a request names is ever looked for on a disk."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_FOLDER = "web"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file."""

    body: bytes
    content_type: str


def load_assets() -> dict[str, Asset]:
    """Return the files by name, such as ``page.css``."""
    assets = {}
    for entry in (resources.files("maskstream.stream.network") / _FOLDER).iterdir():
        suffix = f".{entry.name.rpartition('.')[2]}"
        if suffix in _TYPES:
            assets[entry.name] = Asset(entry.read_bytes(), _TYPES[suffix])
    return assets
