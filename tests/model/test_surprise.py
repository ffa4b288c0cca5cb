"""Surprises against the conditionals of each feature, one by one."""

import numpy as np
import pytest
from scipy.stats import kstest, norm

from dgmm.model.conditional import conditional, marginal
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from dgmm.model.surprise import surprises
from tests.model.naive import log_joint


def mixture(family, n_components=3, n_features=4, seed=0):
    generator = np.random.default_rng(seed)
    factors = generator.normal(size=(n_components, n_features, n_features))
    matrices = factors @ np.swapaxes(factors, 1, 2) + 0.3 * np.eye(n_features)
    own = FAMILIES[family]
    covariances = own.projected(matrices.mean(axis=0) if own.is_shared else matrices)
    weights = generator.dirichlet(np.ones(n_components))
    means = 2.0 * generator.normal(size=(n_components, n_features))
    return Parameters.from_covariances(own, weights, means, covariances)


@pytest.mark.parametrize("family", FAMILIES)
def test_it_is_what_conditionals_say(family):
    model = mixture(family)
    rows = np.random.default_rng(1).normal(size=(12, 4)) * 3.0
    found = surprises(model, rows)
    for feature in range(4):
        given = conditional(model, np.arange(4) != feature)
        for row, value in zip(rows, found[:, feature], strict=True):
            others = row[given.known]
            joint = log_joint(given.of_known, others[None])[0]
            shares = np.exp(joint - np.logaddexp.reduce(joint))
            one = given.given(shares, others)
            widths = np.sqrt(one.variances[:, 0])
            chance = shares @ (2.0 * norm.sf(np.abs(row[feature] - one.means[:, 0]) / widths))
            assert value == pytest.approx(-np.log(chance), rel=1e-8, abs=1e-10)


def test_under_one_component_it_is_exponential():
    model = mixture("full", 1, 5)
    rows = np.random.default_rng(2).multivariate_normal(model.means[0], model.covariances[0], 4000)
    for values in surprises(model, rows).T:
        assert kstest(values, "expon").pvalue > 1e-4


def test_a_value_between_two_clusters_is_surprising():
    model = Parameters.from_covariances(
        FAMILIES["diag"], np.array([0.5, 0.5]), np.array([[-10.0, 0.0], [10.0, 0.0]]), np.ones((2, 2))
    )
    found = surprises(model, np.array([[0.0, 0.0], [10.0, 0.0]]))
    assert found[0, 0] > 40.0
    assert found[0, 1] < 1e-6
    assert found[1].max() == pytest.approx(np.log(2.0))  # half of the components would not have it


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_missing_is_left_out(family):
    model, rows = mixture(family), np.random.default_rng(1).normal(size=(20, 4)) * 3.0
    rows[::2, 1] = rows[::3, 3] = np.nan
    rows[5] = np.nan
    found = surprises(model, rows)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(rows))
    for row, values in zip(rows, found, strict=True):
        known = np.flatnonzero(~np.isnan(row))
        if len(known):
            np.testing.assert_allclose(values[known], surprises(marginal(model, known), row[None, known])[0])


def test_the_ends_of_the_range():
    model = mixture("full")
    found = surprises(model, np.array([[1e8, 0, 0, 0], [1e300, 0, 0, 0]]))
    assert (found >= 0.0).all()
    assert found[0, 0] > 1e12
    assert found[1, 0] == np.inf
    assert surprises(model, np.empty((0, 4))).shape == (0, 4)


@pytest.mark.parametrize("family", FAMILIES)
def test_along_lines_it_is_the_tails_of_what_integrates_to_one(family):
    """Rows depend on five values: the density along the line of each, by sums over a fine grid."""
    model, generator = mixture(family), np.random.default_rng(4)
    directions = generator.normal(size=(5, 4))
    directions[3] = 0.0
    rows = generator.normal(size=(4, 4)) * 3.0
    found = surprises(model, rows, directions)
    assert found.shape == (4, 5)
    np.testing.assert_allclose(found[:, 3], 0.0, atol=1e-12)
    steps = np.linspace(-200.0, 200.0, 20_001)  # far below any width
    for row, values in zip(rows, found, strict=True):
        for value, direction in zip(values, directions, strict=True):
            if not direction.any():
                continue
            densities = np.exp(log_joint(model, row + steps[:, None] * direction))
            shares = densities.sum(axis=0)
            centres = steps @ densities / shares
            widths = np.sqrt((np.square(steps[:, None] - centres) * densities).sum(axis=0) / shares)
            chance = shares @ (2.0 * norm.sf(np.abs(centres) / widths)) / shares.sum()
            assert value == pytest.approx(-np.log(chance), rel=1e-5, abs=1e-7)


def test_along_the_axes_it_is_that_of_the_features():
    model, rows = mixture("full"), np.random.default_rng(1).normal(size=(9, 4))
    np.testing.assert_allclose(surprises(model, rows, np.eye(4)), surprises(model, rows), rtol=1e-12)
