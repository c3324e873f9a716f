"""Dividing pictures so that each part has its share of every class."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence, Set

Labels = Set[int]


def stratify(labels: Sequence[Labels], shares: Sequence[float], seed: int) -> list[int]:
    """Return the part that each picture goes to.

    Rare classes are dealt out first, each picture to the part that is furthest below its share of
    that class, then to the one furthest below its share of pictures.

    Args:
        labels: The classes of each picture; none is a class of its own.
        shares: Of each part; they add up to 1.
        seed: Of what is left to chance.

    Source:
        Sechidis, Tsoumakas, Vlahavas, "On the Stratification of Multi-Label Data", 2011.
    """
    chance = random.Random(seed)
    none = -1
    own = [set(picture) or {none} for picture in labels]
    left = set(range(len(own)))
    counts = Counter(label for picture in own for label in picture)
    missing = [{label: share * count for label, count in counts.items()} for share in shares]
    room = [share * len(own) for share in shares]
    parts = [0] * len(own)
    while left:
        rest = Counter(label for picture in left for label in own[picture])
        rarest = min(rest, key=lambda label: (rest[label], label))
        having = sorted(picture for picture in left if rarest in own[picture])
        chance.shuffle(having)
        for picture in having:
            part = max(
                range(len(shares)),
                key=lambda p: (missing[p][rarest], room[p], chance.random()),
            )
            parts[picture] = part
            room[part] -= 1
            for label in own[picture]:
                missing[part][label] -= 1
        left.difference_update(having)
    return parts
