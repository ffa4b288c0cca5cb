# pyright: reportArgumentType=false
import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.preprocessing import StandardScaler

from dgmm.fitting.starts.clusters import clusters
from dgmm.fitting.steps.in_memory import InMemory

LABELS = np.repeat([0, 1, 2], 100)


@pytest.fixture
def rows():
    """Rows of three clusters far apart, in units of which one is a hundred times the other."""
    centres = np.array([[0.0, 0.0], [20.0, 0.0], [0.0, 20.0]])
    return (centres[LABELS] + np.random.default_rng(0).normal(size=(300, 2))) * [1.0, 100.0]


def same(ours, theirs):
    return len({*zip(ours.tolist(), theirs.tolist(), strict=True)}) == len({*theirs.tolist()})


def test_coordinates_are_those_of_scikit_learn(rows):
    """As they are, and of unit variance: the clusters of k-means with the same seed."""
    ways = {"as they are": rows - rows.mean(axis=0), "unit variance": StandardScaler().fit_transform(rows)}
    for way, scaled in ways.items():
        expected = KMeans(3, n_init=1, random_state=1).fit(scaled).labels_
        assert same(clusters(InMemory.of(rows), 3, way, 1, is_rough=False), expected)


def test_without_correlation_no_linear_map_changes_the_clusters(rows):
    for each in (rows, rows @ np.array([[3.0, 1.0], [-2.0, 0.5]]) + 7.0):
        assert same(clusters(InMemory.of(each), 3, "uncorrelated", 1, is_rough=False), LABELS)


def test_a_row_without_weight_moves_no_cluster(rows):
    data = InMemory.of(np.concatenate([rows, [[1e6, 0.0]]]), np.append(np.ones(300), 0.0))
    assert same(clusters(data, 3, "uncorrelated", 1, is_rough=False)[:300], LABELS)


@pytest.mark.parametrize("way", ["as they are", "unit variance", "uncorrelated"])
def test_rows_need_no_covariances_beforehand(rows, way):
    weights = np.random.default_rng(2).uniform(0.5, 2.0, 300)
    found = [
        clusters(InMemory.of(rows, weights, products=products), 3, way, 1, is_rough=False)
        for products in (False, True)
    ]
    assert same(*found)
