# pyright: reportArgumentType=false
"""Whether rows need all components of a mixture."""

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

from dgmm import GaussianMixture
from dgmm.fitting.sample import Sample, hash_numbers
from dgmm.fitting.steps.objective import Likelihood
from dgmm.fitting.surplus import MergedOnSample
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters


def clusters(n_rows, n_clusters, n_features=2, seed=0):
    generator = np.random.default_rng(seed)
    centres = 10.0 * np.arange(n_clusters)[:, None] * np.ones(n_features)
    return centres[generator.integers(n_clusters, size=n_rows)] + generator.normal(size=(n_rows, n_features))


def fitted(rows, n_components, covariance_type) -> Parameters:
    other = SklearnGaussianMixture(n_components, covariance_type=covariance_type, random_state=0).fit(rows)
    covariances = np.asarray(other.covariances_)
    return Parameters.from_covariances(FAMILIES[covariance_type], other.weights_, other.means_, covariances)


@pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical", "tied"])
@pytest.mark.parametrize(("n_clusters", "n_components"), [(1, 3), (3, 3), (3, 5)])
def test_those_beyond_the_clusters_are_surplus(n_clusters, n_components, covariance_type):
    rows = clusters(4000, n_clusters)
    numbers = np.arange(len(rows))
    sample = Sample(hash_numbers(0, numbers), numbers, rows, None)
    asked = MergedOnSample(sample, Likelihood(1e-6), len(rows))
    parameters = fitted(rows, n_components, covariance_type)
    found = [asked(parameters, n) for n in range(1, n_components)]
    assert found == [n <= n_components - n_clusters for n in range(1, n_components)]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # of the long one
def test_a_fit_with_surplus_components_takes_a_handful_of_passes():
    """And loses no more than chance gives; whoever names a tolerance has it."""
    rows = np.random.default_rng(0).standard_normal((100_000, 4))
    own = {"n_components": 4, "random_state": 0, "sample_rows": 40_000}
    quick = GaussianMixture(**own).fit(rows)
    assert quick.converged_
    assert quick.n_iter_ <= 10
    assert "by BIC the sample is described as well" in quick.stop_reason_
    long = GaussianMixture(**own, tol=1e-6, max_iter=15).fit(rows)
    assert long.n_iter_ > quick.n_iter_
    each = 1 + 4 + 10
    assert quick.lower_bound_ >= long.lower_bound_ - 3 * each / len(rows)
