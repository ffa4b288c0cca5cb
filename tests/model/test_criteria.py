import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from dgmm.model.criteria import aic, bic
from dgmm.model.densities import log_densities
from dgmm.model.parameters import Parameters
from tests.model import naive


@pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)
@pytest.mark.parametrize(("n_components", "n_features"), [(1, 1), (3, 2), (2, 4)])
def test_criteria_are_those_of_scikit_learn(covariance_type, n_components, n_features):
    generator = np.random.default_rng(1)
    rows = generator.normal(size=(400, n_features))
    reference = GaussianMixture(n_components, covariance_type=covariance_type, random_state=0).fit(rows)
    fitted = (getattr(reference, f"{name}_") for name in ("weights", "means", "covariances"))
    parameters = Parameters.from_covariances(covariance_type, *fitted)
    log_likelihood = log_densities(parameters, rows).sum()
    np.testing.assert_allclose(bic(log_likelihood, parameters.n_parameters, 400), reference.bic(rows))
    np.testing.assert_allclose(aic(log_likelihood, parameters.n_parameters), reference.aic(rows))


def test_criteria_by_hand():
    assert bic(-10.0, 3, 1) == 20.0
    assert bic(0.0, 2, 100) == pytest.approx(2 * np.log(100))
    assert aic(-10.0, 3) == 26.0
