"""The assignment of rows to columns, against trying every possibility."""

import itertools

import numpy as np
import pytest

from maskstream.stream.tracking.assignment import assign


def best_sum(similarity, least):
    """The largest sum of similarities of any set of allowed pairs, by trying them all."""
    rows, columns = similarity.shape
    best = 0.0
    for count in range(min(rows, columns) + 1):
        for chosen in itertools.combinations(range(rows), count):
            for order in itertools.permutations(range(columns), count):
                values = [similarity[pair] for pair in zip(chosen, order, strict=True)]
                if all(value >= least for value in values):
                    best = max(best, sum(values))
    return best


@pytest.mark.parametrize("seed", range(40))
def test_no_other_assignment_has_a_larger_sum(seed):
    rng = np.random.default_rng(seed)
    similarity = np.round(rng.random((rng.integers(1, 5), rng.integers(1, 5))), 2)
    pairs = assign(similarity, 0.4)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    assert all(similarity[pair] >= 0.4 for pair in pairs)
    assert sum(similarity[pair] for pair in pairs) == pytest.approx(best_sum(similarity, 0.4))


def test_a_greedy_choice_is_given_up_for_a_better_whole():
    similarity = np.array([[0.9, 0.8], [0.8, 0.1]])
    assert sorted(assign(similarity, 0.3)) == [(0, 1), (1, 0)]


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_nothing_goes_with_nothing(shape):
    assert assign(np.zeros(shape), 0.1) == []


def test_pairs_below_the_least_are_never_made():
    assert assign(np.array([[0.29, 0.1], [0.2, 0.0]]), 0.3) == []
