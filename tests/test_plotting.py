"""Pictures show what they say."""

from copy import copy
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from dgmm import GaussianMixture
from dgmm.model.families import FAMILIES
from dgmm.plotting import component_colors, plot_density, plot_mixture, project


@pytest.fixture(params=[*FAMILIES])
def model(request, three_clusters) -> Any:
    mixture = GaussianMixture(3, covariance_type=request.param, random_state=0)
    return mixture.fit(three_clusters.astype(float))


def test_an_ellipse_holds_its_share(model, three_clusters):
    ax = Figure().subplots()
    assert plot_mixture(model, three_clusters, ax=ax, share=0.8) is ax
    outlines = [patch for patch in ax.patches if isinstance(patch, Ellipse) and not patch.get_fill()]
    assert len(outlines) == 3
    drawn = model.sample(20_000)[0]
    held = [outline.get_patch_transform().inverted().transform(drawn) for outline in outlines]
    inside = np.mean([(np.linalg.norm(points, axis=1) < 1).sum() for points in held]) * 3 / 20_000
    assert inside == pytest.approx(0.8, abs=0.03)
    assert sorted(text.get_text() for text in ax.texts) == ["0", "1", "2"]


def test_components_without_rows_are_not_drawn(model):
    emptied = copy(model)
    emptied.weights_ = np.array([0.5, 1e-6, 0.499999])
    ax = plot_mixture(emptied, ax=Figure().subplots())
    assert sorted(text.get_text() for text in ax.texts) == ["0", "2"]


def test_axes_can_be_sums_of_features(model):
    ax = Figure().subplots()
    plot_mixture(model, features=(1, [1.0, 1.0]), ax=ax, labels="abc")
    places = {text.get_text(): text.get_position() for text in ax.texts}
    for k, letter in enumerate("abc"):
        np.testing.assert_allclose(places[letter], (model.means_[k, 1], model.means_[k].sum()))


def test_projection_of_a_full_covariance(three_clusters):
    model: Any = GaussianMixture(2, random_state=0).fit(three_clusters)
    means, covariances = project(model, [[1.0, -1.0]])
    np.testing.assert_allclose(means[:, 0], model.means_[:, 0] - model.means_[:, 1])
    # The fitted ones are stored as float32.
    expected = [c[0, 0] + c[1, 1] - 2 * c[0, 1] for c in model.covariances_.astype(float)]
    np.testing.assert_allclose(covariances[:, 0, 0], expected)


def test_density_leaves_out_far_points():
    points = np.random.default_rng(0).standard_normal((5000, 2))
    points[0] = 1e6
    ax = plot_density(points, ax=Figure().subplots())
    assert ax.get_xlim()[1] < 10


def test_colours_are_in_order_and_differ():
    colors = component_colors([3.0, 1.0, 2.0])
    np.testing.assert_array_equal(colors, component_colors([30.0, 10.0, 20.0]))
    assert len(np.unique(colors, axis=0)) == 3
    assert component_colors([1.0]).shape == (1, 4)


def test_rows_that_lack_values_are_drawn_where_they_are(three_clusters):
    """As far as they have what the axes show: another feature may be missing."""
    rows = np.column_stack([three_clusters, np.full(len(three_clusters), np.nan)]).astype(float)
    rows[:500, 0] = np.nan
    mixture = GaussianMixture(1).fit(np.random.default_rng(0).normal(size=(100, 3)))
    counts = []
    for draw in (
        lambda ax: plot_density(rows[:, :2], ax=ax),
        lambda ax: plot_density(rows[500:, :2], ax=ax),
        lambda ax: plot_mixture(mixture, rows, (0, 1), ax=ax),
    ):
        ax = Figure().subplots()
        draw(ax)
        counts.append(np.ma.getdata(np.asarray(ax.collections[0].get_array())))
    np.testing.assert_array_equal(counts[0], counts[1])
    np.testing.assert_array_equal(counts[0], counts[2])
