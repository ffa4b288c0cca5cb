"""Distances of rows against χ²: sums, figures and verdicts."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2, kstest

from dgmm.model.families import family_named
from dgmm.model.misfit import EDGES, MisfitSums, judge, sums_of_rows
from dgmm.model.parameters import Parameters
from tests.model import naive

NAMES = ("a", "b")


@pytest.fixture
def generator():
    return np.random.default_rng(0)


def standard(family="full", n_features=2):
    parameters = naive.random_parameters(np.random.default_rng(1), family, 1, n_features)
    return replace(parameters, weights=np.ones(1))


def judged(rows, parameters=None):
    """Judge rows that belong to one component, with their own moments."""
    parameters = parameters or fitted(rows)
    shares = np.ones((len(rows), 1))
    sums = replace(sums_of_rows(parameters, rows, shares), n_rows=len(rows), weight=float(len(rows)))
    return judge(parameters, sums, NAMES)


def fitted(rows):
    covariance = np.cov(rows.T, bias=True)[None]
    return Parameters.from_covariances(family_named("full"), np.ones(1), rows.mean(axis=0)[None], covariance)


@pytest.mark.parametrize("family", ["full", "diag", "spherical", "tied"])
def test_sums_are_those_of_the_formulas(generator, family):
    parameters = naive.random_parameters(generator, family, 2, 2)
    rows, shares = naive.random_rows(generator, parameters, 300), generator.uniform(size=(300, 2))
    found = sums_of_rows(parameters, rows, shares)
    for k, matrix in enumerate(naive.matrices_of(parameters)):
        deviations = rows - parameters.means[k]
        squares = np.einsum("ni,ij,nj->n", deviations, np.linalg.inv(matrix), deviations)
        expected, _ = np.histogram(chi2.cdf(squares, 2), EDGES, weights=shares[:, k])
        np.testing.assert_allclose(found.histogram[k], expected)
        np.testing.assert_allclose(found.fourth[k], shares[:, k] @ squares**2 / 8)
        # The length does not depend on which root of the covariance standardizes.
        values, vectors = np.linalg.eigh(matrix)
        y = deviations @ vectors / np.sqrt(values)
        own = np.where(squares < chi2.ppf(0.99, 2), shares[:, k], 0.0)
        np.testing.assert_allclose(np.linalg.norm(found.third[k]), np.linalg.norm((own * squares) @ y))
        np.testing.assert_allclose(found.inner[k], own.sum())
    np.testing.assert_allclose(found.squared, (shares**2).sum(axis=0))
    halves = [sums_of_rows(parameters, rows[part], shares[part]) for part in (slice(100), slice(100, None))]
    both = MisfitSums.nothing(2, 2) + halves[0] + halves[1]
    np.testing.assert_allclose(both.histogram, found.histogram)
    np.testing.assert_allclose(both.third, found.third)


def test_normal_rows_are_gaussian_and_figures_are_what_is_expected(generator):
    parameters = standard()
    rows = naive.random_rows(generator, parameters, 20_000)
    found = judged(rows, parameters)
    assert found.verdicts == ("Gaussian",)
    assert found.is_gaussian.all()
    deviations = rows - parameters.means[0]
    squares = np.einsum(
        "ni,ij,nj->n", deviations, np.linalg.inv(naive.matrices_of(parameters)[0]), deviations
    )
    exact = kstest(chi2.cdf(squares, 2), "uniform")
    assert exact.statistic - 0.02 <= found.distances[0] <= exact.statistic  # at the borders of bins alone
    assert found.p_values[0] >= exact.pvalue > 0.0
    assert found.beyond_999[0] == pytest.approx((squares > chi2.isf(0.001, 2)).mean())
    assert found.beyond_99[0] == pytest.approx((squares > chi2.isf(0.01, 2)).mean())
    assert found.kurtosis[0] == pytest.approx(1.0, abs=6 * (8 / 20_000) ** 0.5 / 8**0.5)
    assert found.skewness[0] < 0.1
    assert found.histogram.sum() == pytest.approx(1.0)
    assert found.n_effective[0] == pytest.approx(20_000)


def test_the_share_of_false_verdicts_is_small(generator):
    """Of 300 samples from normal distributions, of few and of many rows, hardly one is called else."""
    wrong = 0
    for n_rows in (60, 300, 2000):
        for _ in range(100):
            wrong += judged(generator.normal(size=(n_rows, 2))).verdicts != ("Gaussian",)
    assert wrong <= 3


@pytest.mark.parametrize(
    ("draw", "verdict", "why"),
    [
        (lambda g: g.standard_t(4, (5000, 2)), "heavier tails", "beyond the 99.9% ellipse, 0.1% expected"),
        (lambda g: g.uniform(size=(5000, 2)), "lighter tails", "beyond the 99% ellipse, 1% expected"),
        (
            lambda g: np.column_stack([g.normal(size=5000), -g.exponential(size=5000)]),
            "lopsided",
            "towards lower b",
        ),
    ],
)
def test_what_is_not_gaussian_is_told(generator, draw, verdict, why):
    found = judged(draw(generator) * [1.0, 100.0] + 7.0)
    assert found.verdicts == (verdict,)
    assert not found.is_gaussian.any()
    assert found.sentences[0] == "Of 1 component, 1 is not Gaussian."
    assert why in found.sentences[1]


def test_few_rows_say_nothing(generator):
    found = judged(generator.standard_t(2, (20, 2)))
    assert found.verdicts == ("too few rows to tell",)
    assert found.sentences == (
        "No evidence against Gaussian components: 1 component, 20 rows; too few rows to tell for 1.",
    )


def test_few_rows_far_out_are_not_what_is_lopsided(generator):
    rows = generator.normal(size=(2000, 2))
    whole = fitted(rows)
    rows[:4] = 60.0
    found = judged(rows, whole)
    assert found.skewness[0] < 0.2
    assert found.verdicts == ("Gaussian",)
    assert found.beyond_999[0] >= 0.002


def test_third_moments_of_a_shifted_mean_are_none(generator):
    """A mean that is a little off is no skewness."""
    parameters = standard()
    rows = naive.random_rows(generator, parameters, 20_000)
    moved = replace(parameters, means=parameters.means + 0.05 * np.sqrt(parameters.variances))
    assert judged(rows, moved).skewness[0] < judged(rows, parameters).skewness[0] + 0.02
