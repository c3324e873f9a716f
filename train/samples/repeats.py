"""Pictures that are there twice: what is learned from must not be what is measured on."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path


def repeated_pictures(paths: Iterable[Path]) -> Iterator[tuple[Path, ...]]:
    """Return each group of paths with the same bytes; a path that is named twice is one too."""
    by_size: dict[int, list[Path]] = defaultdict(list)
    for path in paths:
        by_size[path.stat().st_size].append(path)
    for alike in by_size.values():
        if len(alike) == 1:  # most are, and are never read
            continue
        by_hash: dict[bytes, list[Path]] = defaultdict(list)
        for path in alike:
            by_hash[hashlib.sha256(path.read_bytes()).digest()].append(path)
        yield from (tuple(same) for same in by_hash.values() if len(same) > 1)
