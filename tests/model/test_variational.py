# pyright: reportArgumentType=false, reportPrivateUsage=false
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import digamma
from scipy.stats import beta, dirichlet, wishart
from sklearn.mixture import BayesianGaussianMixture

from dgmm import kernels
from dgmm.kernels.stacking import stack_models
from dgmm.model import variational
from dgmm.model.concentration import CONCENTRATIONS
from dgmm.model.families import FAMILIES
from dgmm.model.matrices import DegenerateCovarianceError
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Moments
from dgmm.model.variational import Posterior, Prior
from tests.model import naive

each_family = pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)
each_kind = pytest.mark.parametrize("kind", CONCENTRATIONS)


def prior_of(covariance_type, kind, n_features=2):
    covariance = {
        "full": np.eye(n_features) * 2 + 0.3,
        "tied": np.eye(n_features) * 2 + 0.3,
        "diag": np.arange(1.0, n_features + 1),
        "spherical": np.asarray(1.7),
        "tied_diag": np.arange(1.0, n_features + 1),
        "tied_spherical": np.asarray(1.7),
    }[covariance_type]
    return Prior(
        FAMILIES[covariance_type], kind, 0.3, 0.7, np.full(n_features, 0.4), n_features + 0.5, covariance
    )


def problem(covariance_type, kind, n_rows=400, *, weighted=False, centred=False, reg_covar=0.0):
    """A prior, rows, and a function from a posterior to one E-step's results."""
    generator = np.random.default_rng(7)
    truth = naive.random_parameters(generator, covariance_type, 3, 2)
    rows = naive.random_rows(generator, truth, n_rows)
    weights = generator.uniform(0.5, 2.0, n_rows) if weighted else None
    prior = prior_of(covariance_type, kind)
    moments = Moments.of(rows, weights)

    def step(posterior):
        references = [posterior.means + 0.1] if centred else None
        ready = stack_models([posterior], moments.mean, moments.extent, rows.dtype, references=references)
        statistics = kernels.expect(ready, [(rows, weights)])[0]
        statistics = statistics.completed(moments.scatter, posterior.precisions_cholesky)
        value = statistics.log_likelihood
        updated = variational.update(statistics, prior, reg_covar)
        return statistics, value, updated

    counts = truth.weights * moments.weight
    start = Posterior.of(prior, counts, truth.means + generator.normal(size=(3, 2)), truth.covariances)
    return prior, rows, moments, start, step


def complete(prior, posterior, log_likelihood, weight):
    bound = variational.bound(prior, posterior, log_likelihood, weight)
    return bound + prior.constant(posterior.n_components, weight)


@each_family
@each_kind
@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_bounds_rise_and_interleave(covariance_type, kind, weighted, centred):
    """Every E-step and every M-step raises the bound, on sums about the centre and about other points."""
    prior, _, moments, posterior, step = problem(covariance_type, kind, weighted=weighted, centred=centred)
    values = []
    for _ in range(15):
        statistics, value, updated = step(posterior)
        values.append(variational.bound(prior, posterior, value, moments.weight))
        values.append(variational.bound_after(posterior, updated, statistics, value))
        posterior = updated
    assert (np.diff(values) >= -1e-10 * abs(values[-1])).all()
    assert values[-1] > values[0] + 1.0


def expected_log_density(posterior, rows):
    """Expected log joint densities (n_rows, K), written out; its Wishart matrices share a determinant."""
    concentration, n_features = posterior.weight_concentration, posterior.n_features
    if posterior.concentration_type == "dirichlet_distribution":
        log_weights = digamma(concentration) - digamma(concentration.sum())
    else:
        a, b = concentration
        broken, left = digamma(a) - digamma(a + b), digamma(b) - digamma(a + b)
        log_weights = np.array([broken[k] + left[:k].sum() for k in range(len(a))])
    known = np.broadcast_to(posterior.degrees_of_freedom, len(posterior.means))
    columns = []
    for k, covariance in enumerate(naive.matrices_of(posterior)):
        scale = np.linalg.inv(covariance) / known[k]
        log_determinant = sum(digamma((known[k] - i) / 2) for i in range(n_features))
        log_determinant += n_features * np.log(2) + np.linalg.slogdet(scale)[1]
        gaps = rows - posterior.means[k]
        squares = np.einsum("ni,ij,nj->n", gaps, known[k] * scale, gaps)
        spread = squares + n_features / posterior.mean_precision[k] + n_features * np.log(2 * np.pi)
        columns.append(log_weights[k] + 0.5 * (log_determinant - spread))
    return np.stack(columns, axis=1)


@each_family
@each_kind
@pytest.mark.parametrize("weighted", [False, True])
def test_log_densities_and_the_two_bounds_agree_with_what_is_written_out(covariance_type, kind, weighted):
    prior, rows, moments, posterior, step = problem(covariance_type, kind, 200, weighted=weighted)
    before = step(posterior)[2]
    statistics, value, updated = step(before)
    joint = expected_log_density(before, rows)
    own = np.stack([before.log_constants[k] - 0.5 * _squares(before, rows, k) for k in range(3)], axis=1)
    np.testing.assert_allclose(own, joint, rtol=1e-12)
    if weighted:
        return
    log_density, share = naive.split(joint)
    assert value == pytest.approx(log_density.sum(), rel=1e-12)
    entropy = -(share * np.log(np.maximum(share, 1e-300))).sum()
    after = variational.bound_after(before, updated, statistics, value)
    assert after == pytest.approx(entropy + variational.log_normalizer(updated), rel=1e-9)
    # The same, from the expectations and divergences, as the M-step's posterior is the optimal one.
    value_after = (share * expected_log_density(updated, rows)).sum() + entropy
    general = variational.bound(prior, updated, value_after, moments.weight)
    assert after == pytest.approx(general, rel=1e-11)


def _squares(posterior, rows, k):
    factors = posterior.precisions_cholesky
    y = posterior.family.standardize((rows - posterior.means[k]).T, factors, k)
    return (y**2).sum(axis=0)


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
@each_kind
def test_the_complete_bound_is_an_average_over_the_posterior(covariance_type, kind):
    """``E_q[log p(rows, labels, parameters) − log q]``, drawn from the distributions themselves."""
    prior, rows, moments, posterior, step = problem(covariance_type, kind, 60)
    for _ in range(3):
        posterior = step(posterior)[2]
    joint = expected_log_density(posterior, rows)
    log_density, share = naive.split(joint)
    bound = complete(prior, posterior, log_density.sum(), moments.weight)
    generator, draws = np.random.default_rng(0), 500
    known = np.broadcast_to(posterior.degrees_of_freedom, 3)
    total = np.full(draws, -(share * np.log(np.maximum(share, 1e-300))).sum())
    concentration, before = posterior.weight_concentration, prior.weights.prior(prior.concentration, 3)
    if kind == "dirichlet_distribution":
        weights = generator.dirichlet(concentration, draws)
        total += dirichlet(before).logpdf(weights.T) - dirichlet(concentration).logpdf(weights.T)
        log_weights = np.log(weights)
    else:
        sticks = np.clip(generator.beta(concentration[0], concentration[1], (draws, 3)), 1e-300, 1 - 1e-16)
        own_beta, first_beta = tuple(concentration), tuple(before)
        total += (beta.logpdf(sticks, *first_beta) - beta.logpdf(sticks, *own_beta)).sum(axis=1)
        left = np.cumsum(np.log1p(-sticks), axis=1)
        log_weights = np.log(sticks) + np.column_stack([np.zeros(draws), left[:, :-1]])
    total += log_weights @ share.sum(axis=0)
    first = wishart(prior.degrees_of_freedom, np.linalg.inv(prior.covariance))
    for k, covariance in enumerate(naive.matrices_of(posterior)):
        own = wishart(known[k], np.linalg.inv(covariance) / known[k])
        precisions = own.rvs(draws, random_state=generator)
        total += first.logpdf(np.moveaxis(precisions, 0, -1)) - own.logpdf(np.moveaxis(precisions, 0, -1))
        spreads = np.linalg.inv(precisions)
        of_mean = spreads / posterior.mean_precision[k]
        gaps = (np.linalg.cholesky(of_mean) @ generator.normal(size=(draws, 2, 1)))[:, :, 0]
        means = posterior.means[k] + gaps
        total += naive.log_normal(means - prior.mean, spreads / prior.mean_precision)
        total -= naive.log_normal(gaps, of_mean)
        for row, one in zip(rows, share[:, k], strict=True):
            total += one * naive.log_normal(row - means, spreads)
    error = total.std() / np.sqrt(draws)
    assert error < 0.2
    assert abs(total.mean() - bound) < 5 * error


@each_family
@each_kind
def test_no_change_of_the_posterior_raises_the_bound(covariance_type, kind):
    """At the optimum of variational Bayes, one number after the other."""
    prior, _, moments, posterior, step = problem(covariance_type, kind, 300)
    for _ in range(120):
        posterior = step(posterior)[2]
    best = complete(prior, posterior, step(posterior)[1], moments.weight)

    def bound_of(changed):
        factors = changed.family.precisions_cholesky(changed.covariances)
        changed = replace(changed, precisions_cholesky=factors)
        return complete(prior, changed, step(changed)[1], moments.weight)

    assert bound_of(posterior) == pytest.approx(best, rel=1e-13)
    names = ("weight_concentration", "mean_precision", "degrees_of_freedom", "means", "covariances")
    for name in names:
        values = np.asarray(getattr(posterior, name))
        for index in np.ndindex(values.shape):
            for factor in (0.99, 1.01):
                changed = np.array(values)
                changed[index] *= factor
                if name == "covariances" and naive.STRUCTURES[covariance_type][1] == "matrix":
                    changed[(*index[:-2], index[-1], index[-2])] = changed[index]
                assert bound_of(replace(posterior, **{name: changed})) <= best + 1e-9, (name, index, factor)


@pytest.mark.parametrize("covariance_type", naive.SCIKIT_LEARNS)
@each_kind
def test_an_update_is_scikit_learns(covariance_type, kind):
    """From the same responsibilities, however few rows a component has; with all priors given."""
    prior, rows, _, start, step = problem(covariance_type, kind, 300, reg_covar=1e-3)
    other = BayesianGaussianMixture(
        n_components=3,
        covariance_type=covariance_type,
        weight_concentration_prior_type=kind,
        weight_concentration_prior=prior.concentration,
        mean_precision_prior=prior.mean_precision,
        mean_prior=prior.mean,
        degrees_of_freedom_prior=prior.degrees_of_freedom,
        covariance_prior=prior.covariance.item() if covariance_type == "spherical" else prior.covariance,
        reg_covar=1e-3,
    )
    other._check_parameters(rows)
    start = replace(start, means=start.means + np.array([[0, 0], [0, 0], [300.0, 0]]))  # has no rows
    statistics, _, updated = step(start)
    assert statistics.counts[2] == 0.0
    _, share = naive.split(expected_log_density(start, rows))
    other._m_step(rows, np.log(np.maximum(share, 1e-300)))
    other._set_parameters(other._get_parameters())
    for name in ("weights", "means", "covariances", "precisions_cholesky", "precisions"):
        expected = getattr(other, f"{name}_")
        np.testing.assert_allclose(getattr(updated, name), expected, rtol=1e-9, atol=1e-12, err_msg=name)
    for name in ("weight_concentration", "mean_precision", "degrees_of_freedom"):
        np.testing.assert_allclose(getattr(updated, name), getattr(other, f"{name}_"), rtol=1e-12)
    np.testing.assert_allclose(updated.log_constants, _log_constants(other), rtol=1e-10)


def _log_constants(other):
    at_means = other._estimate_weighted_log_prob(other.means_)
    return np.diagonal(at_means)


def test_a_singular_prior_has_no_complete_bound():
    prior = replace(prior_of("full", "dirichlet_process"), covariance=np.diag([1.0, 0.0]))
    assert prior.constant(3, 100.0) == -np.inf
    with pytest.raises(DegenerateCovarianceError):
        Posterior.of(prior, np.ones(1), prior.mean[None, :], np.zeros((1, 2, 2)))


def moments_with(*columns, weights=None):
    return Moments.of(np.column_stack(columns), weights)


class TestDependentFeatures:
    """Features of which the covariance of all rows makes a singular prior, family by family."""

    EPSILON = np.finfo(float).eps
    CONSTANT = np.full(200, 1e6)

    @pytest.fixture
    def columns(self):
        return np.random.default_rng(3).normal(size=(3, 200)) * np.array([[1.0], [50.0], [1e-3]]) + 2.0

    @each_family
    def test_there_are_none_as_a_rule(self, covariance_type, columns):
        moments = moments_with(*columns)
        assert variational.dependent_features(FAMILIES[covariance_type], moments).tolist() == []

    @each_family
    @pytest.mark.parametrize("place", [0, 2])
    def test_one_that_does_not_vary(self, covariance_type, place, columns):
        columns[place] = 0.0 if place else 1e6
        found = variational.dependent_features(FAMILIES[covariance_type], moments_with(*columns))
        is_round = FAMILIES[covariance_type].is_round  # one variance, which the other features have
        assert found.tolist() == ([] if is_round else [place])

    @each_family
    def test_none_varies(self, covariance_type):
        moments = moments_with(self.CONSTANT, np.zeros(200))
        assert variational.dependent_features(FAMILIES[covariance_type], moments).tolist() == [0, 1]

    @pytest.mark.parametrize(("n_epsilons", "varies"), [(4.0, False), (40.0, True)])
    def test_rounding_is_no_variation(self, n_epsilons, varies, columns):
        """Deviations as large as the rounding of a value of this size leaves them."""
        steps = np.where(np.arange(200) % 2, 1.0, -1.0) * n_epsilons * self.EPSILON
        moments = moments_with(columns[0], self.CONSTANT * (1.0 + steps))
        found = variational.dependent_features(FAMILIES["diag"], moments).tolist()
        assert found == ([] if varies else [1])

    @each_family
    def test_one_that_others_give(self, covariance_type, columns):
        given = 3.0 * columns[0] - 0.05 * columns[1] + 7.0
        moments = moments_with(columns[0], columns[1], columns[2], given)
        found = variational.dependent_features(FAMILIES[covariance_type], moments)
        has_products = FAMILIES[covariance_type].has_products
        assert found.tolist() == ([0, 1, 3] if has_products else [])


@each_family
def test_it_cancels_only_where_components_have_the_rows(covariance_type):
    """A narrow component with half of the rows does; one without rows has the prior's variance."""
    generator = np.random.default_rng(0)
    rows = np.concatenate([generator.normal(size=(50, 2)), generator.normal(size=(50, 2)) + 1e7])
    moments = Moments.of(rows)
    prior = replace(prior_of(covariance_type, "dirichlet_process"), mean_precision=1e-20)
    broad = naive.covariances_of(covariance_type, np.stack([np.eye(2) * 1e12] * 3))
    means = np.array([[0.0, 0.0], [1e7, 1e7], [0.0, 1e9]])
    model = Parameters.from_covariances(FAMILIES[covariance_type], np.full(3, 1 / 3), means, broad)
    ready = stack_models([model], moments.mean, moments.extent, rows.dtype)
    statistics = kernels.expect(ready, [(rows, None)])[0].of_all_rows(moments.scatter)
    given = (statistics, prior, 0.0)
    with suppress(DegenerateCovarianceError):  # of some families rounding leaves no variance at all
        updated = variational.update(*given)
        assert variational.cancels(statistics, updated, ready.largest_ratio)
    points = [variational.update_means(statistics)]
    again = stack_models([model], moments.mean, moments.extent, rows.dtype, references=points)
    exact = variational.update(
        kernels.expect(again, [(rows, None)])[0].of_all_rows(moments.scatter), prior, 0.0
    )
    assert np.isfinite(exact.covariances).all()
