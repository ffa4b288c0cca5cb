"""What is known of rows, as columns beside them and as log priors."""

import numpy as np
import pytest

from dgmm.data import DataError
from dgmm.fitting.labels_and_groups import KnownParts
from dgmm.kernels.stacking import stack_models
from dgmm.model.parameters import LOG_OF_NOTHING
from tests.model import naive


def stacked(n_groups, **changes):
    parameters = naive.random_parameters(np.random.default_rng(0), "full", 3, 2)
    for name, value in changes.items():
        object.__setattr__(parameters, name, value)
    return parameters, stack_models([parameters], np.zeros(2), np.ones(2), np.float64, n_groups=n_groups)


def test_labels_and_groups_are_log_priors():
    """Of each row: the ratios of its group's weights to those of all, and nothing but its label."""
    weights = np.random.default_rng(1).dirichlet(np.ones(3), 2)
    parameters, ready = stacked(2, group_weights=weights)
    known = KnownParts(np.array([4.0, 9.0]), 3)
    columns = np.array([[9.0, -1.0], [4.0, 2.0], [4.0, -1.0]])
    priors = known.priors(ready, columns)
    assert priors.groups.tolist() == [1, 0, 0]
    found = priors.of_model(0)
    ratios = np.log(weights / parameters.weights)
    np.testing.assert_allclose(found[:, 0], ratios[1], rtol=1e-12)
    np.testing.assert_allclose(found[:, 2], ratios[0], rtol=1e-12)
    assert found[:2, 1].tolist() == [LOG_OF_NOTHING] * 2
    assert found[2, 1] == pytest.approx(ratios[0, 2])
    soft = KnownParts(np.array([4.0, 9.0]), 0, 3)
    own = np.array([[4.0, 0.2, 0.0, 0.8]])
    np.testing.assert_allclose(
        soft.priors(ready, own).of_model(0)[[0, 2], 0], ratios[0, [0, 2]] + np.log([0.2, 0.8]), rtol=1e-12
    )
    with pytest.raises(DataError, match="groups holds 5, which is none of the 2 groups"):
        known.priors(ready, np.array([[5.0, -1.0]]))


def test_how_much_rows_tell():
    hard, soft = KnownParts(None, 3), KnownParts(None, 0, 3)
    np.testing.assert_array_equal(hard.label_certainty(np.array([[1.0], [-1.0]]), 3), [[0, 1, 0], [0, 0, 0]])
    columns = np.array([[0.0, 5.0, 0.0], [2.0, 2.0, 2.0], [1.0, 1.0, 0.0]])
    np.testing.assert_allclose(
        soft.label_certainty(columns, 3), [[0, 1, 0], [0, 0, 0], [0.25, 0.25, 0]], rtol=1e-12, atol=1e-15
    )
