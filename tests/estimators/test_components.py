# pyright: reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
"""The entropy of assignments to components; `misfit` and merges have files of their own."""

import numpy as np
import pytest
from scipy.stats import entropy

from dgmm import GaussianMixture


@pytest.fixture
def rows(generator):
    return np.concatenate([generator.normal(4 * k, 1 + k, (300 + 200 * k, 3)) for k in range(3)])


@pytest.mark.usefixtures("small_spans")
@pytest.mark.parametrize("covariance_type", ["full", "tied_diag"])
def test_entropy_is_that_of_responsibilities(rows, stored, covariance_type):
    mixture = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(rows)
    own = entropy(mixture.predict_proba(rows), axis=1)
    assert mixture.assignment_entropy(rows) == pytest.approx(own.mean(), rel=1e-9)
    assert mixture.assignment_entropy(stored(rows, 100)) == pytest.approx(own.mean(), rel=1e-6)
    counts = np.random.default_rng(0).integers(0, 3, len(rows))
    expected = np.repeat(own, counts).mean()
    assert mixture.assignment_entropy(rows, sample_weight=counts) == pytest.approx(expected, rel=1e-9)


def test_rows_that_do_not_count_are_refused(rows):
    mixture = GaussianMixture(3, random_state=0).fit(rows)
    with pytest.raises(ValueError, match="zero in every row"):
        mixture.assignment_entropy(rows, sample_weight=np.zeros(len(rows)))
    with pytest.raises(ValueError, match="0 sample"):
        mixture.assignment_entropy(np.empty((0, 3)))
