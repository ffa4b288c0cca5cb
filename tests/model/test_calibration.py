"""A sample's statistics carried over to all rows: exact where measured, and as an affine map says nearby."""

from dataclasses import replace

import numpy as np
import pytest

from dgmm.kernels import expect
from dgmm.kernels.stacking import stack_models
from dgmm.model import em
from dgmm.model.calibration import Calibration
from dgmm.model.extrapolation import extrapolated
from dgmm.model.families import FAMILIES
from dgmm.model.matrices import pack
from dgmm.model.statistics import Statistics
from tests.model import naive

each_family = pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)


def statistics_of(parameters, rows, weights=None):
    centre = np.zeros(rows.shape[1])
    ready = stack_models([parameters], centre, np.abs(rows).max(axis=0), np.float64)
    return expect(ready, [(rows, weights)])[0]


@each_family
@pytest.mark.parametrize("floor", [0.0, 0.3])
def test_it_is_exact_where_it_was_measured(covariance_type, floor):
    generator = np.random.default_rng(0)
    parameters = naive.random_parameters(generator, covariance_type, 3, 2)
    rows = naive.random_rows(generator, parameters, 5000)
    all_rows, sample = statistics_of(parameters, rows), statistics_of(parameters, rows[:300])
    calibrate = Calibration.measured(sample, all_rows, floor)
    assert calibrate is not None
    found = calibrate(sample)
    for name in ("counts", "sums", "scatter"):
        np.testing.assert_allclose(getattr(found, name), getattr(all_rows, name), rtol=1e-10, atol=1e-8)


@each_family
def test_of_rows_that_lack_values_too(covariance_type):
    """The M-step is that of all rows: what it adds to variances depends on which values rows lack."""
    generator = np.random.default_rng(0)
    parameters = naive.random_parameters(generator, covariance_type, 3, 2)
    rows = naive.with_missing(generator, naive.random_rows(generator, parameters, 2000))
    rows[200:, 1] = np.where(np.arange(1800) % 2 == 0, np.nan, rows[200:, 1])  # the sample lacks less
    extent = np.nanmax(np.abs(rows), axis=0)
    ready = stack_models([parameters], np.zeros(2), extent, np.float64, may_lack=True)
    sample, all_rows = (expect(ready, [(part, None)])[0] for part in (rows[:200], rows))
    calibrate = Calibration.measured(sample, all_rows, 0.3)
    assert calibrate is not None
    updated, wanted = em.update(calibrate(sample), 0.3), em.update(all_rows, 0.3)
    np.testing.assert_allclose(updated.covariances, wanted.covariances, rtol=1e-9, atol=1e-10)


@each_family
def test_nearby_the_error_is_far_smaller_than_the_samples_own(covariance_type):
    generator = np.random.default_rng(1)
    parameters = naive.random_parameters(generator, covariance_type, 3, 2)
    rows = naive.random_rows(generator, parameters, 40_000)

    def step(statistics):
        return em.update(statistics.of_all_rows(rows.T @ rows), 0.0)

    measured, own = statistics_of(parameters, rows), statistics_of(parameters, rows[:1000])
    calibrate = Calibration.measured(own, measured, 0.0)
    assert calibrate is not None
    nearby = step(measured)
    expected, sample = statistics_of(nearby, rows), statistics_of(nearby, rows[:1000])
    error = np.abs(calibrate(sample).counts - expected.counts).max()
    assert error < 0.1 * np.abs(40 * sample.counts - expected.counts).max()
    np.testing.assert_allclose(calibrate(sample).counts.sum(), 40_000)


def test_a_component_is_carried_over_by_one_affine_map():
    """Rows that an affine map makes of the sample's are found exactly, whatever the sample's moments become.

    The covariances tell the map up to a turn: it is the lower triangular one.
    """
    generator = np.random.default_rng(2)
    turn, shift = np.array([[2.0, 0.0], [0.5, 3.0]]), np.array([10.0, -4.0])

    def alone(rows, weight=1.0):
        squares = rows.T @ rows
        sums = np.array([len(rows)]), rows.sum(axis=0)[None], pack(squares)[None]
        return weight * Statistics(FAMILIES["full"], *sums, np.zeros((1, 2)), 0.0)

    rows, others = generator.normal(size=(500, 2)), 3.0 + generator.normal(size=(500, 2)) @ [[1, 0.4], [0, 2]]
    calibrate = Calibration.measured(alone(rows), alone(rows @ turn.T + shift, 7.0), 0.0)
    assert calibrate is not None
    found, expected = calibrate(alone(others)), alone(others @ turn.T + shift, 7.0)
    np.testing.assert_allclose(found.sums, expected.sums)
    np.testing.assert_allclose(found.scatter, expected.scatter)


@each_family
def test_covariances_stay_positive_definite(covariance_type):
    """A sum of differences would not be: here the sample is far from all rows."""
    generator = np.random.default_rng(3)
    parameters = naive.random_parameters(generator, covariance_type, 3, 2)
    rows = naive.random_rows(generator, parameters, 3000)
    narrow = parameters.means[generator.integers(3, size=200)] + 0.01 * generator.normal(size=(200, 2))
    sample, all_rows = statistics_of(parameters, rows[:200]), statistics_of(parameters, rows)
    calibrate = Calibration.measured(sample, all_rows, 1e-6)
    assert calibrate is not None
    updated = em.update(calibrate(statistics_of(parameters, narrow)).of_all_rows(1e6 * np.eye(2)), 1e-6)
    assert (np.linalg.eigvalsh(updated.covariance_matrices) > 0.0).all()


@each_family
def test_a_component_without_rows_cannot_be_measured(covariance_type):
    generator = np.random.default_rng(4)
    parameters = naive.random_parameters(generator, covariance_type, 2, 2)
    statistics = statistics_of(parameters, naive.random_rows(generator, parameters, 100))
    nothing = 0.0 * statistics
    assert Calibration.measured(nothing, statistics, 0.0) is None
    assert Calibration.measured(statistics, nothing, 0.0) is None


@pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical"])
def test_a_sample_without_width_cannot_be_measured(covariance_type):
    generator = np.random.default_rng(5)
    parameters = naive.random_parameters(generator, covariance_type, 2, 2)
    rows = naive.random_rows(generator, parameters, 100)
    same = statistics_of(parameters, np.zeros((10, 2)))
    assert Calibration.measured(same, statistics_of(parameters, rows), 0.0) is None


def as_full(own: Statistics) -> Statistics:
    """The same counts, means and covariances as statistics of full components."""
    outer = own.means[:, :, None] * own.means[:, None, :]
    scatter = pack(own.counts[:, None, None] * (own.covariances() + outer))
    return replace(own, family=FAMILIES["full"], scatter=scatter)


@pytest.mark.parametrize("covariance_type", ["diag", "spherical"])
def test_families_without_products_need_no_matrix(covariance_type):
    """Variances go the same way as matrices of them: through calibrations and extrapolations."""
    generator = np.random.default_rng(12)
    parameters = naive.random_parameters(generator, covariance_type, 3, 4)
    rows = naive.random_rows(generator, parameters, 900)
    path = []
    for _ in range(3):
        path.append([statistics_of(parameters, part) for part in (rows[:500], rows)])
        parameters = em.update(path[-1][1], 0.01)
    found = []
    for form, shape in ((lambda own: own, (3, 4)), (as_full, (3, 4, 4))):
        own = Calibration.measured(form(path[0][0]), form(path[0][1]), 0.01)
        assert own is not None
        assert own.maps is not None
        assert own.maps.shape == shape
        far = extrapolated([form(whole) for _, whole in path], 0.01, 10.0)
        assert far is not None
        found.append([own(form(path[1][0])), far[0]])
    for one, other in zip(*found, strict=True):
        for name in ("counts", "means"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-9)
        np.testing.assert_allclose(one.covariances(), other.covariances(), rtol=1e-9, atol=1e-12)
