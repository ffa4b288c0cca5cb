"""Missing features by regression on observed ones, of many patterns, against each by itself."""

import numpy as np
import pytest

from dgmm.model.conditional import conditional
from dgmm.model.matrices import DegenerateCovarianceError
from dgmm.model.regression import regress
from tests.model import naive


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
def test_it_is_that_of_each_pattern(covariance_type):
    model = naive.random_parameters(np.random.default_rng(0), covariance_type, 3, 4)
    known = np.array([[0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 0, 1], [1, 0, 0, 0]], bool)
    found = regress(model.covariances, known)
    n_own = 3 if covariance_type == "full" else 1
    for number, is_known in enumerate(known):
        given = conditional(model, is_known)
        precisions = np.linalg.inv(given.of_known.covariances).reshape(n_own, *2 * [len(given.known)])
        assert given.coefficients is not None
        for k in range(n_own):
            wanted = np.zeros((3, 4, 4))
            wanted[0][np.ix_(given.known, given.known)] = precisions[k]
            wanted[1][np.ix_(given.missing, given.known)] = given.coefficients[k]
            within = given.covariances[k] if n_own > 1 else given.covariances
            wanted[2][np.ix_(given.missing, given.missing)] = within
            factor = found.factors[number, k]
            own = factor @ factor.T, found.coefficients[number, k], found.within[number, k]
            np.testing.assert_allclose(own, wanted, rtol=1e-10, atol=1e-12)
            half = 0.5 * np.linalg.slogdet(precisions[k])[1]
            np.testing.assert_allclose(found.halves[number, k], half, rtol=1e-10, atol=1e-12)


def test_a_covariance_without_a_factor_is_refused():
    with pytest.raises(DegenerateCovarianceError):
        regress(np.array([[1.0, 2.0], [2.0, 1.0]]), np.ones((1, 2), bool))
