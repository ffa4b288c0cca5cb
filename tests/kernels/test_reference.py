"""The formulas on so few rows that all is written out by hand; larger cases are those of all kernels."""

import math

import numpy as np
import pytest

from dgmm.kernels import reference
from dgmm.kernels.stacking import stack_models
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters


def test_two_components_and_two_rows_by_hand():
    """Standard normal components at −1 and 1, of one weight: at 0 each has half, at t the odds are exp 2t."""
    model = Parameters.from_covariances(
        FAMILIES["spherical"], np.array([0.5, 0.5]), np.array([[-1.0], [1.0]]), np.ones(2)
    )
    ready = stack_models([model], np.array([0.5]), np.ones(1), np.float64)
    rows, weights, odds = np.array([[0.0], [0.5]]), np.array([3.0, 2.0]), math.exp(1.0)
    second = np.array([0.5, odds / (1.0 + odds)])
    ((shares, log_densities),) = reference.evaluate(ready, rows)
    np.testing.assert_allclose(shares, [1.0 - second, second], rtol=1e-14)
    # ½ (φ(t + 1) + φ(t − 1)) is φ(t) exp(−½) cosh t.
    expected = [-0.5 * t * t - 0.5 - 0.5 * math.log(2.0 * math.pi) + math.log(math.cosh(t)) for t in (0, 0.5)]
    np.testing.assert_allclose(log_densities, expected, rtol=1e-14)
    (statistics,) = reference.expect(ready, [(rows, weights)])
    np.testing.assert_allclose(statistics.counts, [5.0 - weights @ second, weights @ second], rtol=1e-14)
    # About the centre, ½, the first row is at −½ and the second at 0.
    np.testing.assert_allclose(statistics.sums, [[-0.75], [-0.75]], rtol=1e-14)
    np.testing.assert_allclose(statistics.scatter, [[0.375], [0.375]], rtol=1e-14)
    assert statistics.log_likelihood == pytest.approx(weights @ expected, rel=1e-14)
    (labels,) = reference.label(ready, np.array([[-0.1], [0.0], [0.1]]))
    assert labels.tolist() == [0, 0, 1]  # the first of equal ones
