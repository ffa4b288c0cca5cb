"""The longest axis of rows, along which a component is split."""

import numpy as np
import pytest

from dgmm.fitting.starts import axes
from dgmm.fitting.starts.splits import best_splits
from dgmm.fitting.steps.in_memory import InMemory
from dgmm.fitting.steps.objective import Likelihood
from dgmm.model.families import FAMILIES
from dgmm.model.matrices import MATRICES
from dgmm.model.parameters import Parameters
from tests.model import naive


@pytest.mark.parametrize("n_features", [MATRICES.wide_features - 1, MATRICES.wide_features])
def test_the_longest_axis_is_that_of_whitened_rows(n_features):
    generator = np.random.default_rng(5)
    rows = generator.normal(size=(2 * n_features, n_features)) * generator.uniform(0.5, 2.0, n_features)
    root = np.linalg.cholesky(np.cov(generator.normal(size=(n_features, 3 * n_features))))
    lengths, vectors = np.linalg.eigh(np.cov(np.linalg.solve(root, rows.T)))
    length, axis = axes._longest_axis(np.cov(rows.T), root)
    assert length == pytest.approx(lengths[-1], rel=1e-10)
    assert abs(axis @ vectors[:, -1]) == pytest.approx(1.0, abs=1e-8)


def two_clusters(generator, n_features):
    """Rows about two centres, of features in several units, with weights and their mean and covariances."""
    sides = np.repeat([-1.0, 1.0], 300)[:, None]
    rows = generator.normal(size=(600, n_features)) + sides * generator.normal(size=n_features)
    rows = generator.permutation(rows * generator.uniform(0.1, 10.0, n_features) + 5.0)
    weights = generator.uniform(0.5, 2.0, len(rows))
    return rows, weights, np.cov(rows.T, aweights=weights, ddof=0)


def test_rows_have_the_axis_of_their_covariances(generator):
    rows, weights, covariance = two_clusters(generator, 40)
    covariance += 0.1 * np.eye(40)
    scales = np.sqrt(np.diagonal(covariance))
    exact = axes.long_axis(covariance, np.diag(scales))
    found = axes.long_axis_of_rows(InMemory.of(rows, weights, products=False), scales, 0.1)
    np.testing.assert_allclose(found * np.sign(found @ exact), exact, rtol=0, atol=1e-3 * np.abs(exact).max())


def test_no_square_of_an_axis_exceeds_the_variance_of_its_feature(generator, monkeypatch):
    rows = generator.normal(size=(50, 30)) @ generator.normal(size=(30, 30))
    rows[:, 0] = 0.0
    variances = rows.var(axis=0)
    for n_steps in [1, 2, 30]:
        monkeypatch.setattr(axes, "AXES", axes.AxisTuning(n_rows=20, n_steps=n_steps))
        scales = np.where(variances > 0.0, np.sqrt(variances), 1.0)
        found = axes.long_axis_of_rows(InMemory.of(rows, products=False), scales, 0.0)
        assert (found**2 <= variances * (1 + 1e-12)).all()


def test_rows_that_are_all_the_same_have_an_axis_of_no_length():
    data = InMemory.of(np.ones((5, 3)), products=False)
    np.testing.assert_array_equal(axes.long_axis_of_rows(data, np.ones(3), 0.0), np.zeros(3))


@pytest.mark.parametrize("covariance_type", ["diag", "spherical", "tied_diag", "tied_spherical"])
def test_many_features_are_split_as_few_are(covariance_type, generator, monkeypatch):
    rows, weights, covariance = two_clusters(generator, 20)
    far = rows.mean(axis=0) + 1000.0
    data = InMemory.of(np.concatenate([rows, rows[:200] + 1000.0]), np.concatenate([weights, weights[:200]]))
    mixture = Parameters.from_covariances(
        FAMILIES[covariance_type],
        np.array([0.75, 0.25]),
        np.stack([rows.mean(axis=0), far]),
        naive.covariances_of(covariance_type, np.stack([covariance, covariance])),
    )
    few = best_splits(data, mixture, Likelihood(1e-6))
    monkeypatch.setattr(axes, "MATRICES", type(MATRICES)(wide_features=20))
    many = best_splits(data, mixture, Likelihood(1e-6))
    assert [each.component for each in many] == [each.component for each in few]
    for ours, theirs in zip(many, few, strict=True):
        assert ours.gain == pytest.approx(theirs.gain, rel=1e-6)
