"""Merges against the loop over rows, levels and pairs."""

from itertools import combinations

import numpy as np
import pytest

from dgmm.model.merging import (
    best_merge,
    elbow,
    labels_of,
    memberships,
    merged,
    needed,
    sums_of_sets,
    unions,
)


@pytest.fixture
def shares():
    return np.random.default_rng(0).dirichlet([0.3, 0.5, 1.0, 0.2, 0.7], 300)


def entropy(shares, clusters):
    """The entropy of assignments to clusters, row by row."""
    total = 0.0
    for row in shares:
        for cluster in clusters:
            share = sum(row[k] for k in cluster)
            total -= share * np.log(share) if share > 0 else 0.0
    return total


def of(shares, weights=None):
    return lambda clusters: sums_of_sets(shares, memberships(clusters, shares.shape[1]), weights)


def test_sums_are_entropies(shares):
    clusters = [frozenset({0, 2}), frozenset({1}), frozenset({3, 4})]
    assert -of(shares)(clusters).sum() == pytest.approx(entropy(shares, clusters), rel=1e-12)
    weights = np.random.default_rng(1).integers(0, 3, len(shares)).astype(float)
    repeated = np.repeat(shares, weights.astype(int), axis=0)
    np.testing.assert_allclose(of(shares, weights)(clusters), of(repeated)(clusters), rtol=1e-12)


def test_each_merge_is_the_best_of_all_pairs(shares):
    clusters = [frozenset({k}) for k in range(5)]
    wanted = needed(clusters, of(shares))
    sums = dict(zip(wanted, of(shares)(wanted), strict=True))
    while len(clusters) > 1:
        pair = best_merge(clusters, sums)
        lowest = min(entropy(shares, merged(clusters, other)) for other in combinations(clusters, 2))
        clusters = merged(clusters, pair)
        assert entropy(shares, clusters) == pytest.approx(lowest, rel=1e-12)
    assert clusters == [frozenset(range(5))]


def test_what_is_needed_has_all_unions_of_the_next_merge(shares):
    clusters = [frozenset({0, 1}), frozenset({2}), frozenset({3}), frozenset({4})]
    assert {*unions(clusters), *clusters} <= {*needed(clusters, of(shares[:3]))}


@pytest.mark.parametrize(
    ("entropies", "expected"),
    [
        ([0.0, 0.0, 0.0, 0.3, 0.6, 0.9], 3),
        ([0.0, 0.01, 0.02, 0.03, 0.6], 4),
        ([0.0, 0.0, 0.0, 0.001], 4),  # components that share no rows
        ([0.0, 0.5], 2),
        ([0.0], 1),
    ],
)
def test_elbows(entropies, expected):
    assert elbow(np.array(entropies)) == expected


def test_clusters_are_numbered_from_the_heaviest():
    clusters = [frozenset({0}), frozenset({1, 3}), frozenset({2})]
    assert labels_of(clusters, np.array([0.3, 0.2, 0.1, 0.4])).tolist() == [1, 0, 2, 0]
