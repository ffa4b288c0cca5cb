"""Rows are completed by what regression on their observed values expects."""

import numpy as np
import pytest

from dgmm.model.observed import Lifts
from tests.model import naive

KNOWN = np.array([[1, 1, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 1, 0]], bool)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "tied_diag"])
def test_expected_rows_and_their_covariances_are_those_of_regression(covariance_type):
    generator = np.random.default_rng(0)
    model = naive.random_parameters(generator, covariance_type, 3, 4)
    origins, row = generator.normal(size=(3, 4)), generator.normal(size=4)
    lifts = Lifts.of(model, KNOWN, origins)
    for number, known in enumerate(KNOWN):
        for k, covariance in enumerate(naive.matrices_of(model)):
            slopes = covariance[np.ix_(~known, known)] @ np.linalg.inv(covariance[np.ix_(known, known)])
            expected = row.copy()
            expected[~known] = model.means[k, ~known] + slopes @ (row - model.means[k])[known]
            lifted = np.where(known, row - origins[k], 0.0)
            if lifts.matrices is not None:
                lifted = np.broadcast_to(lifts.matrices[number], (3, 4, 4))[k] @ lifted
            found = origins[k] + lifted + lifts.constants[number, k]
            np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)
            within = np.zeros((4, 4))
            within[np.ix_(~known, ~known)] = (
                covariance[np.ix_(~known, ~known)] - slopes @ covariance[np.ix_(known, ~known)]
            )
            wanted = within if lifts.matrices is not None else np.diagonal(within)
            own = lifts.within[number, min(k, lifts.within.shape[1] - 1)]
            np.testing.assert_allclose(own, wanted, rtol=1e-10, atol=1e-10)
