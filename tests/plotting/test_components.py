"""The table of components as a picture."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")

import dgmm
from dgmm.plotting import plot_components


def test_cells_are_standardized_means(three_clusters, ax):
    mixture = dgmm.GaussianMixture(3, random_state=0).fit(three_clusters)
    plot_components(mixture, ax=ax)
    drawn = np.asarray(ax.images[0].get_array())
    # What EM ends with has the mean and the variance of the rows.
    rows = three_clusters.astype(float)
    order = np.argsort(-mixture.weights_)
    expected = (mixture.means_[order] - rows.mean(axis=0)) / rows.std(axis=0)
    np.testing.assert_allclose(drawn, expected, atol=0.01)
    assert len(ax.texts) == 6
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert [int(name.split()[0]) for name in names] == order.tolist()


def test_of_many_some_are_drawn_and_it_is_said(ax):
    many = dgmm.GaussianMixture(100, covariance_type="diag")
    many.weights_ = np.full(100, 0.01)
    many.means_ = np.random.default_rng(0).normal(size=(100, 5000))
    many.covariances_ = np.ones((100, 5000))
    plot_components(many, ax=ax)
    assert np.shape(ax.images[0].get_array()) == (24, 16)
    said = ax.get_title(loc="left")
    assert "24 heaviest of 100 components" in said
    assert "16 of 5,000 features" in said


def test_features_by_name_and_sums(three_clusters, ax):
    mixture = dgmm.GaussianMixture(2, covariance_type="tied", random_state=0).fit(three_clusters)
    plot_components(mixture, features=[1, [1.0, 1.0]], ax=ax)
    drawn = np.asarray(ax.images[0].get_array())
    assert drawn.shape == (2, 2)
    means = mixture.means_[np.argsort(-mixture.weights_)].astype(float)
    assert np.sign(drawn[0, 1] - drawn[1, 1]) == np.sign(means[0].sum() - means[1].sum())


def test_a_single_component_is_the_whole(ax):
    mixture = dgmm.GaussianMixture(1).fit(np.random.default_rng(0).normal(size=(50, 2)))
    plot_components(mixture, ax=ax)
    np.testing.assert_allclose(np.asarray(ax.images[0].get_array()), 0.0, atol=1e-12)
