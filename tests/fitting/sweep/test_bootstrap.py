"""The likelihood ratio by parametric bootstrap: what it is, and that it is the same for the same seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

import dgmm.fitting.sweep.bootstrap
from dgmm.fitting.sample import Sample
from dgmm.fitting.steps.objective import Likelihood
from dgmm.fitting.sweep.bootstrap import BOOTSTRAP, Null, likelihood_ratio, ratio_of, rows_to_test
from dgmm.model.families import family_named
from dgmm.model.parameters import Parameters
from tests.model import naive

OBJECTIVE = Likelihood(1e-6)


def mixture(means, family="spherical"):
    means = np.asarray(means, float)
    n_components, n_features = means.shape
    own = family_named(family)
    covariances = own.repeated(np.eye(n_features), n_components)
    return Parameters.from_covariances(own, np.full(n_components, 1 / n_components), means, covariances)


@pytest.fixture
def generator():
    return np.random.default_rng(0)


def test_the_ratio_is_that_of_the_fits(generator):
    rows = np.concatenate([generator.normal(-3, 1, (200, 1)), generator.normal(3, 1, (200, 1))])
    fewer, ratio = likelihood_ratio(rows, mixture([[1.0]]), 2, OBJECTIVE)
    np.testing.assert_allclose(
        [fewer.means[0, 0], fewer.covariances[0]], [rows.mean(), rows.var()], rtol=1e-5
    )
    of_one = norm.logpdf(rows, rows.mean(), rows.std()).sum()
    two = np.stack([norm.logpdf(rows, side.mean(), side.std()) for side in (rows[:200], rows[200:])])
    of_two = np.log(0.5 * np.exp(two).sum(axis=0)).sum()
    assert ratio >= 2 * (of_two - of_one) - 0.1  # the best two are better than the true ones
    assert ratio == pytest.approx(2 * (of_two - of_one), rel=0.05)
    _, further = likelihood_ratio(rows, mixture([[1.0]]), 3, OBJECTIVE)
    assert further >= ratio - 0.01


def test_few_rows_have_no_larger_mixture():
    _, ratio = likelihood_ratio(np.array([[0.0], [1.0], [2.0]]), mixture([[1.0]]), 2, OBJECTIVE)
    assert np.isnan(ratio)


def test_samples_depend_on_the_seed_and_their_number_alone():
    null = Null(mixture([[0.0, 0.0], [5.0, 0.0]], "full"), 3, 200, OBJECTIVE, 7)
    ratios = [ratio_of((0, number), [null]) for number in (3, 1, 2)]
    assert ratios == [null.ratio_of_sample(number) for number in (3, 1, 2)]
    assert len(set(ratios)) == 3
    assert replace(null, seed=8).ratio_of_sample(3) != ratios[0]


@pytest.mark.slow
def test_ratios_of_a_mixture_against_itself_are_as_large_as_its_own(generator):
    """If the smaller mixture is true, the ratio of the rows is one like those that are drawn."""
    truth = mixture([[0.0]])
    ranks = []
    for seed in range(40):
        rows = naive.random_rows(generator, truth, 100)
        fewer, ratio = likelihood_ratio(rows, truth, 2, OBJECTIVE)
        null = Null(fewer, 2, 100, OBJECTIVE, seed)
        ranks.append(sum(null.ratio_of_sample(number) >= ratio for number in range(9)))
    p = (1 + np.array(ranks)) / 10
    assert (p <= 0.1).sum() <= 11  # 4 of 40 are expected, 12 have a chance of 1 in 3,000
    assert 0.35 < p.mean() < 0.75


def test_two_far_clusters_are_no_chance(generator):
    rows = np.concatenate([generator.normal(-2, 1, (60, 1)), generator.normal(2, 1, (60, 1))])
    fewer, ratio = likelihood_ratio(rows, mixture([[0.0]]), 2, OBJECTIVE)
    null = Null(fewer, 2, 120, OBJECTIVE, 0)
    assert all(null.ratio_of_sample(number) < ratio for number in range(19))


def test_rows_to_test_are_complete_and_drawn_by_weight(monkeypatch):
    monkeypatch.setattr(dgmm.fitting.sweep.bootstrap, "BOOTSTRAP", replace(BOOTSTRAP, n_rows=500))
    values = np.arange(4000, dtype=np.float32)[:, None]
    values[::2] = np.nan
    weights = np.where(np.arange(4000) < 2000, 3.0, 1.0)
    weights[:100] = 0.0
    sample = Sample(np.zeros(4000, np.uint64), np.arange(4000), values, weights)
    rows = rows_to_test(sample, 0)
    assert rows.shape == (500, 1)
    assert rows.dtype == np.float64
    assert np.isfinite(rows).all()
    assert rows.min() >= 100
    assert len(np.unique(rows)) == 500
    assert 300 < (rows < 2000).sum() < 420  # about 0.7 of them: three times as likely, until they are fewer
    np.testing.assert_array_equal(rows_to_test(sample, 0), rows)
    assert not np.array_equal(rows_to_test(sample, 1), rows)
    assert len(rows_to_test(replace(sample, weights=None), 0)) == 500
