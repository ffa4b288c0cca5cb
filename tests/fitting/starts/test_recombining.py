"""Mixtures made of others: what they are made of, and that they lead where no start does."""

from dataclasses import replace

import numpy as np
import pytest

from dgmm.fitting.starts.recombining import (
    RECOMBINING,
    Recombination,
    joined,
    moved,
    paired,
    recombined,
)
from dgmm.fitting.steps.climb import Climb, climb
from dgmm.fitting.steps.in_memory import InMemory
from dgmm.fitting.steps.objective import Likelihood
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from tests.model import naive

PLAIN = Likelihood(1e-6)


def mixtures(covariance_type, n_components=4):
    generator = np.random.default_rng(0)
    return [naive.random_parameters(generator, covariance_type, n_components, 2) for _ in range(2)]


@pytest.mark.parametrize("covariance_type", ["full", "spherical", "tied"])
def test_a_component_is_put_at_a_row(covariance_type):
    before, _ = mixtures(covariance_type)
    data = InMemory.of(np.random.default_rng(1).normal(size=(50, 2)))
    after = moved(before, data, np.random.RandomState(0))
    (component,) = np.flatnonzero((after.means != before.means).any(axis=1))
    assert (data.rows == after.means[component]).all(axis=1).any()
    assert after.weights.sum() == pytest.approx(1.0)
    others = np.delete(np.arange(4), component)
    if not before.family.is_shared:
        np.testing.assert_array_equal(after.covariances[others], before.covariances[others])
        same = [np.array_equal(after.covariances[component], before.covariances[k]) for k in others]
        near = others[same.index(True)]
        assert after.weights[component] == pytest.approx(after.weights[near])


def test_rows_without_weight_are_no_places():
    before, _ = mixtures("full")
    weights = np.zeros(50)
    weights[[0, 7, 49]] = 1.0
    data = InMemory.of(np.random.default_rng(1).normal(size=(50, 2)), weights)
    places = [moved(before, data, np.random.RandomState(seed)).means for seed in range(20)]
    taken = {
        int(np.flatnonzero((data.rows == mean).all(axis=1))[0])
        for means in places
        for mean in means
        if (data.rows == mean).all(axis=1).any()
    }
    assert taken == {0, 7, 49}


@pytest.mark.parametrize("covariance_type", ["full", "diag", "tied", "tied_spherical"])
def test_components_in_another_order_are_paired_with_themselves(covariance_type):
    mixture, _ = mixtures(covariance_type)
    found = paired(mixture, mixture.chosen([2, 0, 3, 1]), np.random.RandomState(0))
    np.testing.assert_allclose(found.means, mixture.means)
    np.testing.assert_allclose(found.covariances, mixture.covariances)
    np.testing.assert_allclose(found.weights, mixture.weights)


def test_pairs_are_of_both():
    first, second = mixtures("full")
    rows = np.concatenate([first.means, second.means])
    found = paired(first, second, np.random.RandomState(3)).means
    which = [int(np.flatnonzero((rows == mean).all(axis=1))[0]) for mean in found]
    assert {k < 4 for k in which} == {True, False}
    assert len(set(which)) == 4


def test_two_mixtures_joined_are_half_of_each():
    first, second = mixtures("full")
    rows = np.random.default_rng(1).normal(size=(20, 2))
    own, other, both = (
        np.exp(naive.log_joint(each, rows)) for each in (first, second, joined(first, second))
    )
    np.testing.assert_allclose(both, 0.5 * np.concatenate([own, other], axis=1))


@pytest.fixture
def apart():
    """Six clusters, and two mixtures that EM does not leave: each has two of them in one component."""
    generator = np.random.default_rng(5)
    centres = np.array([[0.0, 0], [4, 0], [40, 0], [44, 0], [80, 0], [84, 0]])
    rows = np.concatenate([centre + 0.5 * generator.normal(size=(100, 2)) for centre in centres])
    data = InMemory.of(rows)

    def stuck(means):
        family = FAMILIES["full"]
        start = Parameters.from_covariances(
            family, np.full(6, 1 / 6), np.array(means), np.stack([np.eye(2)] * 6)
        )
        return climb(data, start, PLAIN, 100, 1e-9)

    own = stuck([[2.0, 0], [39.7, 0], [40.3, 0], [44, 0], [80, 0], [84, 0]])
    other = stuck([[0.0, 0], [4, 0], [42, 0], [79.7, 0], [80.3, 0], [84, 0]])
    best = stuck(centres)
    return data, own, other, best


def test_what_is_good_in_two_mixtures_comes_together(apart):
    data, own, other, best = apart
    assert max(own.lower_bound, other.lower_bound) < best.lower_bound - 0.05  # EM alone stays there
    tuning = replace(RECOMBINING, n_proposals=24)  # which components are taken of which is by chance
    after = recombined(Recombination(own, (other.parameters,), [0, 0]), data, PLAIN, tuning)
    assert after.lower_bound == pytest.approx(best.lower_bound, abs=1e-3)


def test_it_never_loses(apart):
    data, _, other, best = apart
    for alone in ((), (other.parameters,)):
        after = recombined(Recombination(best, alone, [1, 0]), data, PLAIN)
        assert after.lower_bound >= best.lower_bound


def test_a_single_component_stays():
    data = InMemory.of(np.random.default_rng(0).normal(size=(100, 2)))
    one = Parameters.from_covariances(FAMILIES["full"], np.ones(1), np.zeros((1, 2)), np.eye(2)[None])
    found = climb(data, one, PLAIN, 5, 1e-9)
    assert isinstance(recombined(Recombination(found, (), [0, 0]), data, PLAIN), Climb)
    assert moved(one, data, np.random.RandomState(0)) is one
