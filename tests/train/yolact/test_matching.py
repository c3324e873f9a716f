"""Matching, on priors few enough to work out by hand."""

import numpy as np

from maskstream.train.yolact.matching import force_pairs, match

# Three priors side by side, each 0.2 wide and high.
PRIORS = np.array([[0.1, 0.5, 0.2, 0.2], [0.3, 0.5, 0.2, 0.2], [0.5, 0.5, 0.2, 0.2]], np.float32)
NONE = np.zeros((0, 4), np.float32)


def _box(left, width=0.2):
    return np.array([[left, 0.4, left + width, 0.6]], np.float32)


def test_thresholds_split_positives_neutrals_and_background():
    # IoU with prior 0, moved by a quarter: 0.15 / 0.25 = 0.6; with prior 1: 0.05 / 0.35 = 0.14.
    found = match(PRIORS, _box(0.05), np.array([4]), NONE)
    assert found.labels.tolist() == [5, 0, 0]
    # Wider by half: prior 0 0.2 / 0.3, prior 1 0.1 / 0.4.
    assert match(PRIORS, _box(0.0, 0.3), np.array([0]), NONE).labels.tolist() == [1, 0, 0]
    # 0.36 wide: prior 0 0.2 / 0.36 = 0.56, prior 1 0.16 / 0.4 = 0.4: neither.
    assert match(PRIORS, _box(0.0, 0.361), np.array([0]), NONE).labels.tolist() == [1, -1, 0]


def test_a_truth_that_fits_no_prior_still_gets_the_best_one():
    found = match(PRIORS, _box(0.22, 0.04), np.array([1]), NONE)
    assert found.labels.tolist() == [0, 2, 0]
    assert found.owners[1] == 0


def test_the_strongest_pair_is_served_first_and_nobody_shares():
    overlaps = np.array([[0.6, 0.5, 0.0], [0.9, 0.2, 0.1]], np.float32)
    assert force_pairs(overlaps) == [(1, 0), (0, 1)]


def test_force_pairs_equals_the_plain_search_for_random_overlaps():
    for seed in range(50):
        overlaps = np.random.default_rng(seed).random((5, 9)).astype(np.float32)
        left, expected = overlaps.copy(), []
        for _ in range(5):
            truth, prior = np.unravel_index(left.argmax(), left.shape)
            expected.append((int(truth), int(prior)))
            left[truth, :] = left[:, prior] = -1
        assert force_pairs(overlaps) == expected


def test_priors_inside_a_crowd_are_neutral_unless_positive():
    crowd = np.array([[0.0, 0.4, 0.36, 0.6]], np.float32)  # all of prior 0, 0.8 of prior 1
    found = match(PRIORS, _box(0.0), np.array([0]), crowd)
    assert found.labels.tolist() == [1, -1, 0]


def test_an_empty_picture_is_all_background_but_its_crowds():
    labels = match(PRIORS, NONE, np.zeros(0, np.int64), _box(0.0)).labels
    assert labels.tolist() == [-1, 0, 0]


def test_a_partly_labelled_picture_has_background_only_beside_its_objects():
    found = match(PRIORS, _box(0.05), np.array([0]), NONE, is_exhaustive=False)
    assert found.labels.tolist() == [1, 0, -1]  # prior 2 does not touch the object
    empty = match(PRIORS, NONE, np.zeros(0, np.int64), NONE, is_exhaustive=False)
    assert empty.labels.tolist() == [-1, -1, -1]


def test_locations_are_coded_against_the_owner():
    found = match(PRIORS, _box(0.05), np.array([0]), NONE)
    # Centre 0.15 against 0.1: 0.05 / (0.1 * 0.2) = 2.5; the size is the prior's.
    np.testing.assert_allclose(found.locations[0], [2.5, 0, 0, 0], atol=1e-4)
