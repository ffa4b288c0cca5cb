"""Pictures show what they say."""

from copy import copy
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

pytest.importorskip("matplotlib")
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

import dgmm
from dgmm.model.families import FAMILIES
from dgmm.plotting import (
    plot_density,
    plot_fit,
    plot_mixture,
    plot_pairs,
    plot_responsibilities,
    plot_uncertainty,
)
from dgmm.plotting.palette import color_of
from dgmm.plotting.subject import percentage


@pytest.fixture(params=[*FAMILIES])
def model(request, three_clusters) -> Any:
    mixture = dgmm.GaussianMixture(3, covariance_type=request.param, random_state=0)
    return mixture.fit(three_clusters.astype(float))


def outlines(ax) -> list[Ellipse]:
    return [patch for patch in ax.patches if isinstance(patch, Ellipse) and not patch.get_fill()]


def texts(ax) -> list[str]:
    return sorted(text.get_text() for text in ax.texts)


def test_an_ellipse_holds_its_share(model, three_clusters, ax):
    assert plot_mixture(model, three_clusters, ax=ax, share=0.8) is ax
    assert len(outlines(ax)) == 3
    drawn = model.sample(20_000)[0]
    held = [outline.get_patch_transform().inverted().transform(drawn) for outline in outlines(ax)]
    inside = np.mean([(np.linalg.norm(points, axis=1) < 1).sum() for points in held]) * 3 / 20_000
    assert inside == pytest.approx(0.8, abs=0.03)
    assert texts(ax) == ["0", "1", "2"]


@pytest.mark.parametrize("n_features", [2, 4, 6])
def test_long_names_in_a_grid_are_beside_their_own_cells(n_features: int):
    mixture: Any = dgmm.GaussianMixture(1, covariance_type="diag")
    mixture.weights_, mixture.means_ = np.ones(1), np.zeros((1, n_features))
    mixture.covariances_ = np.ones((1, n_features))
    mixture.feature_names_in_ = np.array(
        [f"{i} {'name of a feature ' * 12}" for i in range(n_features)], object
    )
    figure = Figure(figsize=(9.0, 8.5), layout="constrained")
    grid = plot_pairs(mixture, features=range(n_features), ax=figure.subplots())
    figure.draw_without_rendering()
    across = [cell.xaxis.label.get_window_extent() for cell in grid[-1]]
    up = [cell.yaxis.label.get_window_extent() for cell in grid[:, 0]]
    assert all(a.x1 < b.x0 for a, b in pairwise(across))
    assert all(below.y1 < above.y0 for above, below in pairwise(up))
    assert all(cell.get_xlabel().startswith(f"{i} ") for i, cell in enumerate(grid[-1]))


def test_the_rows_of_small_data_are_seen(ax):
    """Each row leaves ink: a count of one was white on white."""
    rows = load_iris(as_frame=True).data  # pyright: ignore[reportAttributeAccessIssue]
    mixture = dgmm.GaussianMixture(3, random_state=0).fit(rows)
    plot_mixture(mixture, rows, [0, 1], ax=ax)
    (points,) = ax.collections
    np.testing.assert_allclose(points.get_offsets(), rows.to_numpy()[:, :2])
    (color,) = points.get_facecolors()
    assert color[3] * (1 - color[:3].mean()) > 0.3
    assert ax.get_xlabel() == "sepal length (cm)"
    assert ax.get_ylabel() == "sepal width (cm)"


def test_a_single_row_of_many_is_seen(three_clusters, ax):
    rows = np.concatenate([three_clusters] * 3)
    mixture = dgmm.GaussianMixture(3, random_state=0).fit(three_clusters)
    plot_mixture(mixture, rows, ax=ax)
    (cells,) = ax.collections
    shown = cells.to_rgba(np.ma.array([1.0, cells.norm.vmax]))
    assert shown[0, 3] >= 0.3
    assert shown[1, 3] > shown[0, 3]
    assert np.asarray(cells.get_array()).sum() >= 0.99 * len(rows)


def test_components_without_rows_are_not_drawn(model, ax):
    emptied = copy(model)
    emptied.weights_ = np.array([0.5, 1e-6, 0.499999])
    plot_mixture(emptied, ax=ax)
    assert texts(ax) == ["0", "2"]


def test_axes_can_be_sums_of_features(model, ax):
    plot_mixture(model, features=(1, [1.0, 1.0]), ax=ax, labels="abc")
    places = {text.get_text(): text.get_position() for text in ax.texts}
    for k, letter in enumerate("abc"):
        np.testing.assert_allclose(places[letter], (model.means_[k, 1], model.means_[k].sum()))


def test_rows_that_lack_values_are_drawn_where_they_are(three_clusters):
    """As far as they have what the axes show: another feature may be missing."""
    rows = np.column_stack([three_clusters, np.full(len(three_clusters), np.nan)]).astype(float)
    rows[:500, 0] = np.nan
    mixture = dgmm.GaussianMixture(1).fit(np.random.default_rng(0).normal(size=(100, 3)))
    ax: Any = plot_mixture(mixture, rows, (0, 1), ax=Figure().subplots())
    np.testing.assert_allclose(ax.collections[0].get_offsets(), three_clusters[500:])
    ax = plot_mixture(mixture, rows, (0, 2), ax=Figure().subplots())
    assert "no row has both" in ax.get_title(loc="left")


def test_one_feature_is_a_curve(three_clusters, ax):
    mixture = dgmm.GaussianMixture(3, random_state=0).fit(three_clusters[:, :1])
    plot_mixture(mixture, three_clusters[:, :1], ax=ax)
    whole = ax.lines[-1]
    at, density = whole.get_xdata(), whole.get_ydata()
    np.testing.assert_allclose(density, np.exp(mixture.score_samples(at[:, None])), rtol=1e-5)
    assert sum(bar.get_height() * bar.get_width() for bar in ax.patches) == pytest.approx(1.0)


def test_three_features_are_no_plane(model, three_clusters, ax):
    with pytest.raises(ValueError, match="one feature or two, not 3"):
        plot_mixture(model, three_clusters, (0, 1, [1.0, 1.0]), ax=ax)


def test_of_many_components_the_heaviest_are_drawn_and_it_is_said(ax):
    many = dgmm.GaussianMixture(2000, covariance_type="spherical")
    many.weights_ = np.arange(2000.0, 4000.0) / np.arange(2000.0, 4000.0).sum()
    many.means_ = np.random.default_rng(0).normal(size=(2000, 2))
    many.covariances_ = np.full(2000, 0.01)
    plot_mixture(many, ax=ax)
    assert len(outlines(ax)) == 40
    assert "40 heaviest of 2,000 components" in ax.get_title(loc="left")
    assert "1999" in texts(ax)


def test_the_same_component_has_the_same_colour_everywhere(three_clusters):
    mixture = dgmm.GaussianMixture(3, random_state=0).fit(three_clusters)
    ax: Any = plot_mixture(mixture, ax=Figure().subplots())
    assert {to_hex(outline.get_edgecolor()) for outline in outlines(ax)} == {color_of(k) for k in range(3)}
    for k in range(3):
        only = three_clusters[mixture.predict(three_clusters) == k]
        ax = plot_uncertainty(mixture, only, ax=Figure().subplots())
        assert to_hex(ax.collections[0].get_facecolors()[0]) == color_of(k)


def test_sizes_are_uncertainties(three_clusters, ax):
    mixture = dgmm.GaussianMixture(3, random_state=0).fit(three_clusters)
    plot_uncertainty(mixture, three_clusters, ax=ax)
    doubt = 1.0 - mixture.predict_proba(three_clusters).astype(float).max(axis=1)
    drawn = {
        tuple(np.round(place, 4)): size
        for points in ax.collections
        for place, size in zip(points.get_offsets(), points.get_sizes(), strict=True)
    }
    order = [drawn[tuple(np.round(row.astype(float), 4))] for row in three_clusters]
    assert np.corrcoef(order, doubt)[0, 1] > 0.999
    assert ax.get_title().startswith(percentage(float(np.mean(doubt > 0.1))))


def test_pairs_are_all_pairs(three_clusters):
    frame = pd.DataFrame(three_clusters[:200], columns=["x" * 200, "b"])
    frame["c"] = frame["b"] ** 2
    mixture = dgmm.GaussianMixture(2, covariance_type="diag", random_state=0).fit(frame)
    grid = plot_pairs(mixture, frame, ax=Figure().subplots())
    assert grid.shape == (3, 3)
    assert [cell.get_xlabel() for cell in grid[2]][1:] == ["b", "c"]
    assert len(grid[2, 0].get_xlabel()) <= 28  # of 200
    for i, j in ((1, 0), (2, 0), (2, 1)):
        places = np.concatenate([points.get_offsets() for points in grid[i, j].collections])
        expected = frame.to_numpy()[:, [j, i]]
        np.testing.assert_allclose(places[np.lexsort(places.T)], expected[np.lexsort(expected.T)], rtol=1e-6)
    with pytest.raises(ValueError, match="give 8 at most"):
        plot_pairs(
            dgmm.GaussianMixture().fit(np.random.default_rng(0).normal(size=(20, 9))), features=range(9)
        )


def test_of_many_features_the_telling_ones_are_drawn_and_it_is_said():
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(200, 40))
    rows[:100, [3, 17, 21, 39]] += 6.0
    mixture = dgmm.GaussianMixture(2, covariance_type="diag", random_state=0).fit(rows)
    grid = plot_pairs(mixture, rows, ax=Figure().subplots())
    names = [cell.get_xlabel() for cell in grid[3]]
    assert names == ["feature 3", "feature 17", "feature 21", "feature 39"]
    assert "4 of 40 features" in grid[0, 0].get_title(loc="left")


def test_points_have_the_colours_of_their_components(three_clusters, ax):
    mixture = dgmm.GaussianMixture(3, random_state=0).fit(three_clusters)
    few, colors = three_clusters[:500], np.eye(3)
    plot_responsibilities(mixture, few, ax=ax, colors=[*colors])
    (points,) = ax.collections
    np.testing.assert_allclose(points.get_offsets(), few)
    np.testing.assert_allclose(points.get_facecolors()[:, :3], mixture.predict_proba(few), atol=1e-6)


@pytest.mark.parametrize("rows", [np.full((9, 2), 1e300), 1e3 + np.eye(9, 2)], ids=["huge", "elsewhere"])
def test_rows_where_the_mixture_is_not(rows):
    """A picture of them, and no warning of a number that is none."""
    mixture = dgmm.GaussianMixture(2)
    mixture.weights_, mixture.means_ = np.array([0.4, 0.6]), np.array([[0.0, 0.0], [5.0, 5.0]])
    mixture.covariances_ = np.stack([np.eye(2)] * 2)
    for plot in (plot_mixture, plot_pairs, plot_density, plot_uncertainty, plot_responsibilities, plot_fit):
        figure = Figure()
        plot(mixture, rows, ax=figure.subplots())
        figure.draw_without_rendering()


def test_responsibilities_of_one_feature(three_clusters):
    rows = three_clusters[:200, :1].astype(float)
    mixture = dgmm.GaussianMixture(2, random_state=0).fit(rows)
    ax = plot_responsibilities(mixture, rows, ax=Figure().subplots())
    places = np.asarray(ax.collections[0].get_offsets())
    np.testing.assert_allclose(places, np.c_[rows, mixture.predict_proba(rows).max(axis=1)])
