"""The precision policy: which path a component takes, and how exact each is."""

import numpy as np
import pytest

from dgmm.kernels import blocks as numpy_kernel
from dgmm.kernels.densities import responsibilities
from dgmm.kernels.precision import DOUBLE, SINGLE, rounding_errors
from dgmm.kernels.stacking import stack_models
from dgmm.kernels.workspace import Workspace
from dgmm.model.em import update
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Moments
from tests.kernels.test_blocks import assert_expected, each_family, expect
from tests.model import naive

pytestmark = pytest.mark.usefixtures("each_kernel")

SLACK = 4  # the bound leaves out the rounding of the mean's own terms, and of sums of several terms


def log_joint(parameters, rows, rows_dtype, extent):
    """Log joint densities (n_rows, K) about the origin, without a shared quadratic term if fast."""
    ready = stack_models([parameters], np.zeros(rows.shape[1]), extent, rows_dtype)
    workspace = Workspace(ready)
    table = numpy_kernel.features_of(ready, rows)
    assert table is not None
    values = workspace.log_joint(rows, table, ready.groups[0])
    return values.T, ready


def exact_log_joint(parameters, rows, ready):
    joint = naive.exact_log_joint(parameters, rows)
    if not ready.is_complete(0):
        precision = np.linalg.inv(naive.matrices_of(parameters)[0]).astype(np.longdouble)
        joint += (np.einsum("ni,ij,nj->n", *[rows.astype(np.longdouble), precision, rows]) / 2)[:, None]
    return joint


@each_family
@pytest.mark.parametrize("rows_dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", [1.0, 0.1, 0.03, 0.01, 1e-3, 1e-4, 1e-5, 1e-8])
def test_log_densities_keep_the_promised_error(covariance_type, rows_dtype, width):
    """On rows of the unit cube, its corners included, for components of any width."""
    generator = np.random.default_rng(1)
    parameters = naive.random_parameters(generator, covariance_type, 4, 3, width=width)
    means = generator.uniform(-1, 1, size=(4, 3))
    parameters = Parameters.from_covariances(
        FAMILIES[covariance_type], parameters.weights, means, parameters.covariances
    )
    rows = generator.uniform(-1, 1, size=(300, 3))
    rows = np.concatenate([rows, np.sign(rows), means]).astype(rows_dtype)
    extent = np.ones(3)
    values, ready = log_joint(parameters, rows, rows_dtype, extent)
    exact = exact_log_joint(parameters, rows, ready)
    centred = np.isin(np.arange(4), [entry.component for entry in ready.centred])
    largest = 1e-4 if ready.dtype == np.float32 else 1e-8
    # The factors of the model are rounded too, which tells where densities are far below one.
    rounding = 64 * np.finfo(np.float64).eps * (abs(exact) + 1)
    allowed = np.where(centred, 0.0, SLACK * largest) + rounding
    assert np.all(abs(values - exact) <= allowed)


@each_family
def test_single_precision_exactly_where_the_bound_allows(covariance_type):
    generator = np.random.default_rng(2)
    model = naive.random_parameters(generator, covariance_type, 3, 2, spread=0.1)
    at_one = rounding_errors(model, np.ones(2), np.dtype(np.float32)).max()
    limit = np.sqrt(SINGLE.density_error / at_one)
    for factor, expected in [(0.5, "float32"), (0.999, "float32"), (1.001, "float64"), (100, "float64")]:
        extent = np.full(2, limit * factor)
        assert stack_models([model], np.zeros(2), extent, np.float32).dtype == expected
        for rows_dtype in (np.float64, np.int32, np.float16):
            assert stack_models([model], np.zeros(2), extent, rows_dtype).dtype == np.float64
    wide = np.full(2, limit * 0.999)
    narrow = Parameters.from_covariances(
        FAMILIES[covariance_type], model.weights, model.means, model.covariances * 0.9
    )
    assert stack_models([model, narrow], np.zeros(2), wide, np.float32).dtype == np.float64


@each_family
def test_centred_path_exactly_where_the_bound_asks(covariance_type):
    generator = np.random.default_rng(3)
    model = naive.random_parameters(generator, covariance_type, 3, 2, spread=0.1)
    errors = np.broadcast_to(rounding_errors(model, np.ones(2), np.dtype(float)), 3)
    for limit in np.sqrt(DOUBLE.density_error / np.unique(errors)):
        for factor in (0.999, 1.001):
            ready = stack_models([model], np.zeros(2), np.full(2, limit * factor), np.float64)
            expected = np.flatnonzero(errors * (limit * factor) ** 2 > DOUBLE.density_error)
            assert [entry.component for entry in ready.centred] == list(expected)


@each_family
def test_statistics_of_single_precision(covariance_type):
    generator = np.random.default_rng(4)
    parameters = naive.random_parameters(generator, covariance_type, 3, 3)
    rows = naive.random_rows(generator, parameters, 4000).astype(np.float32)
    weights = generator.gamma(1.0, size=4000)
    (statistics,), ready = expect([parameters], rows, weights, np.float32)
    assert ready.dtype == np.float32
    assert all(getattr(statistics, name).dtype == np.float64 for name in ("counts", "sums", "scatter"))
    assert_expected(statistics, ready, parameters, rows, weights, relative=1e-5)


@pytest.mark.parametrize("unit", [1e-30, 1e-20, 1e-10, 1e10, 1e20, 1e30])
@each_family
def test_single_precision_rows_in_any_unit(covariance_type, unit):
    """Squares of float32 leave its range beyond 1e±19: such rows take double precision."""
    generator = np.random.default_rng(5)
    parameters = naive.random_parameters(generator, covariance_type, 2, 2, width=unit)
    rows = naive.random_rows(generator, parameters, 1000).astype(np.float32)
    (statistics,), ready = expect([parameters], rows, rows_dtype=np.float32)
    assert_expected(statistics, ready, parameters, rows, relative=1e-5)


@each_family
@pytest.mark.parametrize("distance", [1e2, 1e4, 1e6, 1e8])
def test_clusters_far_apart(covariance_type, distance):
    """Unit widths, means up to 1e8 away: EM's next parameters are those of each cluster alone."""
    generator = np.random.default_rng(6)
    corners = distance * np.array([[0.0, 0.0], [1.0, 0.0], [-1.0, 1.0]])
    clusters = [corner + generator.normal(size=(600, 2)) * [1.0, 0.7] for corner in corners]
    rows = generator.permutation(np.concatenate(clusters))
    start = naive.covariances_of(covariance_type, np.stack([np.eye(2)] * 3))
    parameters = Parameters.from_covariances(
        FAMILIES[covariance_type], np.full(3, 1 / 3), corners + generator.normal(size=(3, 2)), start
    )
    moments, centred = Moments.of(rows), distance > 1e2
    for _ in range(3):
        (statistics,), ready = expect([parameters], rows)
        assert len(ready.centred) == (3 if centred else 0)
        statistics = statistics.completed(moments.scatter, parameters.precisions_cholesky)
        parameters = update(statistics, 0.0)
    resolution = np.spacing(distance)
    means, matrices = naive.moments_of_clusters(covariance_type, clusters)
    # About the centre, terms as large as the distance are rounded before they cancel.
    assert np.all(abs(parameters.means - means) <= (2 if centred else 16) * resolution)
    # Deviations from a mean are exact on the centred path, whatever the distance.
    error = 1e-12 if centred else 1e-10
    np.testing.assert_allclose(parameters.covariance_matrices, matrices, rtol=0, atol=error)
    np.testing.assert_allclose(parameters.weights, 1 / 3, rtol=1e-12)
    (statistics,), ready = expect([parameters], rows)
    value = statistics.completed(moments.scatter, parameters.precisions_cholesky).log_likelihood
    direct = naive.split(naive.exact_log_joint(parameters, rows))[0].sum()
    np.testing.assert_allclose(value, float(direct), rtol=1e-12 if centred else 1e-9)


@each_family
@pytest.mark.parametrize("rows_dtype", [np.float32, np.float64])
def test_means_outside_the_rows(covariance_type, rows_dtype):
    """All components far from all rows: densities keep a relative error of double precision."""
    means = np.array([[1e5, 0.5], [1e5, -0.25], [-2e5, 0.0]])
    covariances = naive.covariances_of(covariance_type, np.stack([np.eye(2)] * 3))
    model = Parameters.from_covariances(FAMILIES[covariance_type], np.full(3, 1 / 3), means, covariances)
    rows = np.random.default_rng(7).normal(size=(50, 2)).astype(rows_dtype)
    joint = naive.exact_log_joint(model, rows)
    values, ready = log_joint(model, rows, rows_dtype, np.full(2, 4.0))
    np.testing.assert_allclose(values, exact_log_joint(model, rows, ready).astype(float), rtol=1e-15)
    _, exact = naive.split(joint)
    np.testing.assert_allclose(responsibilities(model, rows), exact.astype(float), atol=1e-5)
