"""Contours hold what they say."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

pytest.importorskip("matplotlib")
from matplotlib.path import Path

import dgmm
from dgmm.kernels.densities import log_densities
from dgmm.plotting import plot_density
from dgmm.plotting.densities import projected
from dgmm.plotting.subject import Subject


def by_hand() -> dgmm.GaussianMixture:
    mixture = dgmm.GaussianMixture(2, random_state=0)
    mixture.weights_ = np.array([0.3, 0.7])
    mixture.means_ = np.array([[0.0, 0.0, 1.0], [6.0, 1.0, 1.0]])
    mixture.covariances_ = np.array([np.eye(3), [[2.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 4.0]]])
    return mixture


def test_densities_are_of_the_marginal_mixture():
    mixture, points = by_hand(), np.random.default_rng(0).normal(size=(20, 2))
    subject = Subject.of(mixture)
    found = np.exp(log_densities(projected(subject, subject.axes([2, 0])), points))
    expected = sum(
        weight * multivariate_normal(mean[[2, 0]], covariance[np.ix_([2, 0], [2, 0])]).pdf(points)
        for weight, mean, covariance in zip(
            mixture.weights_, mixture.means_, mixture.covariances_, strict=True
        )
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_contours_hold_their_shares(ax):
    mixture = by_hand()
    plot_density(mixture, features=[0, 1], ax=ax, shares=[0.5, 0.9])
    lines = ax.collections[-1]
    drawn = mixture.sample(20_000)[0][:, :2]
    for path, share in zip(lines.get_paths(), [0.9, 0.5], strict=True):
        inside = np.zeros(len(drawn), bool)
        for ring in path.to_polygons():
            inside ^= Path(ring).contains_points(drawn)
        assert inside.mean() == pytest.approx(share, abs=0.02)
    assert "90, 50 %" in ax.get_title(loc="left")


def test_shares_are_between_none_and_all(ax):
    for shares in ([], [0.0], [0.5, 1.0]):
        with pytest.raises(ValueError, match="between 0 and 1"):
            plot_density(by_hand(), ax=ax, shares=shares)


def test_features_that_depend_on_each_other_have_a_density(ax):
    mixture = by_hand()
    plot_density(mixture, np.zeros((4, 3)), [0, [1.0, 0.0, 0.0]], ax=ax)
    assert ax.get_ylabel() == "feature 0"
