"""Criteria of a mixture of maximum likelihood, and what asks for what it was fitted with."""
# pyright: reportArgumentType=false

import numpy as np
import pytest

from dgmm import GaussianMixture
from tests.model import naive


@pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)
def test_number_of_parameters_bic_and_aic(generator, covariance_type):
    """As mclust counts: 3 means of 3 features, 2 free weights, and covariances."""
    counts = {"full": 18, "tied": 6, "diag": 9, "spherical": 3, "tied_diag": 3, "tied_spherical": 1}
    rows = np.concatenate([centre + generator.normal(size=(60, 3)) for centre in (0.0, 8.0, 16.0)])
    mixture = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(rows)
    log_likelihood = naive.split(naive.log_joint(mixture._parameters, rows))[0].sum()
    n_parameters = 9 + 2 + counts[covariance_type]
    assert mixture.bic(rows) == pytest.approx(n_parameters * np.log(180) - 2.0 * log_likelihood, rel=1e-10)
    assert mixture.aic(rows) == pytest.approx(2.0 * n_parameters - 2.0 * log_likelihood, rel=1e-10)


def test_groups_of_the_fit_are_asked_for(generator):
    rows, groups = generator.normal(size=(60, 1)), np.repeat([0, 1], 30)
    mixture = GaussianMixture(random_state=0).fit(rows, groups=groups)
    with pytest.raises(ValueError, match="give groups= of the rows, as for fit"):
        mixture.standard_errors(rows)
    assert mixture.bic(rows, groups=groups) == pytest.approx(mixture.bic(rows), rel=1e-12)
