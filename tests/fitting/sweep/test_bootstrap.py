"""The likelihood ratio by parametric bootstrap: what it is, and that it is the same for the same seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

import dgmm.fitting.sweep.bootstrap
from dgmm import GaussianMixture
from dgmm.fitting.labels_and_groups import KnownParts
from dgmm.fitting.sample import Sample
from dgmm.fitting.steps.objective import Likelihood
from dgmm.fitting.sweep.bootstrap import (
    BOOTSTRAP,
    NullHypothesis,
    SideInformation,
    likelihood_ratio,
    ratio_of,
    rows_to_test,
)
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
    null = NullHypothesis(mixture([[0.0, 0.0], [5.0, 0.0]], "full"), 3, 200, OBJECTIVE, 7)
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
        null = NullHypothesis(fewer, 2, 100, OBJECTIVE, seed)
        ranks.append(sum(null.ratio_of_sample(number) >= ratio for number in range(9)))
    p = (1 + np.array(ranks)) / 10
    assert (p <= 0.1).sum() <= 11  # 4 of 40 are expected, 12 have a chance of 1 in 3,000
    assert 0.35 < p.mean() < 0.75


def test_two_far_clusters_are_no_chance(generator):
    rows = np.concatenate([generator.normal(-2, 1, (60, 1)), generator.normal(2, 1, (60, 1))])
    fewer, ratio = likelihood_ratio(rows, mixture([[0.0]]), 2, OBJECTIVE)
    null = NullHypothesis(fewer, 2, 120, OBJECTIVE, 0)
    assert all(null.ratio_of_sample(number) < ratio for number in range(19))


def test_rows_to_test_are_complete_and_drawn_by_weight(monkeypatch):
    monkeypatch.setattr(dgmm.fitting.sweep.bootstrap, "BOOTSTRAP", replace(BOOTSTRAP, n_rows=500))
    values = np.arange(4000, dtype=np.float32)[:, None]
    values[::2] = np.nan
    weights = np.where(np.arange(4000) < 2000, 3.0, 1.0)
    weights[:100] = 0.0
    sample = Sample(np.zeros(4000, np.uint64), np.arange(4000), values, weights)
    columns = np.arange(4000.0)[:, None]
    tested = rows_to_test(replace(sample, side_information=columns), 0)
    rows = tested.values
    assert tested.weights is None
    np.testing.assert_array_equal(tested.side_information, rows)
    assert rows.shape == (500, 1)
    assert rows.dtype == np.float64
    assert np.isfinite(rows).all()
    assert rows.min() >= 100
    assert len(np.unique(rows)) == 500
    assert 300 < (rows < 2000).sum() < 420  # about 0.7 of them: three times as likely, until they are fewer
    np.testing.assert_array_equal(rows_to_test(sample, 0).values, rows)
    assert not np.array_equal(rows_to_test(sample, 1).values, rows)
    assert len(rows_to_test(replace(sample, weights=None), 0).values) == 500


class TestWhatIsKnown:
    """Groups, labels and errors: of the rows that are drawn, and in both fits."""

    def test_rows_are_drawn_of_their_groups_and_labels(self, generator):
        means = np.array([[0.0], [100.0], [200.0]])
        weights = np.array([[0.2, 0.3, 0.5], [0.9, 0.1, 0.0]])
        own = replace(mixture(means), group_weights=weights)
        columns = np.stack([np.repeat([5.0, 7.0], 3000), np.tile([0.0, -1.0, -1.0], 2000)], axis=1)
        side_information = SideInformation(columns, KnownParts(np.array([5.0, 7.0]), n_labels=2))
        rows = side_information.draw(own, 6000, generator)[:, 0]
        labels = np.round(rows / 100.0).astype(int)
        assert (labels[columns[:, 1] == 0.0] == 0).all()
        for group, expected in zip((5.0, 7.0), weights, strict=True):
            among = (columns[:, 0] == group) & (columns[:, 1] == -1.0)
            np.testing.assert_allclose(np.bincount(labels[among], minlength=3) / 2000, expected, atol=0.04)
        assert (rows - 100.0 * labels).std() == pytest.approx(1.0, abs=0.04)

    @pytest.mark.parametrize("kind", ["variances", "triangles", "matrices"])
    def test_rows_are_drawn_with_their_errors(self, generator, kind):
        own = mixture([[0.0, 1.0]], "full")
        covariance = np.array([[4.0, 2.0], [2.0, 1.0]])  # singular: errors along a line
        expected = np.diag([4.0, 1.0]) if kind == "variances" else covariance
        given = {"variances": [4.0, 1.0], "triangles": [4.0, 2.0, 1.0], "matrices": covariance.ravel()}
        errors = np.repeat(np.array(given[kind], float)[None], 20_000, axis=0)
        rows = SideInformation(errors, None, errors.shape[1]).draw(own, 20_000, generator)
        np.testing.assert_allclose(np.cov(rows.T), expected + np.eye(2), atol=0.15)

    def test_the_ratio_is_that_of_extreme_deconvolution(self, generator):
        """Two clusters measured with errors of many widths: the fits climb to where those of one K do."""
        truth = np.where(generator.uniform(size=300) < 0.5, -1.5, 1.5) + 0.5 * generator.normal(size=300)
        variances = generator.uniform(0.05, 0.5, (300, 1))
        rows = truth[:, None] + generator.normal(size=(300, 1)) * np.sqrt(variances)
        side_information = SideInformation(variances, None, 1)
        fewer, ratio = likelihood_ratio(rows, mixture([[0.0]]), 2, OBJECTIVE, side_information)
        settings = {"tol": 1e-9, "max_iter": 2000, "random_state": 0, "n_init": 3}
        fits = [GaussianMixture(k, **settings).fit(rows, errors=variances) for k in (1, 2)]
        totals = [300 * fit.score(rows, errors=variances) for fit in fits]
        np.testing.assert_allclose(fewer.means, fits[0].means_, atol=1e-3)
        assert ratio == pytest.approx(2 * (totals[1] - totals[0]), abs=0.05)

    def test_the_ratio_is_that_of_fits_by_group_and_label(self, generator):
        groups = np.repeat([0, 1], 150)
        truth = np.where(generator.uniform(size=300) < np.array([0.2, 0.7])[groups], 1, 0)
        rows = generator.normal(size=(300, 1)) + 4.0 * truth[:, None]
        labels = np.where(np.arange(300) % 10 == 0, np.minimum(truth, 0), -1)
        labels[truth == 1] = -1
        side_information = SideInformation(
            np.stack([groups, labels], axis=1).astype(float), KnownParts(np.arange(2.0), n_labels=1)
        )
        _, ratio = likelihood_ratio(rows, mixture([[2.0]]), 2, OBJECTIVE, side_information)
        given = {"groups": groups, "labels": labels}
        settings = {"covariance_type": "spherical", "tol": 1e-9, "max_iter": 2000, "random_state": 0}
        fits = [GaussianMixture(k, **settings).fit(rows, **given) for k in (1, 2)]
        totals = [300 * fit.lower_bound_ for fit in fits]
        assert ratio == pytest.approx(2 * (totals[1] - totals[0]), abs=0.05)
