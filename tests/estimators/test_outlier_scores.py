"""Rows are scored by mixtures and pipelines as by the mixture alone; their values by the model."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.frozen import FrozenEstimator
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dgmm import GaussianMixture
from dgmm.data import open_dataset
from dgmm.estimators.outlier_scores import score_function, scores_of, surprise_function
from dgmm.model.surprise import surprises


@pytest.fixture
def rows(generator):
    return generator.normal(size=(200, 3)) * [1.0, 5.0, 0.2]


@pytest.mark.parametrize("frozen", [False, True])
def test_the_last_step_of_a_pipeline_scores_what_the_others_make_of_rows(rows, frozen):
    pipeline = make_pipeline(StandardScaler(), GaussianMixture(2, random_state=0)).fit(rows)
    found = scores_of(FrozenEstimator(pipeline) if frozen else pipeline, rows)
    np.testing.assert_array_equal(found, pipeline.score_samples(rows))


def test_what_is_no_mixture_scores_by_itself(rows):
    other = KernelDensity().fit(rows)
    np.testing.assert_array_equal(scores_of(other, rows), other.score_samples(rows))


def test_of_a_missing_value_the_log_density_is_expected(rows):
    """For one component with independent features: ∫ p log p of what is missing, in closed form."""
    mixture = GaussianMixture(1, covariance_type="diag", missing="marginalize").fit(rows)
    lacking = rows[:5].copy()
    lacking[:, 1] = np.nan
    deviations = np.sqrt(mixture.covariances_[0])
    wanted = norm.logpdf(rows[:5], mixture.means_[0], deviations)
    wanted[:, 1] = -norm.entropy(mixture.means_[0, 1], deviations[1])
    np.testing.assert_allclose(scores_of(mixture, lacking), wanted.sum(axis=1), rtol=1e-10)
    assert score_function(mixture, open_dataset(lacking)).takes_nan


def test_surprises_are_those_of_the_model(rows):
    mixture = GaussianMixture(2, random_state=0).fit(rows)
    function = surprise_function(mixture, open_dataset(rows))
    np.testing.assert_array_equal(function.compute(rows), surprises(mixture._parameters, rows))
    assert list(function.columns or ()) == [0, 1, 2]
