"""What pictures are put together from."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")
from matplotlib.colors import to_hex

import dgmm
from dgmm.plotting.layers import POINTS_DRAWN, component_colors, draw_members, draw_rows, project
from dgmm.plotting.palette import COLORS
from dgmm.plotting.subject import Points, Subject


def test_colours_are_by_number():
    colors = component_colors(11)
    assert colors.shape == (11, 4)
    assert [to_hex(color) for color in colors[:8]] == [*COLORS]
    np.testing.assert_array_equal(colors[:3], colors[8:])


def test_projection_of_a_full_covariance(three_clusters):
    model: Any = dgmm.GaussianMixture(2, random_state=0).fit(three_clusters)
    means, covariances = project(model, [[1.0, -1.0]])
    np.testing.assert_allclose(means[:, 0], model.means_[:, 0] - model.means_[:, 1])
    # Covariances and factors of precisions, which projections are made of, are stored as float32, each for
    # itself: they agree to some roundings of it, more where a covariance is long.
    expected = [c[0, 0] + c[1, 1] - 2 * c[0, 1] for c in model.covariances_.astype(float)]
    np.testing.assert_allclose(covariances[:, 0, 0], expected, rtol=1e-5)


def test_a_density_leaves_out_far_points(ax):
    points = np.random.default_rng(0).standard_normal((5000, 2))
    points[0] = 1e6
    draw_rows(ax, Points(points))
    assert ax.get_xlim()[1] < 10


def test_of_many_sorted_rows_all_kinds_are_drawn(three_clusters, ax):
    """Rows may be sorted by what they are, and the first ones be of one component."""
    mixture = dgmm.GaussianMixture(3, random_state=0).fit(three_clusters)
    rows = np.repeat(three_clusters[np.argsort(mixture.predict(three_clusters))], 3, axis=0)
    subject = Subject.of(mixture, rows)
    draw_members(ax, subject, subject.axes(None))
    drawn = [len(np.asarray(points.get_offsets())) for points in ax.collections]
    assert sum(drawn) <= POINTS_DRAWN
    np.testing.assert_allclose(np.array(drawn) / sum(drawn), mixture.weights_, atol=0.02)
