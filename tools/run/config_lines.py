"""On which line of a pipeline file a key stands, which the standard library does not say."""

import re
from pathlib import Path

_TABLE = re.compile(r"\s*\[(\[)?\s*([^\]]*?)\s*\]")
_KEY = re.compile(r"""\s*(?:"([^"]+)"|'([^']+)'|([A-Za-z0-9_-]+))\s*=""")

Key = str | int
"""``outputs`` of the run is ``("outputs",)``, of the second source ``("source", 1, "outputs")``."""


class KeyLines:
    """The lines of the keys in one file, from 1.

    What is written in unusual ways (inline tables, text over several lines) may have the line of
    the table around it, or none.
    """

    def __init__(self, path: Path, text: str) -> None:
        """Find the keys in ``text``, which is valid TOML."""
        self._path = path
        self._lines: dict[tuple[Key, ...], int] = {}
        table: tuple[Key, ...] = ()
        counts: dict[str, int] = {}
        for number, line in enumerate(text.splitlines(), start=1):
            if match := _TABLE.match(line):
                name = match[2]
                table = (name, counts.get(name, 0)) if match[1] else (name,)
                counts[name] = counts.get(name, 0) + 1
                self._lines.setdefault(table, number)
            elif match := _KEY.match(line):
                self._lines.setdefault((*table, match[1] or match[2] or match[3]), number)

    def where(self, *keys: Key) -> str:
        """Return ``FILE:LINE`` of a key; of what is around it, or ``FILE``, where it has none."""
        line = self.line_of(*keys)
        return f"{self._path}:{line}" if line else str(self._path)

    def line_of(self, *keys: Key) -> int:
        """Return the line of a key; of what is around it, or 0, where it has none."""
        for length in range(len(keys), 0, -1):
            line = self._lines.get(keys[:length])
            if line is not None:
                return line
        return 0
