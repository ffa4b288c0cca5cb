"""Starts for all numbers of components at once."""
# pyright: reportArgumentType=false, reportCallIssue=false

from typing import Any

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from dgmm.fitting.sample import Sample
from dgmm.fitting.starts.paths import (
    PATHS,
    Path,
    PathSettings,
    PathTuning,
    cluster,
    find_starts,
    polish,
    walk,
)
from dgmm.fitting.steps.climb import Climb, climb
from dgmm.fitting.steps.in_memory import InMemory
from dgmm.fitting.steps.objective import Likelihood
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters


def sample_of(rows, weights=None):
    numbers = np.arange(len(rows))
    return Sample(np.random.default_rng(0).permutation(numbers.astype(np.uint64)), numbers, rows, weights)


def clusters(n_rows, n_clusters=5, seed=0):
    generator = np.random.default_rng(seed)
    means = 6.0 * generator.normal(size=(n_clusters, 3))
    labels = generator.integers(n_clusters, size=n_rows)
    return means[labels] + generator.normal(size=(n_rows, 3)) * (0.5 + 0.3 * labels[:, None])


def settings_of(covariance_type, n_components, **own):
    given: Any = {"init_params": "search", "n_init": 1, "objective": Likelihood(1e-6), "seed": 0} | own
    return PathSettings(FAMILIES[covariance_type], tuple(n_components), **given)


def walked(settings, rows):
    sample = sample_of(rows)
    return walk(settings, (sample, {k: cluster(k, sample, n_init=1, seed=0) for k in settings.n_components}))


def test_clusters_are_found_in_all_ways():
    """Five clusters far apart: every run of k-means to its end in coordinates of the data finds them."""
    rows = np.repeat(np.eye(5) * 100.0, 50, axis=0) + np.random.default_rng(2).normal(size=(250, 5))
    found = cluster(5, sample_of(rows), n_init=2, seed=0)
    assert len(found) == 2 * len(PATHS.ways)
    assert len(cluster(2, sample_of(rows), n_init=1, seed=0)) == 4 * len(
        PATHS.ways
    )  # few clusters more often
    for labels, (way, is_rough) in zip(found, 2 * PATHS.ways, strict=True):
        assert labels.shape == (250,)
        if way == "as they are" and not is_rough:
            assert sorted(np.bincount(labels)) == [50] * 5
    again = cluster(5, sample_of(rows), n_init=2, seed=0)
    assert all((ours == theirs).all() for ours, theirs in zip(found, again, strict=True))


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_starts_are_as_good_as_restarts_of_scikit_learn(covariance_type):
    rows = clusters(1200)
    found = walked(settings_of(covariance_type, range(1, 7)), rows)
    assert sorted(found) == list(range(1, 7))
    data = InMemory.of(rows)
    for number, (start, *_) in found.items():
        assert start.n_components == number
        reached = climb(data, start, Likelihood(1e-6), 100, 1e-4).lower_bound
        expected = GaussianMixture(number, covariance_type=covariance_type, n_init=2, random_state=0).fit(
            rows
        )
        assert reached > expected.score(rows) - 5e-3


def test_wanted_numbers_alone():
    found = walk(settings_of("diag", [3, 6], init_params="kmeans"), (sample_of(clusters(800)), {}))
    assert sorted(found) == [3, 6]


def test_too_few_rows_for_so_many():
    found = walked(settings_of("full", range(1, 9), objective=Likelihood(0.0)), clusters(12))
    assert 1 in found
    assert 8 not in found


def test_more_rows_say_which_start_is_the_best():
    """One that few rows liked better loses on the samples that are larger."""
    rows = clusters(3000)
    good = Parameters.from_covariances(
        FAMILIES["full"], np.full(2, 0.5), rows[:2], np.stack([np.cov(rows.T)] * 2)
    )
    best = climb(InMemory.of(rows), good, Likelihood(1e-6), 50)
    bad = Parameters.from_covariances(
        FAMILIES["full"], np.full(2, 0.5), np.stack([rows.mean(axis=0)] * 2), np.stack([np.cov(rows.T)] * 2)
    )
    samples = [InMemory.of(rows[:1000]), InMemory.of(rows)]
    found = climb(
        InMemory.of(rows),
        polish([bad, best.parameters], samples, objective=Likelihood(1e-6))[0],
        Likelihood(1e-6),
        0,
    )
    assert found.lower_bound > best.lower_bound - PATHS.polish_tol
    (alone,) = polish([bad], samples, objective=Likelihood(1e-6))
    np.testing.assert_allclose(alone.means, bad.means)  # its components are the same, and stay so


def test_the_whole_sample_polishes(monkeypatch):
    monkeypatch.setattr("dgmm.fitting.starts.paths.PATHS", PathTuning(n_rows=500))
    rows, weights = clusters(4000), np.random.default_rng(1).exponential(size=4000)
    sample = sample_of(rows, weights)
    found = find_starts([settings_of("full", [2, 5]), settings_of("tied", [4])], sample)
    assert {(family.name, number) for family, number in found} == {("full", 2), ("full", 5), ("tied", 4)}
    data = InMemory.of(rows, weights)
    for start, *_ in found.values():
        more = (
            climb(data, start, Likelihood(1e-6), 1).lower_bound
            - climb(data, start, Likelihood(1e-6), 0).lower_bound
        )
        assert 0.0 <= more < 1e-3


def test_components_of_hardly_any_rows_give_way():
    """However much likelier: three rows on a line have any density. With no other mixture they stay."""
    rows = clusters(400)
    path = Path(Likelihood(1e-6), InMemory.of(rows))

    def mixture(smallest, log_likelihood):
        weights = np.array([smallest, 1.0 - smallest])
        wide = np.stack([np.cov(rows.T)] * 2)
        parameters = Parameters.from_covariances(FAMILIES["full"], weights, rows[:2], wide)
        return Climb(parameters, log_likelihood, 1)

    spurious, sound = mixture(3 / 400, 5.0), mixture(0.3, -2.0)
    path.keep(spurious)
    assert path.best[2] == [spurious]
    path.keep(sound)
    assert path.best[2] == [sound]
    path.keep(spurious)
    assert path.best[2] == [sound]


def test_starts_do_not_depend_on_where_the_rows_lie():
    rows = clusters(2000)
    ((own, *_),) = find_starts([settings_of("full", [5])], sample_of(rows)).values()
    ((far, *_),) = find_starts([settings_of("full", [5])], sample_of(rows + 1e7)).values()
    expected = climb(InMemory.of(rows), own, Likelihood(1e-6), 0).lower_bound
    assert climb(InMemory.of(rows + 1e7), far, Likelihood(1e-6), 0).lower_bound == pytest.approx(
        expected, abs=1e-3
    )
