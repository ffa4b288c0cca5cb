import copy
import pickle

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture
from sklearn.mixture import _gaussian_mixture as sklearn_mixture

from dgmm.kernels import assign
from dgmm.kernels.stacking import blank_stack
from dgmm.model.em import update
from dgmm.model.families import FAMILIES, family_named
from dgmm.model.families.family import SingleRows
from dgmm.model.matrices import DegenerateCovarianceError
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Moments
from tests.model import naive

each_family = pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)
scikit_learns = pytest.mark.parametrize("covariance_type", naive.SCIKIT_LEARNS)
SIZES = [(1, 1), (1, 3), (3, 1), (4, 5)]


def feature_table(rows):
    """The table of the families' module, feature by feature."""
    n_features = rows.shape[1]
    columns = [(rows**2).sum(axis=1), np.ones(len(rows)), *rows.T, *(rows**2).T]
    columns += [rows[:, i] * rows[:, j] for i in range(n_features) for j in range(i + 1, n_features)]
    return np.array(columns)


@each_family
@pytest.mark.parametrize(("n_components", "n_features"), SIZES)
def test_log_density_is_linear_in_the_features(covariance_type, n_components, n_features):
    generator = np.random.default_rng(1)
    parameters = naive.random_parameters(generator, covariance_type, n_components, n_features)
    rows, centre = generator.normal(scale=3, size=(50, n_features)), generator.normal(size=n_features)
    family = parameters.family
    theta = family.natural_parameters(
        parameters.log_constants, parameters.means - centre, parameters.precisions_cholesky
    )
    values = theta @ feature_table(rows - centre)[family.feature_rows(n_features)]
    if naive.STRUCTURES[covariance_type][0]:  # the quadratic term, which all components share
        precision = np.linalg.inv(parameters.covariance_matrices[0])
        values -= 0.5 * np.einsum("ni,ij,nj->n", rows - centre, precision, rows - centre)
    np.testing.assert_allclose(values.T, naive.log_joint(parameters, rows), rtol=1e-10, atol=1e-10)


@each_family
@pytest.mark.parametrize("n_features", [1, 3])
def test_which_families_take_all_products(covariance_type, n_features):
    """One, the features, and all products of two of them: the monomials up to the second degree."""
    family = FAMILIES[covariance_type]
    table = family.feature_rows(n_features)
    has_all = table.start == 1 and table.stop - table.start == (n_features + 1) * (n_features + 2) // 2
    assert family.has_all_features == (has_all and covariance_type == "full")
    if n_features > 1:
        assert family.has_all_features == has_all
        assert family.has_products == (family.n_parameters_of_one(n_features) > n_features)


def given_responsibilities(covariance_type, rows, shares, weights=None, *, reg_covar=0.0, references=None):
    """M-step of the package for given responsibilities (n_rows, K), by its own sums."""
    moments = Moments.of(rows, weights)
    blank = blank_stack(FAMILIES[covariance_type], shares.shape[1], moments.mean, references)
    statistics = assign(
        blank, [(rows, weights)], lambda block, offset: shares[offset : offset + len(block)].T
    )
    return update(statistics.of_all_rows(moments.scatter), reg_covar)


@scikit_learns
@pytest.mark.parametrize("reg_covar", [0.0, 1e-6, 0.5])
@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize(("n_components", "n_features"), SIZES)
def test_m_step_is_that_of_scikit_learn(covariance_type, n_components, n_features, centred, reg_covar):
    generator = np.random.default_rng(2)
    rows = generator.normal(loc=2, size=(3000, n_features)) * generator.uniform(0.5, 2, n_features)
    shares = generator.dirichlet(np.full(n_components, 0.3), len(rows))
    references = generator.normal(size=(n_components, n_features)) if centred else None
    parameters = given_responsibilities(
        covariance_type, rows, shares, reg_covar=reg_covar, references=references
    )

    reference = GaussianMixture(n_components, covariance_type=covariance_type, reg_covar=reg_covar)
    with np.errstate(divide="ignore"):
        reference._m_step(rows, np.log(shares))
    for name, relative in [("weights", 1e-12), ("means", 1e-11), ("covariances", 1e-10)]:
        expected = getattr(reference, f"{name}_")
        np.testing.assert_allclose(getattr(parameters, name), expected, rtol=relative, atol=1e-12)
    expected = reference.precisions_cholesky_
    np.testing.assert_allclose(parameters.precisions_cholesky, expected, rtol=1e-9, atol=1e-11)
    assert parameters.n_parameters == reference._n_parameters()


@each_family
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize(("n_components", "n_features"), SIZES)
def test_m_step_is_the_formulas(covariance_type, n_components, n_features, centred, weighted):
    generator = np.random.default_rng(12)
    rows = generator.normal(loc=2, size=(400, n_features)) * generator.uniform(0.5, 2, n_features)
    weights = generator.gamma(2.0, size=400) if weighted else None
    shares = generator.dirichlet(np.full(n_components, 0.3), len(rows))
    references = generator.normal(size=(n_components, n_features)) if centred else None
    found = given_responsibilities(
        covariance_type, rows, shares, weights, reg_covar=0.1, references=references
    )
    wanted, means, matrices = naive.maximized(covariance_type, rows, shares, weights, 0.1)
    np.testing.assert_allclose(found.weights, wanted, rtol=1e-12)
    np.testing.assert_allclose(found.means, means, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found.covariance_matrices, matrices, rtol=1e-10, atol=1e-12)


@scikit_learns
def test_m_step_of_an_empty_component_is_that_of_scikit_learn(covariance_type):
    generator = np.random.default_rng(3)
    rows, shares = generator.normal(loc=5, size=(200, 2)), np.zeros((200, 3))
    shares[np.arange(200), generator.integers(2, size=200)] = 1.0
    parameters = given_responsibilities(covariance_type, rows, shares, reg_covar=1e-3)
    counts, means, covariances = sklearn_mixture._estimate_gaussian_parameters(
        rows, shares, 1e-3, covariance_type
    )
    np.testing.assert_allclose(parameters.weights, counts / counts.sum(), rtol=1e-12)
    np.testing.assert_allclose(parameters.means, means, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(parameters.covariances, covariances, rtol=1e-11, atol=1e-12)


@each_family
def test_m_step_weights_are_repetitions(covariance_type):
    generator = np.random.default_rng(4)
    rows, times = generator.normal(size=(300, 3)), generator.integers(0, 4, 300)
    shares = generator.dirichlet(np.ones(2), 300)
    weighted = given_responsibilities(covariance_type, rows, shares, times.astype(float))
    repeated = given_responsibilities(covariance_type, rows.repeat(times, 0), shares.repeat(times, 0))
    for name in ("weights", "means", "covariances"):
        np.testing.assert_allclose(getattr(weighted, name), getattr(repeated, name), rtol=1e-11, atol=1e-13)


@scikit_learns
@pytest.mark.parametrize(("n_components", "n_features"), SIZES)
def test_precision_factors_are_those_of_scikit_learn(covariance_type, n_components, n_features):
    generator = np.random.default_rng(5)
    parameters = naive.random_parameters(generator, covariance_type, n_components, n_features)
    family, factors = parameters.family, parameters.precisions_cholesky
    expected = sklearn_mixture._compute_precision_cholesky(parameters.covariances, covariance_type)
    np.testing.assert_allclose(factors, expected, rtol=1e-12, atol=1e-14)
    assert parameters.covariances.shape == family.covariance_shape(n_components, n_features)
    assert parameters.precisions.shape == factors.shape == parameters.covariances.shape

    np.testing.assert_allclose(
        family.precisions_cholesky_from_precisions(parameters.precisions),
        sklearn_mixture._compute_precision_cholesky_from_precisions(
            parameters.precisions, covariance_type, xp=np
        ),
        rtol=1e-11,
        atol=1e-13,
    )
    np.testing.assert_allclose(
        family.precisions_cholesky_from_precisions(parameters.precisions), factors, rtol=1e-10, atol=1e-12
    )


@each_family
def test_matrices_determinants_and_standardization(covariance_type):
    generator = np.random.default_rng(6)
    parameters = naive.random_parameters(generator, covariance_type, 3, 4)
    family, factors = parameters.family, parameters.precisions_cholesky
    matrices = naive.matrices_of(parameters)
    half_log_determinants = np.broadcast_to(family.half_log_determinants(factors, 4), 3)
    deviations = generator.normal(size=(4, 20))
    for k in range(3):
        np.testing.assert_array_equal(parameters.covariance_matrices[k], matrices[k])
        expected = -0.5 * np.linalg.slogdet(matrices[k])[1]
        np.testing.assert_allclose(half_log_determinants[k], expected, rtol=1e-12)
        standardized = family.standardize(deviations, factors, k)
        mahalanobis = np.einsum("db,db->b", deviations, np.linalg.solve(matrices[k], deviations))
        np.testing.assert_allclose((standardized**2).sum(axis=0), mahalanobis, rtol=1e-11)


@each_family
def test_scatter_is_that_of_the_packed_matrix(covariance_type):
    generator = np.random.default_rng(7)
    deviations, shares = generator.normal(size=(4, 30)), generator.uniform(size=30)
    matrix = (deviations * shares) @ deviations.T
    expected = naive.family_scatter(covariance_type, matrix[None])[0]
    scatter = FAMILIES[covariance_type].scatter(deviations, shares)
    np.testing.assert_allclose(scatter, expected, rtol=1e-12, atol=1e-12)
    nothing = FAMILIES[covariance_type].scatter(deviations[:, :0], shares[:0])
    np.testing.assert_array_equal(nothing, np.zeros(expected.shape))


@each_family
def test_projected(covariance_type):
    matrices = np.random.default_rng(8).normal(size=(3, 4, 4))
    diagonals = np.einsum("kii->ki", matrices)
    form = naive.STRUCTURES[covariance_type][1]
    expected = {"diagonal": diagonals, "sphere": diagonals.mean(axis=1), "matrix": matrices}[form]
    np.testing.assert_allclose(FAMILIES[covariance_type].projected(matrices), expected, rtol=1e-14)


@each_family
def test_variances_traces_and_distances_are_those_of_the_matrices(covariance_type):
    generator = np.random.default_rng(9)
    parameters, other = (naive.random_parameters(generator, covariance_type, 3, 4) for _ in range(2))
    family, matrices = parameters.family, naive.matrices_of(parameters)
    np.testing.assert_allclose(parameters.variances, np.einsum("kii->ki", matrices), rtol=1e-14)
    smallest = family.smallest_variances(parameters.covariances, 3)
    np.testing.assert_allclose(smallest, np.linalg.eigvalsh(matrices)[:, 0], rtol=1e-10)
    traces = family.traces(other.precisions, parameters.covariances, 3, 4)
    expected = np.trace(np.linalg.solve(naive.matrices_of(other), matrices), axis1=1, axis2=2)
    np.testing.assert_allclose(traces, expected, rtol=1e-10)
    gaps = generator.normal(size=(3, 4))
    outer = family.projected(np.einsum("ki,kj->kij", gaps, gaps))
    np.testing.assert_allclose(family.outer(gaps), outer, rtol=1e-14)
    expected = np.einsum("ki,kij,kj->k", gaps, np.linalg.inv(matrices), gaps)
    distances = family.squared_distances(gaps, parameters.precisions_cholesky)
    np.testing.assert_allclose(distances, expected, rtol=1e-10)


@each_family
def test_covariance_of_a_scatter_and_of_its_diagonal(covariance_type):
    rows = np.random.default_rng(10).normal(size=(30, 4))
    family = FAMILIES[covariance_type]
    moments = Moments.of(rows, products=family.has_products)
    expected = family.projected(np.cov(rows.T, bias=True)[None])[0]
    np.testing.assert_allclose(
        family.of_scatter(moments.scatter) / len(rows), expected, rtol=1e-12, atol=1e-15
    )


@each_family
def test_scatter_bound_holds_and_is_reached(covariance_type):
    generator = np.random.default_rng(8)
    parameters = naive.random_parameters(generator, covariance_type, 3, 4)
    extent, matrices = generator.uniform(0.1, 10, 4), naive.matrices_of(parameters)
    bounds = parameters.family.scatter_bound(parameters.precisions_cholesky, extent)
    rows = generator.uniform(-1, 1, size=(500, 4)) * extent
    for k, bound in enumerate(np.broadcast_to(bounds, 3)):
        absolute = abs(np.linalg.inv(matrices[k]))
        terms = np.einsum("ni,ij,nj->n", abs(rows), absolute, abs(rows))
        assert terms.max() <= bound
        np.testing.assert_allclose(extent @ absolute @ extent, bound, rtol=1e-10)


@each_family
def test_degenerate_covariance(covariance_type):
    matrices = np.stack([np.eye(2), np.zeros((2, 2))])
    is_shared = naive.STRUCTURES[covariance_type][0]
    if is_shared:
        matrices = matrices[::-1]
    covariances = naive.covariances_of(covariance_type, matrices)
    with pytest.raises(ValueError, match="ill-defined") as theirs:
        sklearn_mixture._compute_precision_cholesky(np.zeros((1, 2)), "diag")
    component = None if is_shared else 1
    with pytest.raises(DegenerateCovarianceError) as ours:
        Parameters.from_covariances(FAMILIES[covariance_type], np.full(2, 0.5), np.zeros((2, 2)), covariances)
    assert str(ours.value).startswith(str(theirs.value).split(" (Component")[0])
    assert ours.value.component == component
    assert component is None or f"(Component {component}.)" in str(ours.value)
    copy = pickle.loads(pickle.dumps(ours.value))
    assert type(copy) is DegenerateCovarianceError
    assert (copy.component, str(copy)) == (component, str(ours.value))


@each_family
@pytest.mark.parametrize("bad", [np.nan, -1.0])
def test_nan_and_negative_variances_are_degenerate(covariance_type, bad):
    matrices = np.stack([np.eye(2), bad * np.eye(2)])[:: -1 if naive.STRUCTURES[covariance_type][0] else 1]
    with pytest.raises(DegenerateCovarianceError):
        Parameters.from_covariances(
            FAMILIES[covariance_type],
            np.full(2, 0.5),
            np.zeros((2, 2)),
            naive.covariances_of(covariance_type, matrices),
        )


@each_family
def test_there_is_one_of_each_in_a_process(covariance_type):
    family = FAMILIES[covariance_type]
    assert pickle.loads(pickle.dumps(family)) is family
    assert copy.deepcopy(family) is family
    assert family_named(covariance_type) is family
    with pytest.raises(ValueError, match="'other' is not one of full, tied"):
        family_named("other")


@scikit_learns
def test_single_rows_as_scikit_learn_takes_them(covariance_type):
    """Counts that are not the weights leave covariances that can be seen; else they are rounding errors."""
    generator = np.random.default_rng(4)
    rows, chosen = generator.normal(size=(30, 3)) + 1.0, [4, 17]
    weights = np.array([0.5, 2.0])
    shares = np.zeros((30, 2))
    shares[chosen, [0, 1]] = weights
    counts = weights + np.array([0.25, 3.0])
    means = weights[:, None] * rows[chosen] / counts[:, None]
    of_scikit_learn = getattr(sklearn_mixture, f"_estimate_gaussian_covariances_{covariance_type}")
    expected = of_scikit_learn(shares, rows, counts, means, 0.1)
    single = SingleRows(rows[chosen], means, weights, counts, rows.T @ rows)
    found = FAMILIES[covariance_type].of_single_rows(single, 0.1)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
