"""Several starts of one fit, some of which end in a covariance that is not positive definite."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture as Reference

from dgmm import GaussianMixture, GaussianMixtureSweep
from dgmm.fitting.loop import plain
from dgmm.kernels import compiled
from dgmm.model.matrices import DegenerateCovarianceError
from tests.model import naive

pytestmark = pytest.mark.filterwarnings(
    "ignore::dgmm.MixtureWarning", "ignore::sklearn.exceptions.ConvergenceWarning"
)


def rows_with_an_atom(n_copies=150):
    """Two clusters, of which one holds many copies of one row."""
    draw = np.random.default_rng(0)
    parts = [
        draw.normal(0, 2, (1600, 2)),
        draw.normal([30, 0], 2, (1300, 2)),
        np.tile([[31.0, 0.5]], (n_copies, 1)),
    ]
    rows = np.concatenate(parts)
    draw.shuffle(rows)
    return rows


def test_the_best_of_the_other_starts_is_given():
    rows = rows_with_an_atom()
    settings = {"n_components": 3, "reg_covar": 0.0, "sample_rows": 1000, "tol": 1e-4, "random_state": 2}
    one = GaussianMixture(**settings).fit(rows)
    model = GaussianMixture(n_init=6, **settings).fit(rows)
    assert (np.linalg.eigvalsh(model.covariances_) > 0.0).all()
    assert model.score(rows) >= one.score(rows) - 1e-3


def test_the_best_of_scikit_learns_sound_starts_is_given():
    """In memory starts are scikit-learn's, one after the other: here some of them fail there."""
    rows = rows_with_an_atom()[:1200]
    own = {"n_components": 6, "reg_covar": 0.0, "init_params": "kmeans", "max_iter": 300}
    generator, bounds, n_failed = np.random.RandomState(0), [], 0
    for _ in range(12):
        try:
            bounds.append(Reference(random_state=generator, tol=1e-3, **own).fit(rows).lower_bound_)
        except ValueError:
            n_failed += 1
    assert bounds
    assert n_failed
    found = GaussianMixture(random_state=0, n_init=12, **own).fit(rows)
    assert found.lower_bound_ == pytest.approx(max(bounds), abs=1e-9)


@pytest.mark.parametrize("sample_rows", [1000, "auto"])
def test_where_no_start_is_sound_the_error_of_the_first_is_raised(sample_rows):
    rows = np.column_stack([rows_with_an_atom(), np.zeros(3050)])
    model = GaussianMixture(2, reg_covar=0.0, n_init=3, sample_rows=sample_rows, random_state=0)
    with pytest.raises(DegenerateCovarianceError, match="ill-defined"):
        model.fit(rows)


def test_a_re_seeded_mixture_that_fails_is_taken_back():
    began = plain.begin(0, naive.random_parameters(np.random.default_rng(0), "full", 2, 2), 100)
    tried = replace(began, fallback=replace(began, lower_bound=-3.0))
    after = plain.failed(tried, DegenerateCovarianceError(1))
    assert after.ending is None
    assert after.lower_bound == -3.0
    assert [each.accepted for each in after.history] == [False]
    assert plain.failed(after, DegenerateCovarianceError(1)).ending is not None


@pytest.mark.parametrize(
    "model",
    [
        GaussianMixture(3, sample_rows=300, random_state=0),
        GaussianMixtureSweep(range(1, 3), n_bootstrap=1, sample_rows=300, random_state=0),
    ],
)
def test_of_few_rows_nothing_is_for_the_compiled_loop_though_there_are_more_than_the_sample(
    model, monkeypatch
):
    """A search on a sample is as much work as all rows: where nothing is compiled yet, none waits."""

    def refuse(*_arguments, **_options):
        raise AssertionError("the compiled loop was asked")

    monkeypatch.delenv("DGMM_KERNEL", raising=False)
    for name in ("expect", "evaluate", "features_of"):
        monkeypatch.setattr(compiled, name, refuse)
    model.fit(rows_with_an_atom()[:1000])
