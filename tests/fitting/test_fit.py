# pyright: reportArgumentType=false, reportCallIssue=false, reportOptionalSubscript=false
"""From rows to a fitted mixture: what scikit-learn finds, and in how many passes."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from dgmm.data import DataError, open_dataset, open_weights
from dgmm.fitting.fingerprint import fingerprint
from dgmm.fitting.fit import fit
from dgmm.fitting.loop.plain import EM
from dgmm.fitting.settings import Settings
from dgmm.fitting.starts.methods import GivenStart, StartMethod
from dgmm.fitting.steps.objective import Belief, Evidence, Likelihood
from dgmm.model.families import FAMILIES
from dgmm.passes.events import PassFinished, listening
from tests.model import naive

pytestmark = pytest.mark.usefixtures("small_spans")


@pytest.fixture
def rows(generator):
    means = np.array([[0.0, 0.0], [8.0, 1.0], [-3.0, 9.0]])
    return means[generator.integers(3, size=3000)] + generator.normal(size=(3000, 2)) * [1.0, 1.5]


def settings_for(n_components=3, covariance_type="full", **own) -> Settings:
    goal = own.pop("goal", Likelihood(1e-6))
    init_params = own.pop("init_params", "kmeans")
    method = StartMethod(init_params, FAMILIES[covariance_type], n_components, Likelihood(1e-6))
    return replace(Settings(method, GivenStart(), "auto", None, 100, 1, 250_000, goal), **own)


def fitted(rows, settings, weights=None, seed=0, **own):
    """The fit, and how many passes were seen."""
    source, seen = open_dataset(rows), []
    with listening(seen.append):
        found = fit(source, weights, settings, np.random.RandomState(seed), **own)
    return found, sum(isinstance(event, PassFinished) for event in seen)


@pytest.mark.parametrize("covariance_type", naive.SCIKIT_LEARNS)
@pytest.mark.parametrize("n_init", [1, 3])
def test_rows_in_memory_are_fitted_as_by_scikit_learn(rows, covariance_type, n_init):
    own = {"init_params": "random_from_data", "n_init": n_init}
    settings = settings_for(covariance_type=covariance_type, **own)
    found, _ = fitted(rows, settings)
    other = GaussianMixture(3, covariance_type=covariance_type, random_state=0, tol=1e-3, **own).fit(rows)
    assert found.best.n_iter == other.n_iter_
    assert found.best.converged
    assert found.best.lower_bound == pytest.approx(other.lower_bound_, rel=1e-9)
    np.testing.assert_allclose(found.best.parameters.means, other.means_, rtol=1e-6)
    np.testing.assert_allclose(found.best.parameters.weights, other.weights_, rtol=1e-6)
    assert found.n_passes == 1  # what follows the survey is in memory
    assert found.concerns == ()
    assert found.fingerprint == fingerprint(rows)
    assert isinstance(found.objective, Likelihood)


@pytest.mark.parametrize("algorithm", ["em", "corrected"])
def test_of_more_rows_than_the_sample_each_iteration_is_a_pass(rows, stored, algorithm):
    settings = settings_for(algorithm=algorithm, sample_rows=500, tol=1e-7)
    found, n_passes = fitted(stored(rows), settings)
    assert found.n_passes == n_passes == 1 + found.best.n_iter
    limit = GaussianMixture(3, random_state=0, tol=1e-10, max_iter=1000).fit(rows)
    assert found.best.lower_bound == pytest.approx(limit.lower_bound_, abs=1e-5)
    assert found.fingerprint == fingerprint(rows)


def test_rows_without_weight_are_as_if_not_there(rows):
    weights = np.repeat([1.0, 0.0], 1500)
    half = GaussianMixture(3, random_state=0, tol=1e-10, max_iter=1000).fit(rows[:1500])
    settings = settings_for(tol=1e-9, max_iter=1000)
    ours, _ = fitted(rows, settings, open_weights(weights))
    order, other = (np.argsort(each[:, 0]) for each in (ours.best.parameters.means, half.means_))
    np.testing.assert_allclose(ours.best.parameters.means[order], half.means_[other], rtol=1e-4)


@pytest.mark.parametrize("n_weighted", [1, 2])
def test_fewer_rows_with_a_weight_than_components(rows, n_weighted):
    weights = np.zeros(3000)
    weights[:n_weighted] = 1.0
    words = rf"n_components = 3, and {n_weighted} of 3,000 rows with a sample_weight above 0"
    with pytest.raises(DataError, match=words):
        fitted(rows, settings_for(), open_weights(weights))


@pytest.mark.parametrize("sample_rows", [250_000, 500])
def test_it_goes_on_from_where_a_fit_was(rows, sample_rows):
    settings = settings_for(algorithm="em", tol=0.0, sample_rows=sample_rows)
    whole, _ = fitted(rows, replace(settings, max_iter=7))
    part, _ = fitted(rows, replace(settings, max_iter=4))
    resumed = EM(0, part.best.parameters, part.best.lower_bound)
    found, _ = fitted(rows, replace(settings, max_iter=3), resumed=resumed)
    np.testing.assert_allclose(found.best.parameters.means, whole.best.parameters.means, rtol=1e-9)
    assert found.best.lower_bound == pytest.approx(whole.best.lower_bound, rel=1e-12)


def test_what_a_person_should_know(rows):
    """Of a likelihood, a variance that reg_covar has made; of a prior, what the rows leave open."""
    flat = np.column_stack([rows, np.full(3000, 5.0)])
    found, _ = fitted(flat, settings_for())
    assert any("reg_covar" in concern for concern in found.concerns)
    goal = Belief(FAMILIES["full"], "dirichlet_process", 0.1, 1.0, None, 3.0, None, 1e-6)
    evidence, _ = fitted(flat, settings_for(goal=goal))
    assert isinstance(evidence.objective, Evidence)
    assert evidence.concerns
    sound, _ = fitted(rows, settings_for(goal=replace(goal, degrees_of_freedom=2.0)))
    assert sound.concerns == ()
    given = replace(goal, covariance=np.eye(3))
    assert fitted(flat, settings_for(goal=given))[0].concerns == ()


@pytest.mark.parametrize("sample_rows", [250_000, 600])
def test_moves_never_end_lower_and_empty_what_is_too_many(rows, stored, sample_rows):
    goal = Belief(FAMILIES["full"], "dirichlet_process", 0.01, 1.0, None, 2.0, None, 1e-6)
    settings = settings_for(8, goal=goal, sample_rows=sample_rows, tol=1e-4)
    plain, _ = fitted(stored(rows), settings)
    moved, _ = fitted(stored(rows), replace(settings, moves=True))
    assert moved.best.lower_bound >= plain.best.lower_bound
    assert (moved.best.parameters.weights > 0.01).sum() == 3
