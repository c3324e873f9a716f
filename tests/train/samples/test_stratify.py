"""Dividing by class: every part gets its share."""

import random
from collections import Counter

from maskstream.train.samples.stratify import stratify


def test_each_class_is_divided_by_the_shares():
    labels = [{0}] * 80 + [{1}] * 20 + [set()] * 10
    parts = stratify(labels, [0.7, 0.2, 0.1], seed=3)
    for first, last, expected in (
        (0, 80, (56, 16, 8)),
        (80, 100, (14, 4, 2)),
        (100, 110, (7, 2, 1)),
    ):
        counts = Counter(parts[first:last])
        assert (counts[0], counts[1], counts[2]) == expected


def test_two_pictures_of_a_rare_class_go_to_two_parts():
    labels = [{0}] * 50 + [{0, 1}] * 2
    parts = stratify(labels, [0.5, 0.5], seed=0)
    assert sorted(parts[50:]) == [0, 1]
    assert Counter(parts) == {0: 26, 1: 26}


def test_pictures_with_several_classes_keep_all_of_them_near_their_shares():
    chance = random.Random(1)
    labels = [{c for c in range(6) if chance.random() < 0.1 * (c + 1)} for _ in range(400)]
    parts = stratify(labels, [0.8, 0.2], seed=0)
    for label in range(6):
        having = [part for part, own in zip(parts, labels, strict=True) if label in own]
        assert abs(having.count(1) - 0.2 * len(having)) <= 3
    assert abs(parts.count(1) - 80) <= 4


def test_the_seed_decides():
    labels = [{0}] * 30
    assert stratify(labels, [0.5, 0.5], 1) == stratify(labels, [0.5, 0.5], 1)
    assert stratify(labels, [0.5, 0.5], 1) != stratify(labels, [0.5, 0.5], 2)
