"""Whether a mixture fits its rows can be seen."""

import warnings

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

pytest.importorskip("matplotlib")
from matplotlib.figure import Figure

import dgmm
from dgmm.plotting import plot_fit, plot_history
from dgmm.plotting.subject import Margin


def test_quantiles_of_a_mixture():
    shares = np.array([1e-6, 0.1, 0.5, 0.9, 1 - 1e-6])
    one = Margin(np.ones(1), np.array([3.0]), np.array([[0.5]])).quantiles(shares)
    np.testing.assert_allclose(one, norm(3.0, 0.5).ppf(shares), atol=1e-9)
    weights, means, deviations = np.array([0.2, 0.8]), np.array([0.0, 5.0]), np.array([1.0, 0.1])
    found = Margin(weights, means, deviations[:, None]).quantiles(shares)
    back = weights @ norm(means[:, None], deviations[:, None]).cdf(found)
    np.testing.assert_allclose(back, shares, atol=1e-9)


def shares_outside(rows, mixture) -> list[float]:
    """Give, of each lower picture, the share of points outside of the band that chance explains."""
    grid = plot_fit(mixture, rows, ax=Figure().subplots())
    found = []
    for ax in grid[1]:
        (points,) = [each for each in ax.collections if len(np.asarray(each.get_offsets())) > 1]
        (band,) = [each for each in ax.collections if each is not points]
        corners = band.get_paths()[0].vertices
        outside = 0
        for x, y in np.asarray(points.get_offsets()):
            own = corners[np.abs(corners[:, 0] - x) < 1e-9, 1]
            outside += not own.min() - 1e-9 <= y <= own.max() + 1e-9
        found.append(outside / len(np.asarray(points.get_offsets())))
    return found


def test_rows_of_the_mixture_are_within_the_band_and_others_are_not():
    generator = np.random.default_rng(0)
    rows = np.concatenate([generator.normal(size=(500, 2)), 6.0 + generator.normal(size=(500, 2))])
    good = dgmm.GaussianMixture(2, random_state=0).fit(rows)
    assert max(shares_outside(rows, good)) < 0.05
    poor = dgmm.GaussianMixture(1, random_state=0).fit(rows)
    assert min(shares_outside(rows, poor)) > 0.1


def test_rows_that_lack_values_are_compared_with_draws_that_lack_them():
    generator = np.random.default_rng(1)
    rows = generator.normal(size=(2000, 3))
    rows[generator.random(rows.shape) < 0.3] = np.nan
    rows = rows[np.isfinite(rows).any(axis=1)]
    mixture = dgmm.GaussianMixture(1, missing="marginalize").fit(rows)
    assert max(shares_outside(rows, mixture)) < 0.05


def test_some_features_of_many_and_it_is_said():
    rows = np.random.default_rng(0).normal(size=(300, 12))
    mixture = dgmm.GaussianMixture(1, covariance_type="diag").fit(rows)
    grid = plot_fit(mixture, rows, ax=Figure().subplots())
    assert grid.shape == (2, 5)
    assert "4 of 12 features" in grid[0, 0].get_title(loc="left")
    assert plot_fit(mixture, rows, [2], ax=Figure().subplots()).shape == (2, 2)


def test_history_is_what_the_fit_went_through(three_clusters, ax):
    mixture = dgmm.GaussianMixture(3, random_state=0, sample_rows=500, max_iter=6, tol=0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # whether it does hangs on rounding, with tol=0
        mixture.fit(three_clusters)
    plot_history(mixture, ax=ax)
    history = mixture.history_
    drawn = np.concatenate([np.asarray(each.get_offsets()) for each in ax.collections])
    drawn = drawn[np.argsort(drawn[:, 0])]
    np.testing.assert_array_equal(drawn[:, 1], history["log_likelihood"])
    accepted = np.array(history["accepted"])
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), 1 + np.flatnonzero(accepted))


def test_history_of_others(three_clusters):
    theirs = SklearnGaussianMixture(2, random_state=0).fit(three_clusters)
    ax = plot_history(theirs, ax=Figure().subplots())
    np.testing.assert_array_equal(np.asarray(ax.lines[0].get_ydata()), theirs.lower_bounds_)
    ours = dgmm.GaussianMixture.from_sklearn(theirs)
    (line,) = plot_history(ours, ax=Figure().subplots()).lines
    assert len(np.asarray(line.get_ydata())) == theirs.n_iter_
    by_hand = dgmm.GaussianMixture(1)
    by_hand.weights_, by_hand.means_, by_hand.covariances_ = np.ones(1), np.zeros((1, 1)), np.ones((1, 1, 1))
    with pytest.raises(ValueError, match="no history"):
        plot_history(by_hand)
    with pytest.raises(NotFittedError):
        plot_history(dgmm.GaussianMixture(1))
