import dataclasses
import pickle

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from dgmm.model.parameters import Parameters
from tests.model import naive

each_family = pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)


@pytest.mark.parametrize("covariance_type", naive.SCIKIT_LEARNS)
@pytest.mark.parametrize(("n_components", "n_features"), [(1, 1), (3, 1), (2, 5)])
def test_number_of_parameters_is_that_of_scikit_learn(covariance_type, n_components, n_features):
    parameters = naive.random_parameters(np.random.default_rng(1), covariance_type, n_components, n_features)
    reference = GaussianMixture(n_components, covariance_type=covariance_type)
    reference.means_ = parameters.means
    assert parameters.n_parameters == reference._n_parameters()
    assert (parameters.n_components, parameters.n_features) == (n_components, n_features)


@each_family
def test_log_constants_are_the_log_joint_densities_at_the_means(covariance_type):
    parameters = naive.random_parameters(np.random.default_rng(2), covariance_type, 4, 3)
    expected = np.diag(naive.log_joint(parameters, parameters.means))
    np.testing.assert_allclose(parameters.log_constants, expected, rtol=1e-12)


@each_family
def test_log_constant_of_no_weight(covariance_type):
    model = naive.random_parameters(np.random.default_rng(3), covariance_type, 2, 2)
    parameters = dataclasses.replace(model, weights=np.array([1.0, 0.0]))
    assert np.isfinite(parameters.log_constants[0])
    assert parameters.log_constants[1] == -np.inf


@each_family
def test_precisions_are_inverse_covariances(covariance_type):
    parameters = naive.random_parameters(np.random.default_rng(4), covariance_type, 3, 3)
    inverse = dataclasses.replace(parameters, covariances=parameters.precisions)
    products = naive.matrices_of(parameters) @ naive.matrices_of(inverse)
    np.testing.assert_allclose(products, np.stack([np.eye(3)] * 3), atol=1e-12)
    np.testing.assert_array_equal(parameters.covariance_matrices, naive.matrices_of(parameters))


@each_family
def test_parameters_are_frozen_and_travel_by_pickle(covariance_type):
    parameters = naive.random_parameters(np.random.default_rng(5), covariance_type, 3, 2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        parameters.weights = np.ones(3)  # type: ignore[misc]
    copy = pickle.loads(pickle.dumps(parameters))
    assert copy.family is parameters.family
    for field in dataclasses.fields(Parameters):
        np.testing.assert_array_equal(getattr(copy, field.name), getattr(parameters, field.name))
