# pyright: reportArgumentType=false
import numpy as np
import pytest

from dgmm import BayesianGaussianMixture
from dgmm.fitting.starts.bayesian_moves import (
    born,
    deleted,
    emptied,
    improve,
    merged,
    proposals,
    rows_of_components,
)
from dgmm.fitting.starts.splits import best_splits
from dgmm.fitting.steps.climb import climb
from dgmm.fitting.steps.in_memory import InMemory
from dgmm.fitting.steps.objective import Belief, Likelihood
from dgmm.model.concentration import CONCENTRATIONS
from dgmm.model.families import FAMILIES
from dgmm.model.variational import Posterior
from tests.model import naive

pytestmark = pytest.mark.usefixtures("short_search")  # moves follow whatever was found

each_family = pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)
each_kind = pytest.mark.parametrize("kind", CONCENTRATIONS)
own_covariance = pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical"])


def three_clusters(n_rows=3000, seed=0):
    """Round ones, so that every family has three."""
    generator = np.random.default_rng(seed)
    labels = generator.choice(3, n_rows, p=[0.5, 0.3, 0.2])
    return np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 7.0]])[labels] + generator.normal(size=(n_rows, 2))


def problem(covariance_type, kind, n_components, seed=0):
    data = InMemory.of(three_clusters(seed=seed))
    belief = Belief(FAMILIES[covariance_type], kind, 0.01, 1.0, None, 2.0, None, 0.0)
    objective = belief.objective(data.moments, "corrected")
    generator = np.random.default_rng(seed)
    family = objective.prior.family
    unit = np.ones(family.covariance_shape(n_components, 2))
    covariances = unit if naive.STRUCTURES[covariance_type][1] != "matrix" else unit * np.eye(2)
    means = data.rows[generator.choice(len(data.rows), n_components, replace=False)]
    counts = np.full(n_components, len(data.rows) / n_components)
    return data, objective, Posterior.of(objective.prior, counts, means, covariances)


@own_covariance
@each_kind
def test_a_merge_is_the_posterior_of_all_their_rows(covariance_type, kind):
    _, objective, _ = problem(covariance_type, kind, 3)
    prior, generator = objective.prior, np.random.default_rng(1)
    parts = [generator.normal(size=(n, 2)) * [1.0, 2.0] + 3.0 * n for n in (7, 5, 4)]

    def posterior_of(parts):
        covariances = np.stack([np.cov(part.T, bias=True) for part in parts])
        own = (
            np.einsum("kii->k", covariances) / 2
            if covariance_type == "spherical"
            else naive.covariances_of(covariance_type, covariances)
        )
        counts = np.array([float(len(part)) for part in parts])
        return Posterior.of(prior, counts, np.stack([part.mean(axis=0) for part in parts]), own)

    found = merged(prior, posterior_of(parts), 2, 0)
    expected = posterior_of([np.concatenate([parts[0], parts[2]]), parts[1]])
    for name in ("means", "covariances", "precisions_cholesky", "mean_precision", "degrees_of_freedom"):
        np.testing.assert_allclose(getattr(found, name)[:2], getattr(expected, name), rtol=1e-10)
    np.testing.assert_allclose(rows_of_components(prior, found), [11, 5, 0], atol=1e-12)
    np.testing.assert_array_equal(found.means[2], prior.mean)
    np.testing.assert_allclose(found.covariances[2] * prior.degrees_of_freedom, prior.covariance)
    np.testing.assert_allclose(found.weights.sum(), 1.0)


@each_family
@each_kind
def test_deletes_and_births_keep_what_they_do_not_touch(covariance_type, kind):
    data, objective, posterior = problem(covariance_type, kind, 4)
    found = climb(data, posterior, objective, 10).parameters
    gone = deleted(objective.prior, found, 1)
    counts = rows_of_components(objective.prior, found)
    left = np.sort(np.delete(counts, 1))[::-1]
    np.testing.assert_allclose(rows_of_components(objective.prior, gone), [*left, 0.0])
    split = best_splits(data, gone, Likelihood(0.0))[0]
    again = born(objective.prior, gone, split.component, 3, split.parts)
    assert rows_of_components(objective.prior, again).sum() == pytest.approx(left.sum())
    assert (rows_of_components(objective.prior, again) > 0.0).all()
    climb(data, again, objective, 3)


@each_family
@each_kind
@pytest.mark.parametrize("seed", range(2))
def test_three_components_are_found_among_eight(covariance_type, kind, seed):
    data, objective, start = problem(covariance_type, kind, 8, seed)
    plain = climb(data, start, objective, 200)
    found = improve(data, start, objective)
    counts = rows_of_components(objective.prior, found)
    assert (counts > 3.0).sum() == 3
    np.testing.assert_allclose(counts[:3] / 3000, [0.5, 0.3, 0.2], atol=0.03)
    assert climb(data, found, objective, 0).lower_bound >= plain.lower_bound - 1e-4


@pytest.mark.parametrize(
    ("covariance_type", "kind"),
    [*((each, "dirichlet_process") for each in naive.COVARIANCE_TYPES), ("full", "dirichlet_distribution")],
)
def test_components_that_share_a_cluster_are_emptied_at_once(covariance_type, kind):
    """The bound is no lower than where updates crawl to; where all are needed nothing is emptied."""
    data, objective, start = problem(covariance_type, kind, 8)
    found = emptied(data, start, objective)
    assert found is not None
    counts = rows_of_components(objective.prior, found)
    assert (counts > 3.0).sum() == 3
    np.testing.assert_allclose(np.sort(counts)[-3:] / 3000, [0.2, 0.3, 0.5], atol=0.03)
    crawled = climb(data, start, objective, 200)
    assert climb(data, found, objective, 30).lower_bound >= crawled.lower_bound - 1e-4
    assert emptied(data, found, objective) is None


def test_a_rare_component_is_not_emptied():
    """Six rows of 3,000, far from others, and two clusters that are nearly one, but known apart."""
    rows, generator = three_clusters(), np.random.default_rng(3)
    rows[:6] = [20.0, 20.0] + 0.1 * generator.normal(size=(6, 2))
    rows[6:1000] = [-30.0, 0.0] + generator.normal(size=(994, 2)) * [1.0, 0.2]
    rows[1000:1500, 0], rows[1000:1500, 1] = -30.0 + 0.2 * generator.normal(size=500), 1.0
    rows[1000:1500, 1] += generator.normal(size=500)
    data = InMemory.of(rows)
    belief = Belief(FAMILIES["full"], "dirichlet_process", 0.01, 1.0, None, 2.0, None, 0.0)
    objective = belief.objective(data.moments, "corrected")
    means = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 7.0], [20.0, 20.0], [-30.0, 0.0], [-30.0, 1.0]])
    covariances = np.tile(np.eye(2), (6, 1, 1))
    start = Posterior.of(objective.prior, np.array([700.0, 500, 300, 6, 994, 500]), means, covariances)
    assert emptied(data, start, objective) is None


def test_sticks_are_put_in_order():
    """What empty sticks before n rows cost, about log(n / γ) nats each, is gained at once."""
    data, objective, _ = problem("full", "dirichlet_process", 3)
    counts, family = np.array([0.0, 0.0, 3000.0]), objective.prior.family
    means, matrix = data.moments.mean, np.cov(data.rows.T)
    last = Posterior.of(objective.prior, counts, np.tile(means, (3, 1)), np.tile(matrix, (3, 1, 1)))
    assert last.family is family
    sorted_first = next(proposals(last, objective, data))
    np.testing.assert_allclose(rows_of_components(objective.prior, sorted_first), counts[::-1], atol=1e-9)
    before, after = (climb(data, each, objective, 0).lower_bound for each in (last, sorted_first))
    assert 3000 * (after - before) == pytest.approx(2.0 * np.log(3000 / 0.01), rel=0.02)
    again = proposals(sorted_first, objective, data)
    assert all(rows_of_components(objective.prior, each)[0] < 2999 for each in again)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_rows_that_lack_values_end_at_one_bound_in_memory_and_by_a_sample():
    """They share a prior here: by default its correlations are the sample's."""
    rows, generator = three_clusters(1200), np.random.default_rng(1)
    rows[generator.random(1200) < 0.3, 1] = np.nan
    own = {
        "n_components": 5,
        "weight_concentration_prior": 0.01,
        "covariance_prior": np.eye(2),
        "random_state": 0,
    }
    bounds = [
        BayesianGaussianMixture(**own, missing="marginalize", moves=True, sample_rows=sample_rows, tol=1e-4)
        .fit(rows)
        .elbo_
        for sample_rows in (1200, 500)
    ]
    assert bounds[0] == pytest.approx(bounds[1], abs=0.5)


def test_births_fill_components_without_rows():
    """From one broad component, with the others empty."""
    data, objective, start = problem("full", "dirichlet_process", 6)
    for component in range(5):
        start = deleted(objective.prior, start, 5 - component)
    assert (rows_of_components(objective.prior, improve(data, start, objective)) > 3.0).sum() == 3


def test_nothing_to_move():
    data, objective, start = problem("full", "dirichlet_process", 1)
    assert list(proposals(start, objective, data)) == []
    assert improve(data, start, objective).n_components == 1


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("algorithm", ["em", "corrected"])
@pytest.mark.parametrize("sample_rows", [500, 3000])
def test_through_the_estimator(algorithm, sample_rows):
    own = {"n_components": 6, "weight_concentration_prior": 0.01, "random_state": 0}
    own |= {"sample_rows": sample_rows, "algorithm": algorithm}
    plain = BayesianGaussianMixture(**own | {"algorithm": "em"}, init_params="kmeans").fit(three_clusters())
    mixture = BayesianGaussianMixture(**own, moves=True).fit(three_clusters())
    assert mixture.effective_components_ == 3 < plain.effective_components_
    assert mixture.elbo_ > plain.elbo_ + 1.0
    history = mixture.history_
    accepted = np.array(history["lower_bound"])[history["accepted"]]
    assert (np.diff(accepted) >= -1e-9 * abs(accepted[-1])).all()
    assert (mixture.n_passes_ == 1) == (sample_rows == 3000)
    assert mixture.n_iter_ == len(mixture.lower_bounds_) <= mixture.max_iter
    assert mixture.converged_ or mixture.n_iter_ == mixture.max_iter
    if (algorithm, sample_rows) == ("em", 3000):  # what a fit leaves is in no other's way
        assert mixture.fit(three_clusters()).effective_components_ == 3


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("algorithm", "sample_rows", "max_iter"),  # all pairs of their values
    [
        ("em", 500, 1),
        ("corrected", 3000, 1),
        ("em", 3000, 4),
        ("corrected", 500, 4),
    ],
)
def test_moves_take_no_more_iterations_than_are_asked_for(algorithm, sample_rows, max_iter):
    own = {"n_components": 6, "weight_concentration_prior": 0.01, "random_state": 0, "algorithm": algorithm}
    mixture = BayesianGaussianMixture(**own, sample_rows=sample_rows, max_iter=max_iter, moves=True)
    mixture.fit(three_clusters())
    assert len(mixture.lower_bounds_) == mixture.n_iter_ <= max_iter
    assert mixture.converged_ or mixture.n_iter_ == max_iter


@pytest.mark.filterwarnings("ignore::dgmm.MixtureWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("covariance_type", ["full", "diag"])
@pytest.mark.parametrize("sample_rows", [500, 3000])
def test_a_column_that_does_not_vary(covariance_type, sample_rows):
    """The prior's covariance is singular but for reg_covar, which components without rows have."""
    rows = three_clusters()
    rows[:, 1] = 3.0
    own = {"n_components": 4, "covariance_type": covariance_type, "random_state": 0}
    plain = BayesianGaussianMixture(**own, sample_rows=sample_rows).fit(rows)
    moved = BayesianGaussianMixture(**own, sample_rows=sample_rows, moves=True).fit(rows)
    assert moved.lower_bound_ >= plain.lower_bound_ - 1e-6 * abs(plain.lower_bound_)


def test_moves_that_only_the_sample_likes_are_not_made(monkeypatch):
    """Where what the sample moves to is worse for all rows, the fit is the one without moves."""

    def worse(data, posterior, objective):  # two clusters in one component, and two components in a cluster
        counts, means = np.array([0.8, 0.1, 0.1]) * len(data.rows), np.array([[2.2, 0], [-1, 7], [1, 7]])
        covariances = np.stack([np.diag([10.0, 1.0]), np.eye(2), np.eye(2)])
        return Posterior.of(objective.prior, counts, means, covariances)

    own = {"n_components": 3, "algorithm": "corrected", "sample_rows": 800, "random_state": 0}
    plain = BayesianGaussianMixture(**own).fit(three_clusters())
    monkeypatch.setattr("dgmm.fitting.multistart.improve", worse)
    monkeypatch.setattr("dgmm.fitting.fit.proposals", lambda *of: [])  # which would mend it
    moved = BayesianGaussianMixture(**own, moves=True).fit(three_clusters())
    assert moved.elbo_ >= plain.elbo_ - 1e-6 * abs(plain.elbo_)
    assert moved.effective_components_ == 3


@each_family
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(("n_rows", "n_components"), [(4, 2), (5, 5), (8, 3)])
@pytest.mark.filterwarnings("ignore:Best performing initialization did not converge")
def test_rows_so_few_that_no_component_has_more_than_features(covariance_type, dtype, n_rows, n_components):
    rows = np.random.default_rng(0).normal(size=(n_rows, 3)).astype(dtype)
    settings = {
        "n_components": n_components,
        "covariance_type": covariance_type,
        "random_state": 0,
        "max_iter": 500,
    }
    plain = BayesianGaussianMixture(**settings).fit(rows)
    model = BayesianGaussianMixture(moves=True, **settings).fit(rows)
    assert model.weights_.sum() == pytest.approx(1.0)
    assert np.isfinite(model.means_).all()
    assert model.elbo_ >= plain.elbo_ - 1e-3


def test_nothing_is_proposed_where_no_component_has_more_rows_than_features():
    data, objective, posterior = problem("full", "dirichlet_process", 2)
    few = InMemory.of(data.rows[:3])
    objective = Belief(FAMILIES["full"], "dirichlet_process", 0.01, 1.0, None, 2.0, None, 0.0).objective(
        few.moments, "em"
    )
    posterior = Posterior.of(objective.prior, np.array([2.0, 1.0]), few.rows[:2], posterior.covariances)
    assert list(proposals(posterior, objective, few)) == []
