from dataclasses import replace

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from dgmm.kernels.densities import log_densities
from dgmm.model.criteria import CRITERIA, Scores, aic, bic, resolution
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from tests.model import naive


@pytest.mark.parametrize("covariance_type", naive.SCIKIT_LEARNS)
@pytest.mark.parametrize(("n_components", "n_features"), [(1, 1), (3, 2), (2, 4)])
def test_criteria_are_those_of_scikit_learn(covariance_type, n_components, n_features):
    generator = np.random.default_rng(1)
    rows = generator.normal(size=(400, n_features))
    reference = GaussianMixture(n_components, covariance_type=covariance_type, random_state=0).fit(rows)
    fitted = (getattr(reference, f"{name}_") for name in ("weights", "means", "covariances"))
    parameters = Parameters.from_covariances(FAMILIES[covariance_type], *fitted)
    log_likelihood = log_densities(parameters, rows).sum()
    np.testing.assert_allclose(bic(log_likelihood, parameters.n_parameters, 400), reference.bic(rows))
    np.testing.assert_allclose(aic(log_likelihood, parameters.n_parameters), reference.aic(rows))


def test_criteria_by_hand():
    assert bic(-10.0, 3, 1) == 20.0
    assert bic(0.0, 2, 100) == pytest.approx(2 * np.log(100))
    assert aic(-10.0, 3) == 26.0


def test_criteria_are_those_of_the_scores():
    own = Scores(-2.0, 0.25, -2.5, 0.125, 7, 1000.0)
    values = {name: criterion.value(own) for name, criterion in CRITERIA.items()}
    assert values["bic"] == bic(-2000.0, 7, 1000)
    assert values["aic"] == 4000.0 + 14
    assert values["icl"] == values["bic"] + 500.0
    assert values["caic"] == pytest.approx(4000.0 + 7 * (np.log(1000.0) + 1.0))  # Bozdogan's equation
    assert values["held-out"] == -2.5
    better = replace(own, log_likelihood=-2.0 + resolution(1000.0))
    assert CRITERIA["bic"].value(better) == pytest.approx(values["bic"] - 0.5 * np.log(1000.0))


def test_what_is_said_of_criteria():
    own = Scores(-2.0, 0.25, -2.5, 0.125, 7, 1000.0)
    held_out = CRITERIA["held-out"]
    assert [name for name, each in CRITERIA.items() if each.needs_held_out] == ["held-out"]
    assert held_out.loss(own) == 2.5
    assert held_out.error(own) == 0.125
    assert held_out.axis_label == "held-out log-likelihood (nats a row): higher is better"
    results = {"held_out": np.array([-2.5, np.nan]), "held_out_error": np.array([0.125, np.nan])}
    np.testing.assert_array_equal(held_out.errors(results), [0.125, np.nan])
    assert held_out.written(results, 0) == "-2.50000 ± 0.12500"
    assert held_out.gap(0.0123456) == "0.01235 nats a row"
    assert CRITERIA["bic"].gap(1.03963e6) == "1,039,630.0"
    for name, criterion in CRITERIA.items():
        if name != "held-out":
            assert criterion.loss(own) == criterion.value(own)
            assert np.isnan(criterion.error(own))
            assert criterion.axis_label == f"{criterion.label}: lower is better"
            results = {criterion.column: np.array([0.0, 1234.56])}
            assert criterion.errors(results) is None
            assert criterion.written(results, 1) == "1,234.6"


@pytest.mark.parametrize("criterion", CRITERIA.values(), ids=list(CRITERIA))
def test_what_describes_rows_better_loses_less(criterion):
    """So it must be for models with as many parameters, and no gain exceeds what a race allows for."""
    own = Scores(-2.0, 0.25, -2.5, 0.125, 7, 1000.0)
    better = replace(own, log_likelihood=-1.9, held_out=-2.4, entropy=0.2)
    assert criterion.loss(better) < criterion.loss(own)
    assert criterion.loss(own.with_gain(0.1)) <= criterion.loss(better)
    results = {criterion.column: np.array([criterion.value(own), criterion.value(better)])}
    losses = [criterion.loss(own), criterion.loss(better)]
    np.testing.assert_array_equal(criterion.losses(results), losses)
    assert criterion.fit(better) > criterion.fit(own)
