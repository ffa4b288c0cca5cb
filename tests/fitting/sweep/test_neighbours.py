"""Comparisons of neighbouring numbers of components: Vuong's test against its formula, and which pairs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from dgmm.data.memory import MemorySource
from dgmm.fitting.pool import Candidate
from dgmm.fitting.sample import Sample
from dgmm.fitting.steps.expectation import Data
from dgmm.fitting.steps.objective import Likelihood
from dgmm.fitting.sweep.held_out import HeldOut
from dgmm.fitting.sweep.neighbours import RowsCompared, compare, sentences
from dgmm.model.criteria import Scores
from dgmm.model.statistics import Moments
from tests.model import naive


@pytest.fixture
def generator():
    return np.random.default_rng(0)


def candidate(parameters, rows, **fields):
    """A model that a sweep has scored."""
    fit = naive.split(naive.log_joint(parameters, rows))[0].mean()
    scores = Scores(fit, 0.0, np.nan, np.nan, parameters.n_parameters, float(len(rows)))
    return Candidate(
        parameters.family, parameters.n_components, evaluated=parameters, scores=scores, **fields
    )


@pytest.fixture
def models(generator):
    """Mixtures of 1, 2 and 4 components, and of another family of 1 and 2."""
    kinds = [("full", 1), ("full", 4), ("full", 2), ("diag", 1), ("diag", 2)]
    return [naive.random_parameters(generator, family, n) for family, n in kinds]


def sample_of(rows):
    n_rows = len(rows)
    return Sample(np.arange(n_rows, dtype=np.uint64), np.arange(n_rows), rows, None)


def data_of(source, weights=None):
    return Data(source, weights, Moments.of(source.values))


def compared(candidates, best, rows, which, n_bootstrap=0):
    return compare(
        candidates,
        best,
        which,
        sample_of(rows),
        objective=Likelihood(1e-6),
        n_bootstrap=n_bootstrap,
        seed=0,
    )


def test_vuongs_test_is_its_formula(generator, models):
    rows, weights = naive.random_rows(generator, models[2], 300), generator.uniform(0.5, 2.0, 300)
    candidates = [candidate(each, rows) for each in models]
    held_out = HeldOut(0, 0.3)
    held = held_out(0, 300)
    source, own = MemorySource(rows), MemorySource(weights[:, None])
    densities = [naive.split(naive.log_joint(each, rows))[0] for each in models]
    for which, taken, their in (
        (RowsCompared.of_passes(data_of(source), HeldOut(0, 0.0)), np.ones(300, bool), np.ones(300)),
        (RowsCompared.of_passes(data_of(source, own), held_out), held, weights),
        (RowsCompared.of_memory(data_of(source, own), sample_of(rows[:0])), np.ones(300, bool), weights),
        (RowsCompared.of_memory(data_of(source, own), sample_of(rows[held])), held, np.ones(300)),
    ):
        found = compared(candidates, 0, rows, which)
        assert [(each.covariance_type, each.n_components, each.n_more) for each in found] == [
            ("full", 1, 2),
            ("full", 2, 4),
            ("diag", 1, 2),
        ]
        for each, (fewer, more) in zip(found, [(0, 2), (2, 1), (3, 4)], strict=True):
            d, w = (densities[more] - densities[fewer])[taken], their[taken]
            mean = w @ d / w.sum()
            more_parameters = models[more].n_parameters - models[fewer].n_parameters
            price = 0.0 if which.is_held_out else 0.5 * more_parameters * np.log(w.sum())
            statistic = (w @ d - price) / np.sqrt(w**2 @ (d - mean) ** 2)
            assert each.vuong == pytest.approx(statistic)
            assert each.vuong_p == pytest.approx(norm.sf(statistic), rel=1e-6)
            assert each.likelihood_ratio == pytest.approx(2 * (densities[more] - densities[fewer]).sum())
            assert np.isnan(each.bootstrap_p)


def test_models_that_left_early_have_no_figures_of_all_rows(generator, models):
    rows = naive.random_rows(generator, models[2], 100)
    candidates = [candidate(each, rows) for each in models[:3]]
    candidates[1] = candidate(models[1], rows, dropped="It left.")
    first, second = compared(
        candidates, 0, rows, RowsCompared.of_passes(data_of(MemorySource(rows)), HeldOut(0, 0.0))
    )
    assert np.isfinite(first.vuong)
    assert np.isnan([second.vuong, second.vuong_p, second.likelihood_ratio]).all()
    alone = [candidates[1], candidate(models[2], rows, failure="It failed.")]
    assert (
        compared(alone, 0, rows, RowsCompared.of_passes(data_of(MemorySource(rows)), HeldOut(0, 0.0))) == []
    )


def test_the_best_and_its_neighbours_are_drawn_for(generator):
    one = naive.random_parameters(generator, "diag", 1, 1)
    rows = np.concatenate([generator.normal(-4, 1, (80, 1)), generator.normal(4, 1, (80, 1))])
    two = type(one).from_covariances(one.family, np.full(2, 0.5), np.array([[-4.0], [4.0]]), np.ones((2, 1)))
    three = naive.random_parameters(generator, "diag", 3, 1)
    four = naive.random_parameters(generator, "diag", 4, 1)
    candidates = [candidate(each, rows) for each in (one, two, three, four)]
    which = RowsCompared.of_passes(data_of(MemorySource(rows)), HeldOut(0, 0.0))
    found = compared(candidates, 1, rows, which, n_bootstrap=19)
    assert [each.n_rows for each in found] == [160, 160, 0]
    assert found[0].bootstrap_p == 1 / 20
    assert found[1].bootstrap_p > 1 / 20
    assert np.isnan(found[2].bootstrap_p)
    said = [*sentences(found)]
    assert said[0].startswith("By 160 rows, 2 components rather than 1 are needed: if 1 are true")
    assert "3 components rather than 2 are not seen to be needed" in said[1]
    assert len(said) == 2
    assert compared(candidates, 1, rows, which, n_bootstrap=19) == found  # the same for the same seed
