"""k-means||: each pass against the plain computation, and what comes of them."""

from functools import partial

import numpy as np
import pytest
from scipy.stats import chi2
from sklearn.cluster import KMeans

from dgmm.data import open_dataset, open_weights
from dgmm.fitting.starts.kmeans_parallel import (
    SCALABLE,
    Drawn,
    DrawWork,
    assign_nearest,
    count_nearest,
    scalable_kmeans,
    squared_distances,
)
from dgmm.kernels.stacking import blank_stack
from dgmm.model.families import FAMILIES
from dgmm.passes.events import PassFinished, listening
from dgmm.passes.run import run_pass
from tests.model import naive


def test_distances(generator):
    rows, centres = generator.normal(size=(50, 3)), generator.normal(size=(7, 3))
    expected = ((rows[None] - centres[:, None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(squared_distances(rows, centres), expected, atol=1e-12)


@pytest.mark.usefixtures("small_spans")
def test_a_draw_does_not_depend_on_chunks_and_prefers_far_rows(generator, stored):
    rows = generator.normal(size=(8000, 2))
    rows[::1000] += 1000.0
    work = DrawWork(np.zeros(2), np.zeros((1, 2)), 8, 5)
    drawn = [run_pass(open_dataset(x), work, "draw").values for x in (rows, stored(rows, 321))]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0][:, 0] > 400.0).sum() >= 7


@pytest.mark.usefixtures("small_spans")
def test_counts(generator):
    rows, centres = generator.normal(size=(5000, 2)), generator.normal(size=(6, 2))
    weights = generator.uniform(size=5000)
    nearest = squared_distances(rows - 1.0, centres).argmin(axis=0)
    found = run_pass(
        open_dataset(rows), partial(count_nearest, np.ones(2), centres), "count", open_weights(weights)
    )
    np.testing.assert_allclose(found, np.bincount(nearest, weights, 6))


def test_centres_of_clusters(generator):
    middles = np.array([[0.0, 0.0], [100.0, 0.0], [0.0, 100.0], [77.0, 77.0]])
    rows = np.concatenate([middle + generator.normal(size=(300, 2)) for middle in middles])
    found = scalable_kmeans(open_dataset(rows), None, np.full(2, 30.0), 4, np.random.RandomState(0)) + 30
    for middle in middles:
        assert np.linalg.norm(found - middle, axis=1).min() < 0.5


def test_distances_of_equal_points_are_not_negative():
    points = np.random.default_rng(0).normal(size=(20, 3)) * 1e-3 + 1e3
    assert (squared_distances(points, points) >= 0.0).all()  # products round: differences may be below zero


def test_what_is_drawn_merges_in_any_order(generator):
    """The smallest keys of all, each with its row."""
    keys = generator.permutation(12).astype(float)
    parts = [Drawn(keys[i : i + 4], keys[i : i + 4, None] * 10.0, 3) for i in (0, 4, 8)]
    for first, second, third in ((0, 1, 2), (2, 0, 1)):
        found = parts[first] + (parts[second] + parts[third])
        np.testing.assert_array_equal(found.keys, [0.0, 1.0, 2.0])
        np.testing.assert_array_equal(found.values, [[0.0], [10.0], [20.0]])


@pytest.mark.parametrize("weighted", [False, True])
def test_a_row_is_drawn_with_a_chance_as_its_squared_distance(weighted):
    """Times its weight; the statistic of 2000 draws of one row is that of Pearson's test."""
    rows = np.array([[1.0], [2.0], [3.0], [-4.0], [0.0]])
    weights = np.array([4.0, 1.0, 0.0, 0.5, 9.0]) if weighted else np.ones(5)
    source, own = open_dataset(rows), open_weights(weights) if weighted else None
    chances = rows[:, 0] ** 2 * weights
    chances /= chances.sum()
    counts = np.zeros(5)
    for seed in range(2000):
        drawn = run_pass(source, DrawWork(np.zeros(1), np.zeros((1, 1)), 1, seed), "draw", own)
        counts[np.flatnonzero(rows[:, 0] == drawn.values[0, 0])] += 1
    assert not counts[chances == 0.0].any()
    wanted = 2000 * chances[chances > 0.0]
    statistic = ((counts[chances > 0.0] - wanted) ** 2 / wanted).sum()
    assert statistic < chi2.ppf(0.999, len(wanted) - 1)


def test_no_more_is_drawn_than_has_a_chance():
    rows = np.array([[0.0, 0.0], [0.0, 0.0], [3.0, 4.0]])
    work = DrawWork(np.zeros(2), np.zeros((1, 2)), 10, 0)
    np.testing.assert_array_equal(run_pass(open_dataset(rows), work, "draw").values, [[3.0, 4.0]])


@pytest.mark.usefixtures("small_spans")
@pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)
def test_statistics_of_the_nearest_are_those_of_clusters(generator, covariance_type):
    rows, centre = generator.normal(size=(3000, 2)), np.array([0.5, -0.5])
    weights, centres = generator.uniform(size=3000), generator.normal(size=(4, 2))
    stack = blank_stack(FAMILIES[covariance_type], 4, centre)
    found = run_pass(
        open_dataset(rows), partial(assign_nearest, centres, stack), "nearest", open_weights(weights)
    )
    labels = ((rows - centre)[:, None] - centres[None]).__pow__(2).sum(axis=2).argmin(axis=1)
    for k in range(4):
        own, share = rows[labels == k] - centre, weights[labels == k]
        np.testing.assert_allclose(found.counts[k], share.sum(), rtol=1e-10)
        np.testing.assert_allclose(found.sums[k], share @ own, rtol=1e-9, atol=1e-9)
        if found.scatter.shape[1]:
            scatter = naive.family_scatter(covariance_type, ((own.T * share) @ own)[None])[0]
            np.testing.assert_allclose(found.scatter[k], scatter, rtol=1e-9, atol=1e-9)


def test_it_is_as_good_as_k_means_on_all_rows_in_so_many_passes(generator):
    """A cluster that one row in five hundred belongs to is found too."""
    middles = generator.normal(scale=30.0, size=(6, 3))
    rows = middles[generator.integers(5, size=5000)] + generator.normal(size=(5000, 3))
    rows[::500] += middles[5] + 200.0
    seen = []
    with listening(seen.append):
        found = scalable_kmeans(open_dataset(rows), None, np.zeros(3), 6, np.random.RandomState(0))
    assert sum(isinstance(event, PassFinished) for event in seen) == SCALABLE.n_rounds + 2
    inertia = squared_distances(rows, found).min(axis=0).sum()
    expected = KMeans(6, n_init=10, random_state=0).fit(rows).inertia_  # pyright: ignore[reportArgumentType]
    assert inertia < 1.1 * float(expected or 0.0)


@pytest.mark.parametrize("weights", [None, np.eye(100)[7]], ids=["equal rows", "one of any weight"])
def test_too_few_distinct_rows(weights):
    rows = np.zeros((100, 2)) if weights is None else np.random.default_rng(0).normal(size=(100, 2))
    own = None if weights is None else open_weights(weights)
    with pytest.raises(ValueError, match=r"found only 1 distinct rows for n_components=3: lower n_comp"):
        scalable_kmeans(open_dataset(rows), own, np.zeros(2), 3, np.random.RandomState(0))
