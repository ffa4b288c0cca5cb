"""What is known of rows beside their features: weights, measurement errors and groups, in pictures."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

pytest.importorskip("matplotlib")
from matplotlib.figure import Figure

import dgmm
from dgmm.kernels.measured import draw_errors
from dgmm.pages.components import overlaps
from dgmm.pages.goodness import distance_along
from dgmm.plotting import plot_density, plot_fit, plot_mixture, plot_pairs, plot_uncertainty
from dgmm.plotting.side_information import effective_number
from dgmm.plotting.subject import Subject


@pytest.fixture(scope="module")
def rows() -> NDArray[np.float64]:
    generator = np.random.default_rng(0)
    return np.concatenate([generator.normal(size=(120, 2)), generator.normal(2.5, 1.0, (80, 2))])


@pytest.fixture(scope="module")
def mixture(rows) -> Any:
    return dgmm.GaussianMixture(2, random_state=0).fit(rows)


def test_whole_weights_count_rows_so_many_times(rows, mixture):
    counts = np.random.default_rng(1).integers(0, 4, len(rows))
    weighted = Subject.of(mixture, rows, sample_weight=counts)
    repeated = Subject.of(mixture, np.repeat(rows, counts, axis=0))
    assert weighted.n_rows == (counts > 0).sum()
    assert weighted.share_unsure == pytest.approx(repeated.share_unsure)
    np.testing.assert_allclose(overlaps(weighted), overlaps(repeated))
    for own, other in zip(weighted.axes([0, 1]), repeated.axes([0, 1]), strict=True):
        assert distance_along(weighted, own).largest == pytest.approx(distance_along(repeated, other).largest)
    one = weighted.responsibilities.argmax(axis=1) == 0
    other = repeated.responsibilities.argmax(axis=1) == 0
    share = weighted.known.count(one) / len(one)
    assert share == pytest.approx(other.mean())


def test_rows_of_equal_weight_are_plain_rows(rows, mixture):
    plain, weighted = Subject.of(mixture, rows), Subject.of(mixture, rows, sample_weight=7.0)
    one, other = (distance_along(each, each.axes(0)[0]) for each in (plain, weighted))
    assert (one.largest, one.n_effective) == pytest.approx((other.largest, other.n_effective))
    assert effective_number(np.array([1.0, 1.0, 0.0]), 3) == pytest.approx(2.0)


def test_many_weighted_rows_are_drawn_with_their_weights(rows, mixture):
    weights = np.arange(len(rows)) + 1.0
    subject = Subject.of(mixture, rows, 100, sample_weight=weights)
    assert subject.known.weights is not None
    for row, weight in zip(subject.drawn_rows, subject.known.weights, strict=True):
        (number,) = np.flatnonzero((rows == row).all(axis=1))
        assert weights[number] == weight


@pytest.mark.parametrize("kind", ["variances", "covariances"])
def test_margins_are_those_of_measured_rows(kind):
    """The density along an axis is that of true values, convolved with each row's error."""
    generator = np.random.default_rng(0)
    sizes = generator.uniform(0.1, 2.0, (400, 2))
    errors = sizes if kind == "variances" else np.stack([np.diag(each) for each in sizes])
    true = generator.normal([0.0, 3.0], [1.0, 0.5], (400, 2))
    measured = true + np.sqrt(sizes) * generator.normal(size=true.shape)
    mixture = dgmm.GaussianMixture(1).fit(measured, errors=errors)
    subject = Subject.of(mixture, measured, errors=errors)
    axis = subject.axes([[1.0, -2.0]])[0]
    margin, at = subject.margin(axis), np.linspace(-14.0, 4.0, 7)
    direction = np.array([1.0, -2.0])
    deviations = np.sqrt(direction @ mixture.covariances_[0] @ direction + sizes @ direction**2)
    expected = norm(mixture.means_[0] @ direction, deviations[:, None]).cdf(at).mean(axis=0)
    np.testing.assert_allclose(margin.shares_below(at), expected, atol=2e-3)
    step = 1e-4
    slopes = (margin.shares_below(at + step) - margin.shares_below(at - step)) / (2.0 * step)
    np.testing.assert_allclose(margin.densities(at).sum(axis=1), slopes, atol=1e-6)
    assert subject.known.errors is not None
    noise = draw_errors(subject.known.errors, 2, np.random.default_rng(1))
    np.testing.assert_allclose((noise**2 / sizes).mean(axis=0), 1.0, atol=0.25)
    np.testing.assert_allclose(subject.responsibilities, mixture.predict_proba(measured, errors=errors))
    assert all(distance_along(subject, each).is_chance for each in subject.axes([0, 1]))


def test_rows_are_judged_by_the_weights_of_their_groups(rows):
    groups = np.where(np.arange(len(rows)) < 120, "left", "right")
    mixture = dgmm.GaussianMixture(2, random_state=0).fit(rows, groups=groups)
    subject = Subject.of(mixture, rows, groups=groups)
    np.testing.assert_allclose(subject.responsibilities, mixture.predict_proba(rows, groups=groups))


@pytest.mark.parametrize("plot", [plot_density, plot_fit, plot_mixture, plot_pairs, plot_uncertainty])
def test_pictures_take_what_fits_take(plot, rows):
    weights, errors = np.linspace(0.0, 2.0, len(rows)), np.full((len(rows), 2), 0.1)
    mixture = dgmm.GaussianMixture(2, random_state=0).fit(rows, sample_weight=weights, errors=errors)
    figure = Figure()
    plot(mixture, rows, ax=figure.subplots(), sample_weight=weights, errors=errors)
    figure.draw_without_rendering()


def test_what_is_known_is_checked(rows, mixture):
    with pytest.raises(TypeError, match="give rows, too"):
        Subject.of(mixture, sample_weight=np.ones(3))
    with pytest.raises(ValueError, match=r"expected \(200,\)"):
        Subject.of(mixture, rows, sample_weight=np.ones(3))
    with pytest.raises(ValueError, match=r"has -1\.0 among"):
        Subject.of(mixture, rows, sample_weight=np.where(np.arange(200) == 3, -1.0, 1.0))
    with pytest.raises(ValueError, match="zero in every row"):
        Subject.of(mixture, rows, sample_weight=np.zeros(200))
    with pytest.raises(ValueError, match="fitted without"):
        Subject.of(mixture, rows, groups=np.zeros(200))


def test_rows_are_judged_by_groups_and_errors_together(rows):
    groups, errors = np.arange(200) % 2, np.random.default_rng(0).uniform(0.1, 1.0, (200, 2))
    mixture = dgmm.GaussianMixture(2, random_state=0).fit(rows, groups=groups, errors=errors)
    subject = Subject.of(mixture, rows, groups=groups, errors=errors)
    expected = mixture.predict_proba(rows, groups=groups, errors=errors)
    found = subject.known.responsibilities(subject.parameters, subject.parameters, subject.drawn_rows)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
