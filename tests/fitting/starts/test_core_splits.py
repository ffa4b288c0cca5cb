"""Splits into a core and what is around it: what they gain, and where there are none."""

import numpy as np
import pytest

from dgmm.fitting.starts.core_splits import core_splits
from dgmm.fitting.starts.parts import shares
from dgmm.fitting.starts.splits import best_splits
from dgmm.fitting.steps.in_memory import InMemory
from dgmm.fitting.steps.objective import Likelihood
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from tests.model import naive

PLAIN = Likelihood(1e-6)
own_covariances = pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical"])


def rows_of_two_widths(n_rows=1500, seed=0):
    """Half of the rows about one centre have a standard deviation of 1, half of 6."""
    generator = np.random.default_rng(seed)
    widths = np.where(generator.random(n_rows) < 0.5, 1.0, 6.0)
    return generator.normal(size=(n_rows, 3)) * widths[:, None] + 2.0


def one(rows, covariance_type):
    """Fit one component."""
    family, covariance = FAMILIES[covariance_type], np.cov(rows.T, bias=True)
    return Parameters.from_covariances(
        family, np.ones(1), rows.mean(axis=0)[None], family.repeated(covariance, 1)
    )


def splits(rows, parameters, n_steps=30, weights=None):
    data = InMemory.of(rows, weights)
    return core_splits(data, parameters, PLAIN, n_steps, share=shares(data, parameters))


def mean_log_density(rows, parameters):
    return naive.log_sums(naive.log_joint(parameters, rows)).mean()


@own_covariances
def test_a_narrow_component_within_a_wide_one_is_found(covariance_type):
    rows = rows_of_two_widths()
    whole = one(rows, covariance_type)
    (move,) = splits(rows, whole)
    assert move.components == [0]
    narrow = int(np.argmin(move.parts.variances[:, 0]))
    np.testing.assert_allclose(np.sqrt(move.parts.variances[narrow]), 1.0, rtol=0.1)
    np.testing.assert_allclose(np.sqrt(move.parts.variances[1 - narrow]), 6.0, rtol=0.1)
    np.testing.assert_allclose(move.parts.weights, 0.5, atol=0.05)
    assert move.gain == pytest.approx(mean_log_density(rows, move.parts) - mean_log_density(rows, whole))
    # From halves EM takes more steps.
    data = InMemory.of(rows)
    (halves,) = best_splits(data, whole, PLAIN, 4)
    (core,) = core_splits(data, whole, PLAIN, 4, share=shares(data, whole))
    assert core.gain > halves.gain


def test_an_equation_that_many_rows_fulfil_is_found():
    """The third feature is the sum of the others in nine rows of ten, and 2 more or less in others."""
    generator = np.random.default_rng(3)
    rows = generator.normal(size=(3000, 3))
    rows[:, 2] = rows[:, 0] + rows[:, 1] + generator.choice([*[0.0] * 18, 2.0, -2.0], size=len(rows))
    (move,) = splits(rows, one(rows, "full"))
    across = np.array([1.0, 1.0, -1.0])
    widths = np.sqrt(np.einsum("i,kij,j->k", across, move.parts.covariance_matrices, across))
    assert widths.min() == pytest.approx(np.sqrt(3e-6), rel=1e-2)


def test_weights_count_rows():
    rows = rows_of_two_widths(600)
    weights = np.random.default_rng(1).integers(0, 3, len(rows)).astype(float)
    repeated = np.repeat(rows, weights.astype(int), axis=0)
    (own,) = splits(rows, one(repeated, "full"), weights=weights)
    (other,) = splits(repeated, one(repeated, "full"))
    assert own.gain == pytest.approx(other.gain, rel=1e-2)


def test_there_are_none_of_normal_rows_or_of_shared_covariances():
    rows = rows_of_two_widths()
    for covariance_type in ("tied", "tied_diag", "tied_spherical"):
        assert splits(rows, one(rows, covariance_type)) == []
    normal = np.random.default_rng(2).normal(size=(2000, 3))
    assert splits(normal, one(normal, "full")) == []
    assert splits(rows[:7], one(rows, "full")) == []  # too few for two
    family = FAMILIES["full"]
    narrow = Parameters.from_covariances(family, np.ones(1), np.ones((1, 3)), family.repeated(np.eye(3), 1))
    assert splits(np.ones((20, 3)), narrow) == []  # all of them are the mean
