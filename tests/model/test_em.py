import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture, _gaussian_mixture

import dgmm
from dgmm import kernels
from dgmm.kernels.stacking import blank_stack, stack_models
from dgmm.model.em import cancels, promised_gain, update, update_means
from dgmm.model.families import FAMILIES
from dgmm.model.matrices import DegenerateCovarianceError
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import SMALLEST_COUNT, Moments, Statistics
from tests.model import naive

pytestmark = pytest.mark.usefixtures("each_kernel")

each_family = pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)


def statistics_of(parameters, rows, weights=None, *, all_centred=False):
    """Moments of the rows, the stack, and the statistics of one E-step."""
    moments = Moments.of(rows, weights)
    references = [parameters.means] if all_centred else None
    ready = stack_models([parameters], moments.mean, moments.extent, rows.dtype, references=references)
    (statistics,) = kernels.expect(ready, [(rows, weights)])
    return moments, ready, statistics.completed(moments.scatter, parameters.precisions_cholesky)


def step(parameters, rows, weights=None, reg_covar=0.0, *, all_centred=False):
    """Log-likelihood of the parameters, and the parameters after one E-step and M-step."""
    _, _, statistics = statistics_of(parameters, rows, weights, all_centred=all_centred)
    return statistics.log_likelihood, update(statistics, reg_covar)


@each_family
@given(seed=st.integers(0, 2**32 - 1), weighted=st.booleans(), all_centred=st.booleans())
@settings(max_examples=10, deadline=None)
def test_log_likelihood_never_falls(covariance_type, seed, weighted, all_centred):
    generator = np.random.default_rng(seed)
    truth = naive.random_parameters(generator, covariance_type, 3, 2)
    rows = naive.random_rows(generator, truth, 1000)
    weights = generator.uniform(0.5, 2.0, size=1000) if weighted else None
    start = np.stack([np.cov(rows.T)] * 3)
    if naive.STRUCTURES[covariance_type][1] == "sphere":
        start = np.einsum("kii->k", start)[:, None, None] / 2 * np.eye(2)
    parameters = Parameters.from_covariances(
        FAMILIES[covariance_type],
        np.full(3, 1 / 3),
        truth.means + generator.normal(size=(3, 2)),
        naive.covariances_of(covariance_type, start),
    )
    values = []
    for _ in range(15):
        value, parameters = step(parameters, rows, weights, all_centred=all_centred)
        values.append(value)
    assert np.all(np.diff(values) >= -1e-9 * np.abs(values[1:]))
    assert values[-1] > values[0]


@each_family
def test_single_precision_ascends_to_the_same_place(covariance_type):
    generator = np.random.default_rng(1)
    truth = naive.random_parameters(generator, covariance_type, 2, 2)
    rows = naive.random_rows(generator, truth, 3000).astype(np.float32)
    single = double = truth
    for _ in range(20):
        likelihood, single = step(single, rows)
        expected, double = step(double, rows.astype(np.float64))
        assert abs(likelihood - expected) <= 1e-5 * len(rows)
    np.testing.assert_allclose(single.means, double.means, atol=1e-4)
    np.testing.assert_allclose(single.covariances, double.covariances, atol=1e-4)


@pytest.mark.parametrize("covariance_type", naive.SCIKIT_LEARNS)
@pytest.mark.parametrize("reg_covar", [1e-6, 0.1])
@pytest.mark.parametrize("n_iterations", [1, 5])
def test_iterations_are_those_of_scikit_learn(covariance_type, reg_covar, n_iterations):
    generator = np.random.default_rng(2)
    parameters = naive.random_parameters(generator, covariance_type, 3, 3)
    parameters = replace(parameters, means=parameters.means + 7.0)
    rows = naive.random_rows(generator, parameters, 2000)
    reference = GaussianMixture(
        3,
        covariance_type=covariance_type,
        reg_covar=reg_covar,
        max_iter=n_iterations,
        tol=0.0,
        weights_init=parameters.weights,
        means_init=parameters.means,
        precisions_init=parameters.precisions,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        reference.fit(rows)
    value = np.nan
    for _ in range(n_iterations):
        value, parameters = step(parameters, rows, reg_covar=reg_covar)
    np.testing.assert_allclose(value / len(rows), reference.lower_bound_, rtol=1e-9)
    for name in ("weights", "means", "covariances", "precisions"):
        expected = getattr(reference, f"{name}_")
        np.testing.assert_allclose(getattr(parameters, name), expected, rtol=1e-8, atol=1e-8)


@each_family
@pytest.mark.parametrize("weighted", [False, True])
def test_iterations_are_the_formulas(covariance_type, weighted):
    """Densities of SciPy, and M-steps written out; the likelihood never falls."""
    generator = np.random.default_rng(3)
    ours = naive.random_parameters(generator, covariance_type, 3, 3)
    rows = naive.random_rows(generator, ours, 800)
    weights = generator.gamma(2.0, size=800) if weighted else None
    theirs, values = ours, []
    for _ in range(6):
        log_density, shares = naive.split(naive.log_joint(theirs, rows))
        values.append(log_density.sum() if weights is None else weights @ log_density)
        own, means, matrices = naive.maximized(covariance_type, rows, shares, weights, 1e-6)
        theirs = Parameters.from_covariances(
            FAMILIES[covariance_type], own, means, naive.covariances_of(covariance_type, matrices)
        )
        value, ours = step(ours, rows, weights, reg_covar=1e-6)
        assert value == pytest.approx(values[-1], rel=1e-11)
        for name in ("weights", "means", "covariances", "precisions_cholesky"):
            expected = getattr(theirs, name)
            np.testing.assert_allclose(getattr(ours, name), expected, rtol=1e-10, atol=1e-10)
    assert (np.diff(values) > 0.0).all()


@pytest.mark.parametrize("covariance_type", naive.OWN)
def test_a_collapsed_component_is_named(covariance_type):
    """One of three components holds equal rows only."""
    generator = np.random.default_rng(3)
    means = np.array([[-99.0, 0.0], [0.0, 99.0], [99.0, 0.0]])
    rows = np.concatenate(
        [
            means[0] + generator.normal(size=(50, 2)),
            means[[1] * 50],
            means[2] + generator.normal(size=(50, 2)),
        ]
    )
    covariances = naive.covariances_of(covariance_type, np.stack([np.eye(2)] * 3))
    parameters = Parameters.from_covariances(FAMILIES[covariance_type], np.full(3, 1 / 3), means, covariances)
    with pytest.raises(DegenerateCovarianceError) as error:
        step(parameters, rows, all_centred=True)
    assert error.value.component == 1
    assert np.isfinite(step(parameters, rows, reg_covar=1e-6)[1].precisions_cholesky).all()


def apart(generator, covariance_type, distance, n_rows=600):
    """Clusters of unit width at most twice this distance apart, and a start as broad as their distance."""
    corners = distance * np.array([[0.0, 0.0], [1.0, 0.0], [-1.0, 1.0]])
    clusters = [corner + generator.normal(size=(n_rows, 2)) * [1.0, 0.7] for corner in corners]
    broad = naive.covariances_of(covariance_type, np.stack([np.eye(2) * (distance / 20) ** 2] * 3))
    means = np.array([cluster[0] for cluster in clusters])
    return clusters, Parameters.from_covariances(FAMILIES[covariance_type], np.full(3, 1 / 3), means, broad)


def pass_over(parameters, rows, weights=None, reg_covar=0.0, *, all_centred=False):
    """The next parameters, and whether the sums that they are made from have cancelled."""
    _, ready, statistics = statistics_of(parameters, rows, weights, all_centred=all_centred)
    updated = update(statistics, reg_covar)
    return updated, cancels(statistics, updated, ready.largest_ratio), ready


@each_family
@pytest.mark.parametrize("distance", [1e6, 1e7, 1e8])
def test_sums_about_the_centre_cancel_where_clusters_are_far_apart(covariance_type, distance):
    """A broad start keeps to the fast path, whatever comes out; then the centred path is right."""
    clusters, start = apart(np.random.default_rng(4), covariance_type, distance)
    rows = np.concatenate(clusters)
    means, matrices = naive.moments_of_clusters(covariance_type, clusters)
    # A variance of rounding errors may be below zero, which is not what is asked here.
    _, cancelled, ready = pass_over(start, rows, reg_covar=1e-12 * distance**2)
    assert not ready.centred
    assert cancelled
    updated, cancelled, ready = pass_over(start, rows, all_centred=True)
    assert len(ready.centred) == 3
    assert not cancelled
    assert np.all(abs(updated.means - means) <= 2 * np.spacing(distance))
    np.testing.assert_allclose(updated.covariance_matrices, matrices, rtol=0, atol=1e-10)


@each_family
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("distance", [0.0, 1.0, 10.0])
def test_sums_of_ordinary_data_do_not_cancel(covariance_type, dtype, weighted, distance):
    """Nor where a component has no rows."""
    generator = np.random.default_rng(5)
    clusters, start = apart(generator, covariance_type, max(distance, 20.0))
    rows = np.concatenate([cluster + distance * k for k, cluster in enumerate(clusters)]).astype(dtype)
    weights = generator.gamma(1.0, size=len(rows)) if weighted else None
    for all_centred in (False, True):
        assert not pass_over(start, rows, weights, 1e-6, all_centred=all_centred)[1]
    empty = replace(start, weights=np.array([0.5, 0.5, 0.0]))
    assert not pass_over(empty, rows, weights, 1e-6)[1]


@each_family
@pytest.mark.parametrize(("dtype", "limit"), [(np.float32, 1e-3), (np.float64, 1e-6)])
def test_cancels_exactly_where_the_error_of_a_variance_is_too_large(covariance_type, dtype, limit):
    """One feature, variances of one; the second component has a large mean square about the centre."""
    ready = replace(blank_stack(FAMILIES[covariance_type], 2, np.zeros(1)), dtype=np.dtype(dtype))
    counts, errors = np.array([1000.0, 500.0]), []
    for factor in (0.99, 1.01):
        square = factor * limit / np.finfo(dtype).eps
        squares = np.array([1.0, square])
        total = np.array([[counts @ squares]])
        if naive.STRUCTURES[covariance_type][0]:  # one variance, and the mean square of all rows
            total *= counts.sum() * square / total
        statistics = Statistics(
            FAMILIES[covariance_type],
            counts,
            np.zeros((2, 1)),
            np.empty((2, 0)) if naive.STRUCTURES[covariance_type][0] else (counts * squares)[:, None],
            np.zeros((2, 1)),
            0.0,
        ).of_all_rows(total)
        ones = naive.covariances_of(covariance_type, np.ones((2, 1, 1)))
        updated = Parameters.from_covariances(
            FAMILIES[covariance_type], np.full(2, 0.5), np.zeros((2, 1)), ones
        )
        errors.append(cancels(statistics, updated, ready.largest_ratio))
    assert errors == [False, True]


@each_family
def test_a_step_gains_at_least_what_it_promises(covariance_type):
    generator = np.random.default_rng(21)
    truth = naive.random_parameters(generator, covariance_type, 3, 2, spread=1.5)
    rows = naive.random_rows(generator, truth, 2000)
    moments = Moments.of(rows)
    parameters = naive.random_parameters(generator, covariance_type, 3, 2, spread=1.5)
    for _ in range(10):
        ready = stack_models([parameters], moments.mean, moments.extent, np.float64)
        (statistics,) = kernels.expect(ready, [(rows, None)])
        statistics = statistics.completed(moments.scatter, parameters.precisions_cholesky)
        updated = update(statistics, 0.0)
        before, after = naive.log_joint(parameters, rows), naive.log_joint(updated, rows)
        log_density, shares = naive.split(before)
        promised = promised_gain(parameters, updated)
        assert promised == pytest.approx((shares * (after - before)).sum() / len(rows), abs=1e-10)
        assert 0.0 <= promised <= (naive.split(after)[0] - log_density).mean() + 1e-12
        parameters = updated


def test_nothing_is_promised_where_nothing_changes():
    parameters = naive.random_parameters(np.random.default_rng(0), "full", 3, 2)
    empty = replace(parameters, weights=np.array([0.5, 0.5, 0.0]))
    for same in (parameters, empty):
        assert promised_gain(same, same) == pytest.approx(0.0, abs=1e-12)


def test_a_component_with_hardly_any_rows_is_that_of_scikit_learn():
    """Ten machine epsilons are added to its count: of as many, the mean is half way to the origin."""
    row = np.array([[4.0, -6.0]])
    share = np.array([[SMALLEST_COUNT]])
    _, expected, _ = _gaussian_mixture._estimate_gaussian_parameters(row, share, 0.0, "diag")
    np.testing.assert_array_equal(expected, row / 2.0)
    for reference in (np.array([1.0, 2.0]), np.array([3.0, 3.0])):
        sums = share * (row - reference)
        found = Statistics(FAMILIES["diag"], share[0], sums, sums**2, reference[None], 0.0)
        np.testing.assert_allclose(update_means(found), expected, rtol=1e-12)


def test_the_mean_of_a_row_is_the_row_however_far_it_is():
    """To the last bit, which far from the origin is many times the width of such a component."""
    for row in (np.array([[3.0, -1e20]]), np.array([[1e150, 0.1]])):
        statistics = Statistics(FAMILIES["diag"], np.ones(1), np.zeros((1, 2)), np.zeros((1, 2)), row, 0.0)
        np.testing.assert_array_equal(update_means(statistics), row)


def test_squares_of_hardly_any_rows_are_divided_by_what_the_m_step_divides_by():
    count, squares, variance = SMALLEST_COUNT, 8.0, 2.0
    nothing = np.zeros((1, 1))
    statistics = Statistics(
        FAMILIES["diag"], np.array([count]), nothing, np.array([[2.0 * count * squares]]), nothing, 0.0
    )
    updated = Parameters.from_covariances(
        FAMILIES["diag"], np.ones(1), np.zeros((1, 1)), np.array([[variance]])
    )
    assert cancels(statistics, updated, 0.99 * squares / variance)
    assert not cancels(statistics, updated, 1.01 * squares / variance)


@pytest.mark.parametrize("name", ["diag", "spherical"])
def test_a_component_on_one_row_is_as_wide_as_scikit_learns(name):
    """Without ``reg_covar``: it has ten epsilons of its mean's square, by what is added to its count."""
    rows = np.array([[3.0, -4.0], [0.5, 1.0], [0.501, 1.001], [0.499, 1.001]])
    precisions = {"diag": np.full((2, 2), 1e6), "spherical": np.full(2, 1e6)}[name]
    start = {"means_init": rows[:2], "weights_init": [0.5, 0.5], "precisions_init": precisions}
    settings = {"covariance_type": name, "reg_covar": 0.0, "max_iter": 1, "random_state": 0, **start}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", dgmm.MixtureWarning)
        ours = dgmm.GaussianMixture(2, **settings).fit(rows)
        theirs = GaussianMixture(2, **settings).fit(rows)
    # Theirs are differences of squares, rounded.
    np.testing.assert_allclose(ours.covariances_, np.asarray(theirs.covariances_), rtol=0, atol=1e-14)
    assert (ours.covariances_ > 0.0).all()
