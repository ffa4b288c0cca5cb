"""Axes, grids of them, and how text looks there."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from dgmm.plotting.canvas import divided, ink_of, label, limits_of, themed, tick_names
from dgmm.plotting.palette import DARK, DARK_INK, INK, contrast


def test_a_grid_takes_the_place_of_axes():
    figure = Figure()
    left, right = figure.subplots(1, 2)
    grid = divided(left, 2, 3)
    assert grid.shape == (2, 3)
    figure.draw_without_rendering()
    assert all(cell.get_position().x1 < right.get_position().x0 for cell in grid.flat)


def test_a_grid_takes_the_place_of_axes_that_are_anywhere():
    ax = Figure().add_axes((0.1, 0.2, 0.5, 0.6))
    for cell in divided(ax, 2, 2).flat:
        place = cell.get_position()
        assert place.x0 >= 0.0999
        assert place.y1 <= 0.8001


def test_without_axes_there_is_a_new_figure():
    grid = divided(None, 1, 2)
    assert grid[0, 0].figure is plt.gcf()
    plt.close(grid[0, 0].figure)


@pytest.mark.parametrize(("theme", "ink"), [("light", INK), ("dark", DARK_INK)])
def test_themes(theme, ink):
    before = plt.rcParams["text.color"]
    with themed(theme):
        ax = Figure().subplots()
    assert plt.rcParams["text.color"] == before
    assert ink_of(ax) == ink
    label(ax, "x")
    assert to_hex(ax.xaxis.label.get_color()) == ink
    assert contrast(to_hex(ax.get_facecolor()), ink) > 7.0


def test_what_is_seen_through_counts_as_light():
    ax = Figure().subplots()
    ax.set_facecolor("none")
    assert ink_of(ax) == INK
    ax.set_facecolor(DARK)
    assert ink_of(ax) == DARK_INK


def test_names_are_text():
    figure = Figure()
    ax = figure.subplots()
    label(ax, "cost_$_per_$", "$x^{", "$$")
    tick_names(ax.xaxis, [0, 1], ["$\\frac{$", "b$"])
    figure.draw_without_rendering()
    assert ax.get_xlabel() == "cost_$_per_$"


def test_few_far_values_do_not_squeeze_the_picture():
    values = np.random.default_rng(0).normal(size=5000)
    values[0] = 1e6
    assert limits_of(values)[1] < 10
    low, high = limits_of(np.array([3.0, 3.0]))
    assert low < 3.0 < high
