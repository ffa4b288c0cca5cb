# pyright: reportArgumentType=false, reportCallIssue=false
"""Rows that lack values, each by itself: against SciPy's marginals and the formula of a conditional."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from dgmm.kernels import compiled, rare
from dgmm.kernels.rare import expected_rows, shares_of
from tests.model import naive

each_family = pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)


def rows_with_every_pattern(generator, n_features=4) -> np.ndarray:
    patterns = (np.arange(2**n_features)[:, None] >> np.arange(n_features)) & 1
    return np.where(patterns, generator.normal(scale=2.0, size=patterns.shape), np.nan)


def expected_of(parameters, row, k):
    """Log joint density, completed deviations, covariance of what is missing, and its entropy."""
    mean, covariance = parameters.means[k], naive.matrices_of(parameters)[k]
    known = ~np.isnan(row)
    missing = ~known
    deviations, within = np.where(known, row - mean, 0.0), np.zeros(covariance.shape)
    log_joint = np.log(parameters.weights[k])
    left = covariance[np.ix_(missing, missing)]
    if known.any():
        of_known = covariance[np.ix_(known, known)]
        log_joint += multivariate_normal(mean[known], of_known).logpdf(row[known])
        regression = np.linalg.solve(of_known, covariance[np.ix_(known, missing)]).T
        deviations[missing] = regression @ deviations[known]
        left = left - regression @ covariance[np.ix_(known, missing)]
    within[np.ix_(missing, missing)] = left
    entropy = 0.5 * np.linalg.slogdet(2.0 * np.pi * np.e * left)[1] if missing.any() else 0.0
    return log_joint, deviations, within, entropy


@each_family
@pytest.mark.parametrize("by", ["numpy", "completed", "eliminated"])
@pytest.mark.parametrize("entries", [1, 200, 2**18])  # a row at a time, some, all
def test_each_row_has_its_own_marginal(covariance_type, entries, by, monkeypatch):
    if by != "numpy" and not compiled.is_available():
        pytest.skip("nothing is compiled here")
    monkeypatch.setattr(rare, "MOST_KNOWN", 1e4 if by == "completed" else 0.0)
    monkeypatch.setattr(rare, "BATCH_ENTRIES", entries)
    generator = np.random.default_rng(0)
    parameters = naive.random_parameters(generator, covariance_type, 3, 4)
    rows = rows_with_every_pattern(generator)
    seen = 0
    for found in expected_rows(parameters, rows, rare.eliminate if by == "numpy" else compiled.eliminate):
        assert found.rows.start == seen
        for index, row in enumerate(rows[found.rows]):
            seen += 1
            alone = np.zeros((len(found.log_joint), 3))
            alone[index] = 1.0
            sums, products = found.sums(alone, parameters.means - 1.0, False)
            for k in range(3):
                log_joint, deviations, within, entropy = expected_of(parameters, row, k)
                own, expected = products[k], np.outer(deviations + 1.0, deviations + 1.0) + within
                np.testing.assert_allclose(found.log_joint[index, k], log_joint, rtol=1e-10)
                np.testing.assert_allclose(sums[k], deviations + 1.0, rtol=1e-9, atol=1e-10)
                expected = np.diag(expected) if own.ndim == 1 else expected
                np.testing.assert_allclose(own, expected, rtol=1e-9, atol=1e-10)
                entropies = np.broadcast_to(found.entropies[index], 3)
                np.testing.assert_allclose(entropies[k], entropy, rtol=1e-9, atol=1e-9)
    assert seen == len(rows)


@each_family
def test_a_component_of_no_weight_has_no_part(covariance_type):
    generator = np.random.default_rng(1)
    parameters = naive.random_parameters(generator, covariance_type, 3, 4)
    parameters = replace(parameters, weights=np.array([0.25, 0.0, 0.75]))
    (found,) = expected_rows(parameters, rows_with_every_pattern(generator))
    shares, _ = shares_of(found.log_joint)
    assert not shares[:, 1].any()
    np.testing.assert_allclose(shares[0], parameters.weights)  # nothing is known of this row


def test_shares_are_those_of_the_log_joint_densities():
    joint = np.random.default_rng(2).normal(scale=100.0, size=(50, 4)) - 5000.0
    joint[0] = [0.0, -np.inf, -np.inf, -np.inf]
    shares, log_densities = shares_of(joint)
    expected = logsumexp(joint, axis=1)
    np.testing.assert_allclose(log_densities, expected, rtol=1e-14)
    np.testing.assert_allclose(shares, np.exp(joint - expected[:, None]), rtol=1e-12)
