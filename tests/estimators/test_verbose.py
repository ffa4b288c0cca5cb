"""What ``verbose`` prints, beside what scikit-learn prints of the same fit."""

import re

import numpy as np
import pytest
from sklearn import mixture

import dgmm


@pytest.fixture
def rows() -> np.ndarray:
    """Two clusters that overlap, so that EM needs more than twenty iterations."""
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(0, 1, (400, 2)), rng.normal(2.5, 1, (400, 2))])


def printed(kind, rows: np.ndarray, capsys, **settings) -> list[str]:
    kind(n_components=2, random_state=0, tol=1e-7, **settings).fit(rows)
    # Seconds are those of the clock.
    return re.sub(r"time lapse \d+\.\d{5}s", "time lapse", capsys.readouterr().out).splitlines()


@pytest.mark.parametrize("verbose", [1, 2])
@pytest.mark.parametrize("interval", [1, 7, 10])
@pytest.mark.parametrize("n_init", [1, 3])
def test_lines_of_scikit_learn(rows, capsys, verbose, interval, n_init):
    settings = {"verbose": verbose, "verbose_interval": interval, "n_init": n_init}
    expected = printed(mixture.GaussianMixture, rows, capsys, **settings)
    assert len(expected) > 2 * n_init
    assert printed(dgmm.GaussianMixture, rows, capsys, **settings) == expected


@pytest.mark.parametrize("verbose", [1, 2])
def test_bounds_of_variational_bayes_are_of_all_rows(rows, capsys, verbose):
    expected = printed(mixture.BayesianGaussianMixture, rows, capsys, verbose=verbose)
    assert printed(dgmm.BayesianGaussianMixture, rows, capsys, verbose=verbose) == expected


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_fit_that_does_not_converge_says_so(rows, capsys):
    expected = printed(mixture.GaussianMixture, rows, capsys, verbose=1, max_iter=3)
    assert expected[-1] == "Initialization did not converge."
    assert printed(dgmm.GaussianMixture, rows, capsys, verbose=1, max_iter=3) == expected


def test_nothing_is_printed_unasked(rows, capsys):
    assert printed(dgmm.GaussianMixture, rows, capsys) == []


def test_rows_that_lack_values_are_counted(rows, capsys):
    holes = np.array(rows, float)
    holes[:5, 1] = holes[3:5, 0] = np.nan
    with pytest.warns(dgmm.DataWarning, match="have no value at all"):
        lines = printed(dgmm.GaussianMixture, holes, capsys, verbose=1, missing="marginalize")
    assert lines[0].startswith(f"5 of {len(holes)} rows lack values: column 1 (5), column 0 (2)")
