"""Bytes, damaged at random: bits flipped, parts cut out, doubled, blanked, joined to others."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

Change = Callable[[random.Random, bytes], bytes]


def flipped(rng: random.Random, content: bytes) -> bytes:
    """Return the content with a few bits turned over, all over it or in its first part."""
    changed = bytearray(content)
    end = rng.choice([len(content), min(len(content), 2048)])
    for _ in range(rng.choice([1, 3, 10, 100]) if end else 0):
        changed[rng.randrange(end)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut_off(rng: random.Random, content: bytes) -> bytes:
    """Return a beginning of the content."""
    return content[: rng.randrange(len(content) + 1)]


def cut_out(rng: random.Random, content: bytes) -> bytes:
    """Return the content without a part of it."""
    start, end = _part(rng, content)
    return content[:start] + content[end:]


def doubled(rng: random.Random, content: bytes) -> bytes:
    """Return the content with a part of it said twice."""
    start, end = _part(rng, content)
    return content[:end] + content[start:]


def blanked(rng: random.Random, content: bytes) -> bytes:
    """Return the content with a part of it overwritten: by zeros, ones or noise."""
    start, end = _part(rng, content)
    size = end - start
    filling = rng.choice([bytes(size), b"\xff" * size, rng.randbytes(size)])
    return content[:start] + filling + content[end:]


def numbered(rng: random.Random, content: bytes) -> bytes:
    """Return the content with four bytes that say an extreme number."""
    if len(content) < 4:
        return content
    start = rng.randrange(min(len(content) - 3, rng.choice([64, 1024, 1 << 40])))
    number = rng.choice([0, 1, 2**16, 2**31 - 1, 2**31, 2**32 - 1])
    return (
        content[:start] + number.to_bytes(4, rng.choice(["big", "little"])) + content[start + 4 :]
    )


CHANGES: Sequence[Change] = (flipped, cut_off, cut_out, doubled, blanked, numbered)
_OFTEN = (4, 1, 1, 1, 2, 2)
"""What keeps a file's shape gets further into a decoder."""


def damaged(rng: random.Random, content: bytes, others: Sequence[bytes] = ()) -> bytes:
    """Return the content after one to three changes; sometimes a part of another follows."""
    for _ in range(rng.choice([1, 1, 2, 3])):
        content = rng.choices(CHANGES, _OFTEN)[0](rng, content)
    if others and rng.random() < 0.2:
        other = rng.choice(others)
        content += other[_part(rng, other)[0] :]
    return content


def _part(rng: random.Random, content: bytes) -> tuple[int, int]:
    start = rng.randrange(len(content) + 1)
    return start, min(len(content), start + rng.choice([1, 16, 188, 4096, len(content)]))
