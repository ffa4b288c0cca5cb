"""Many models at once: each is what it is alone, and their figures are those of scikit-learn."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from dgmm.data import DataError, open_dataset, open_weights
from dgmm.fitting.fingerprint import fingerprint
from dgmm.fitting.fit import fit
from dgmm.fitting.pool import Pool
from dgmm.fitting.settings import Settings
from dgmm.fitting.starts.methods import GivenStart, StartMethod
from dgmm.fitting.steps.objective import Likelihood
from dgmm.fitting.sweep.held_out import HeldOut
from dgmm.fitting.sweep.state import SweepSettings, Swept, begin
from dgmm.fitting.sweep.sweep import concerns_of, sweep
from dgmm.kernels.densities import log_densities
from dgmm.model.criteria import CRITERIA
from dgmm.model.families import FAMILIES
from dgmm.passes.events import PassFinished, listening

pytestmark = pytest.mark.usefixtures("small_spans")

MODELS = (("full", 1), ("full", 2), ("diag", 3), ("spherical", 2))


@pytest.fixture
def rows(generator):
    return generator.normal(size=(3000, 2)) + np.repeat([[0.0, 0.0], [9.0, 4.0]], 1500, axis=0)


def settings_for(models=MODELS, *, criterion="bic", held_out=0.0, prune=True, seed=3, **own) -> SweepSettings:
    common = {"algorithm": "auto", "tol": None, "max_iter": 100, "n_init": 1, "sample_rows": 250_000} | own
    each = tuple(
        Settings(
            StartMethod("kmeans", FAMILIES[family], n_components, Likelihood(1e-6)),
            GivenStart(),
            goal=Likelihood(1e-6),
            **common,
        )
        for family, n_components in models
    )
    return SweepSettings(each, CRITERIA[criterion], prune, held_out, seed)


def swept(rows, settings, weights=None) -> tuple[Swept, int]:
    """What a sweep found, and the passes that were seen."""
    found, seen = begin(settings), []
    with listening(seen.append):
        sweep(open_dataset(rows), weights, settings, found)
    return found, sum(isinstance(event, PassFinished) for event in seen)


@pytest.mark.parametrize("weighted", [False, True])
def test_in_memory_each_model_is_what_it_is_alone(rows, generator, weighted):
    weights = open_weights(generator.uniform(0.5, 2.0, size=3000)) if weighted else None
    settings = settings_for()
    found, _ = swept(rows, settings, weights)
    assert found.n_passes == 1
    assert found.fingerprint == fingerprint(rows)
    for own, candidate in zip(settings.models, found.candidates, strict=True):
        alone = fit(open_dataset(rows), weights, own, np.random.RandomState(3)).best
        assert candidate.state is not None
        assert candidate.state.lower_bounds == alone.lower_bounds
        np.testing.assert_array_equal(candidate.state.parameters.means, alone.parameters.means)


@pytest.mark.parametrize("passes_end", [False, True])
def test_models_of_rows_that_lack_values_share_passes_and_are_as_alone(rows, monkeypatch, passes_end):
    """But for rounding; also where one that fails ends a pass."""
    lacking = rows[::10].copy()
    lacking[::7, 0] = lacking[1::7, 1] = np.nan
    settings = settings_for([("full", 1), ("full", 2), ("tied", 2), ("diag", 2)], missing="marginalize")
    if passes_end:

        def fails(pool, candidates, policy=None, n_passes=None, run=Pool.run):
            if len(candidates) > 1:
                raise np.linalg.LinAlgError
            run(pool, candidates, policy, n_passes)

        monkeypatch.setattr(Pool, "run", fails)
    found, _ = swept(lacking, settings)
    for each, candidate in zip(settings.models, found.candidates, strict=True):
        alone = fit(open_dataset(lacking), None, each, np.random.RandomState(3)).best
        assert candidate.state is not None
        assert candidate.state.n_iter == alone.n_iter
        np.testing.assert_allclose(candidate.state.lower_bounds, alone.lower_bounds, rtol=1e-9)
        np.testing.assert_allclose(candidate.state.parameters.means, alone.parameters.means, rtol=1e-7)


def test_figures_are_those_of_scikit_learn(rows):
    found, _ = swept(rows, settings_for())
    for (family, n_components), candidate in zip(MODELS, found.candidates, strict=True):
        other = GaussianMixture(n_components, covariance_type=family, random_state=3).fit(rows)
        assert candidate.scores is not None
        assert candidate.scores.log_likelihood == pytest.approx(other.score(rows), rel=1e-9)
        assert CRITERIA["bic"].value(candidate.scores) == pytest.approx(other.bic(rows), rel=1e-9)
        assert CRITERIA["aic"].value(candidate.scores) == pytest.approx(other.aic(rows), rel=1e-9)


@pytest.mark.parametrize("sample_rows", [250_000, 800])
def test_rows_held_out_are_scored_and_not_fitted(rows, stored, sample_rows):
    settings = settings_for(criterion="held-out", held_out=0.25, sample_rows=sample_rows, tol=1e-3)
    found, _ = swept(stored(rows), settings)
    held = HeldOut(3, 0.25)(0, 3000)
    assert found.moments is not None
    assert found.moments.n_rows == (~held).sum()
    np.testing.assert_allclose(found.moments.mean, rows[~held].mean(axis=0), rtol=1e-12)
    for candidate in found.candidates:
        assert candidate.evaluated is not None
        assert candidate.scores is not None
        densities = log_densities(candidate.evaluated, rows)
        assert candidate.scores.log_likelihood == pytest.approx(densities[~held].mean(), rel=1e-10)
        assert candidate.scores.held_out == pytest.approx(densities[held].mean(), rel=1e-10)
        error = densities[held].std(ddof=1) / np.sqrt(held.sum())
        assert candidate.scores.held_out_error == pytest.approx(error, rel=1e-6)


@pytest.mark.parametrize("prune", [True, False])
@pytest.mark.parametrize("algorithm", ["em", "corrected"])
def test_more_rows_than_the_sample_share_passes(rows, stored, algorithm, prune):
    settings = settings_for(sample_rows=800, algorithm=algorithm, prune=prune, tol=1e-4)
    found, n_passes = swept(stored(rows), settings)
    # The survey; those that a model went through; and after plain EM one that scores what has ended.
    scoring = int(algorithm == "em")
    shared = [each.n_passes - (scoring if not each.dropped else 0) for each in found.candidates]
    assert found.n_passes == n_passes == 1 + max(shared) + scoring
    if not prune:
        assert not any(candidate.dropped for candidate in found.candidates)
    for candidate in found.candidates:
        assert candidate.evaluated is not None
        assert candidate.scores is not None
        exact = log_densities(candidate.evaluated, rows).mean()
        assert candidate.scores.log_likelihood == pytest.approx(exact, rel=1e-10)
    best = min(found.candidates, key=lambda each: CRITERIA["bic"].value(each.scores))  # pyright: ignore
    assert (best.family.name, best.n_components) == ("spherical", 2)
    limit = GaussianMixture(2, covariance_type="spherical", random_state=0, tol=1e-9).fit(rows)
    assert best.scores is not None
    assert best.scores.log_likelihood == pytest.approx(limit.score(rows), abs=1e-4)


def test_too_many_components_fail_alone():
    rows = np.repeat(np.arange(4.0)[:, None], 3, axis=0)
    found, _ = swept(rows, settings_for([("diag", k) for k in (1, 3, 5, 13)]))
    assert [candidate.failure for candidate in found.candidates] == [
        "",
        "",
        "5 components, but only 4 distinct rows",
        "13 components, but only 12 rows to fit them to",
    ]
    assert [candidate.scores is None for candidate in found.candidates] == [False, False, True, True]


def test_as_many_components_as_rows_do_not_fail():
    found, _ = swept(np.arange(4.0)[:, None], settings_for([("diag", 4)]))
    assert found.candidates[0].failure == ""
    assert found.candidates[0].state is not None
    means = np.sort(found.candidates[0].state.parameters.means[:, 0])
    # Ten epsilons more in a count draw a mean by as much to the mean of all rows.
    np.testing.assert_allclose(means, np.arange(4.0), atol=1e-14)


def test_a_model_that_fails_leaves_the_others_as_they_are(rows):
    """Full covariances of rows on a line are singular without reg_covar; variances are not."""
    line = np.column_stack([rows[:, 0], 2.0 * rows[:, 0]])
    settings = settings_for([("full", 2), ("diag", 2)])
    bare = tuple(
        replace(each, goal=Likelihood(0.0), method=replace(each.method, objective=Likelihood(0.0)))
        for each in settings.models
    )
    found, _ = swept(line, replace(settings, models=bare))
    assert "ill-defined empirical covariance" in found.candidates[0].failure
    assert found.candidates[1].failure == ""
    assert found.candidates[1].scores is not None


@pytest.mark.parametrize(
    ("n_held_out", "words"), [(2, "2 are held out: too few are left"), (0, "none of these is held out")]
)
def test_held_out_shares_that_leave_nothing(n_held_out, words):
    rows = np.random.default_rng(0).normal(size=(3, 1))
    seed = next(seed for seed in range(100) if HeldOut(seed, 0.5)(0, 3).sum() == n_held_out)
    settings = settings_for([("full", 1)], criterion="held-out", held_out=0.5, seed=seed)
    with pytest.raises(DataError, match=words):
        swept(rows, settings)


def test_concerns_are_those_of_a_fit_alone(rows):
    flat = np.column_stack([rows, np.full(3000, 5.0)])
    settings = settings_for([("full", 2)])
    found, _ = swept(flat, settings)
    alone = fit(open_dataset(flat), None, settings.models[0], np.random.RandomState(3))
    assert alone.concerns
    assert concerns_of(found, 0, 1e-6, None) == alone.concerns
    assert concerns_of(begin(settings), 0, 1e-6, None) == ()
