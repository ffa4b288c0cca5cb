import numpy as np
import pytest

from dgmm.fitting.few_rows import LIMITS, rows_of_a_covariance


@pytest.mark.parametrize("n_features", [1, 2, 5])
def test_a_covariance_of_fewer_rows_is_singular(n_features):
    rows = np.random.default_rng(0).normal(size=(rows_of_a_covariance(n_features), n_features))
    assert np.linalg.matrix_rank(rows - rows.mean(axis=0)) == n_features
    assert np.linalg.matrix_rank(rows[1:] - rows[1:].mean(axis=0)) == n_features - 1


def test_an_empty_component_has_one_row_at_the_most():
    assert 1.0 < LIMITS.empty < rows_of_a_covariance(1)
