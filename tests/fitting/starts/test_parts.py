"""Parts of a mixture: the rows that are theirs, and what they climb while the others keep theirs."""

import numpy as np
import pytest

from dgmm.fitting.starts.parts import objectives_of, own_rows, shares
from dgmm.fitting.steps.in_memory import InMemory
from dgmm.fitting.steps.objective import Likelihood
from tests.fitting.starts.test_splits import rows_and_mixture
from tests.model import naive


def test_shares_are_responsibilities_times_row_weights(generator):
    rows, mixture = rows_and_mixture("full")
    weights = generator.gamma(2.0, size=len(rows))
    log_joint = naive.log_joint(mixture, rows)
    expected = np.exp(log_joint - np.logaddexp.reduce(log_joint, axis=1, keepdims=True)) * weights[:, None]
    np.testing.assert_allclose(shares(InMemory.of(rows, weights), mixture).T, expected, atol=1e-10)


def test_own_rows_are_those_of_a_responsibility_above_a_thousandth():
    rows, mixture = rows_and_mixture("full")
    weights = np.geomspace(1e-3, 1e3, len(rows))
    expected = [np.flatnonzero(share > 1e-3) for share in shares(InMemory.of(rows), mixture)]
    data = InMemory.of(rows, weights)
    for share, own in zip(shares(data, mixture), expected, strict=True):
        np.testing.assert_array_equal(own_rows(data, share), own)


@pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical"])
def test_where_no_covariance_is_shared_parts_climb_what_the_whole_does(covariance_type):
    rows, mixture = rows_and_mixture(covariance_type)
    data, objective = InMemory.of(rows), Likelihood(1e-6)
    assert objectives_of(data, mixture, shares(data, mixture), [[0], [1, 2]], objective) == [objective] * 2
