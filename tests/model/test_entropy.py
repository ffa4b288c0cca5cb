"""The entropy of responsibilities from sums, against the sum over rows."""

import numpy as np
import pytest

from dgmm.kernels import expect
from dgmm.kernels.densities import responsibilities
from dgmm.kernels.stacking import stack_models
from dgmm.model.entropy import entropy
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Moments
from tests.model import naive


@pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("about_means", [False, True])
def test_it_is_that_of_the_rows(covariance_type, weighted, about_means):
    generator = np.random.default_rng(1)
    rows = 1.5 * generator.normal(size=(800, 3)) + 5.0
    weights = generator.exponential(size=800) if weighted else None
    model = naive.random_parameters(generator, covariance_type, 4, 3)
    moments = Moments.of(rows, weights)
    references = [model.means + 0.1] if about_means else None
    ready = stack_models([model], moments.mean, moments.extent, rows.dtype, references=references)
    (statistics,) = expect(ready, [(rows, weights)])
    statistics = statistics.completed(moments.scatter, model.precisions_cholesky)
    found = entropy(model, statistics, statistics.log_likelihood)
    share = responsibilities(model, rows)
    own = -(share * np.log(np.maximum(share, 1e-300))).sum(axis=1)
    expected = own.sum() if weights is None else own @ weights
    assert expected > 0.1
    assert found == pytest.approx(expected, rel=1e-8, abs=1e-7)


@pytest.mark.parametrize("correlation", [0.0, 1 - 1e-9])
def test_of_one_component_there_is_none(correlation):
    """To the last bit, where features are almost linearly dependent too."""
    generator = np.random.default_rng(0)
    covariance = 1e6 * np.array([[1.0, correlation], [correlation, 1.0]])
    rows = generator.multivariate_normal([0.0, 0.0], covariance, 1000, method="cholesky")
    moments = Moments.of(rows)
    model = Parameters.from_covariances(FAMILIES["full"], np.ones(1), np.zeros((1, 2)), covariance[None])
    ready = stack_models([model], moments.mean, moments.extent, rows.dtype)
    (statistics,) = expect(ready, [(rows, None)])
    assert entropy(model, statistics, statistics.log_likelihood) == 0.0


def test_rows_that_are_decided_have_none():
    rows = np.repeat([[0.0], [1e4]], 50, axis=0) + np.random.default_rng(0).normal(size=(100, 1))
    model = naive.random_parameters(np.random.default_rng(0), "full", 2, 1)
    model.means[:] = [[0.0], [1e4]]
    moments = Moments.of(rows)
    ready = stack_models([model], moments.mean, moments.extent, rows.dtype)
    (statistics,) = expect(ready, [(rows, None)])
    found = entropy(model, statistics, statistics.log_likelihood)
    assert found == pytest.approx(0.0, abs=1e-4)
