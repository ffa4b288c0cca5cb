"""Curves of criteria show the figures."""

from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

pytest.importorskip("matplotlib")
from matplotlib.figure import Figure

import dgmm
from dgmm.plotting import plot_criteria

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def sweep(three_clusters) -> Any:
    return dgmm.GaussianMixtureSweep(
        range(1, 6), covariance_type=("full", "spherical"), random_state=0, max_iter=50
    ).fit(three_clusters[:600])


def test_curves_show_the_figures(sweep):
    for criterion in ("bic", "icl"):
        ax = plot_criteria(sweep, criterion, ax=Figure().subplots())
        for line, family in zip(ax.lines, ("full", "spherical"), strict=True):
            own = sweep.results_["covariance_type"] == family
            np.testing.assert_array_equal(line.get_xdata(), sweep.results_["n_components"][own])
            np.testing.assert_array_equal(line.get_ydata(), sweep.results_[criterion][own])
        assert "lower is better" in ax.get_ylabel()


def test_one_kind_that_is_far_off_does_not_squeeze_the_others(sweep):
    far = dgmm.GaussianMixtureSweep()
    vars(far).update(vars(sweep))
    is_far = sweep.results_["covariance_type"] == "spherical"
    far.results_ = {**sweep.results_, "bic": sweep.results_["bic"] + 1e7 * is_far}
    ax = plot_criteria(far, ax=Figure().subplots(), closer=True)
    low, high = ax.get_ylim()
    best = far.best_score_
    assert low < best < high
    assert high - low < 1e5


@pytest.mark.parametrize(
    ("criterion", "said"), [("bc", "not one of 'bic'"), ("held-out", "fit it with held_out above 0")]
)
def test_criteria_that_are_not_there(sweep, criterion, said):
    with pytest.raises(ValueError, match=said):
        plot_criteria(sweep, criterion, ax=Figure().subplots())


def test_a_sweep_that_is_not_fitted():
    with pytest.raises(NotFittedError):
        plot_criteria(dgmm.GaussianMixtureSweep())
