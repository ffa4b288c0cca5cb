"""Figures of models from a pass: those of the responsibilities, written out."""

import numpy as np
import pytest
from scipy.special import xlogy

from dgmm.data import open_dataset, open_weights
from dgmm.fitting.steps.expectation import Data
from dgmm.fitting.steps.objective import Likelihood
from dgmm.fitting.sweep.scores import score_models, scores_of
from dgmm.model.statistics import Moments
from dgmm.passes.events import PassFinished, listening
from tests.model import naive

pytestmark = pytest.mark.usefixtures("small_spans")


def data_of(rows, weights) -> Data:
    return Data(
        open_dataset(rows), None if weights is None else open_weights(weights), Moments.of(rows, weights)
    )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)
def test_figures_are_those_of_the_responsibilities(generator, covariance_type, weighted):
    models = [naive.random_parameters(generator, covariance_type, k, 2, spread=1.0) for k in (1, 3)]
    rows = generator.normal(scale=2.0, size=(3000, 2))
    weights = generator.exponential(size=3000) if weighted else np.ones(3000)
    data = data_of(rows, weights if weighted else None)
    seen = []
    with listening(seen.append):
        together = score_models(data, models)
    assert sum(isinstance(event, PassFinished) for event in seen) == 1
    for model, found in zip(models, together, strict=True):
        joint = naive.log_joint(model, rows)
        log_densities = naive.log_sums(joint)
        shares = np.exp(joint - log_densities[:, None])
        assert found.weight == pytest.approx(weights.sum())
        assert found.log_likelihood == pytest.approx(np.average(log_densities, weights=weights), rel=1e-11)
        undecided = -np.average(xlogy(shares, shares).sum(axis=1), weights=weights)
        assert found.entropy == pytest.approx(undecided, rel=1e-8, abs=1e-10)
        assert found.n_parameters == model.n_parameters
        assert np.isnan([found.held_out, found.held_out_error]).all()


@pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)
def test_the_pass_of_a_fit_says_the_same(generator, covariance_type):
    model = naive.random_parameters(generator, covariance_type, 3, 2)
    data = data_of(naive.random_rows(generator, model, 2000), generator.uniform(size=2000))
    (evaluation,) = data.evaluate([model], Likelihood(1e-6))
    found, (expected,) = scores_of(data, evaluation), score_models(data, [model])
    for name in ("log_likelihood", "entropy", "n_parameters", "weight"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-12, abs=1e-12)


def test_no_models_take_no_pass():
    seen = []
    with listening(seen.append):
        assert score_models(data_of(np.eye(2), None), []) == []
    assert seen == []
