"""The pass over new rows: the same sums wherever they are, and exact wherever the numbers are."""

import numpy as np
import pytest
from sklearn.utils import check_random_state

from dgmm.data import DataError, open_dataset, open_weights
from dgmm.fitting.fit import fit
from dgmm.fitting.settings import Settings
from dgmm.fitting.starts.methods import GivenStart, StartMethod
from dgmm.fitting.steps.objective import Likelihood
from dgmm.fitting.updating import partition_of, seen_of
from dgmm.model import em
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from tests.model import naive

each_family = pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)


def summed(rows, parameters, weights=None, *, missing="error", sample_rows=10_000):
    own = None if weights is None else open_weights(weights)
    return partition_of(open_dataset(rows), own, parameters, "new", missing=missing, sample_rows=sample_rows)


def check_maximized(partition, covariance_type, expected, rtol=1e-10):
    weights, means, matrices = expected
    found = em.update(partition.statistics, 0.0)
    np.testing.assert_allclose(found.weights, weights, rtol=rtol)
    np.testing.assert_allclose(found.means, means, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(naive.matrices_of(found), matrices, rtol=rtol, atol=rtol)


@each_family
def test_rows_in_memory_and_in_passes(generator, covariance_type, stored, small_spans):
    parameters = naive.random_parameters(generator, covariance_type)
    rows = naive.random_rows(generator, parameters, 3000)
    weights = generator.uniform(0.5, 2.0, 3000)
    shares = naive.split(naive.log_joint(parameters, rows))[1]
    expected = naive.maximized(covariance_type, rows, shares, weights)
    path, of_weights = stored(rows), stored(weights)
    for given, own, sample_rows in ((rows, weights, 10_000), (path, of_weights, 10_000), (path, weights, 50)):
        partition = summed(given, parameters, own, sample_rows=sample_rows)
        check_maximized(partition, covariance_type, expected)
        assert (partition.n_rows, partition.weight) == (3000, pytest.approx(weights.sum()))
        seen = seen_of(open_dataset(rows), open_weights(weights))
        assert (partition.rows, partition.row_weights) == (str(seen.rows), str(seen.weights))


@each_family
def test_rows_that_lack_values(generator, covariance_type):
    parameters = naive.random_parameters(generator, covariance_type)
    rows = naive.with_missing(generator, naive.random_rows(generator, parameters, 400))
    rows = rows[~np.isnan(rows).all(axis=1)]
    complete = ~np.isnan(rows).any(axis=1)
    with pytest.raises(DataError, match="NaN"):
        summed(rows, parameters)
    dropped, alone = summed(rows, parameters, missing="drop"), summed(rows[complete], parameters)
    assert dropped.rows != alone.rows  # the partition is of all rows, and recognized by them
    assert dropped.n_rows == alone.n_rows == complete.sum()
    np.testing.assert_array_equal(dropped.statistics.scatter, alone.statistics.scatter)
    found = summed(rows, parameters, missing="marginalize")
    points = np.zeros_like(parameters.means)
    exact = naive.expect_incomplete(parameters, rows, np.ones(len(rows)), points)
    own = found.statistics
    np.testing.assert_allclose(own.counts, exact.counts, rtol=1e-10)
    np.testing.assert_allclose(
        own.sums + own.counts[:, None] * own.references, exact.sums, rtol=1e-9, atol=1e-9
    )
    assert own.log_likelihood == pytest.approx(exact.log_likelihood, rel=1e-10)
    some = summed(rows, parameters, missing="marginalize", sample_rows=50)
    np.testing.assert_allclose(some.statistics.counts, own.counts, rtol=1e-10)
    assert some.entropy == pytest.approx(found.entropy, rel=1e-9)


@pytest.mark.parametrize("offset", [1e6, 1e9])
@each_family
def test_new_rows_that_are_far_away_do_not_cancel(generator, covariance_type, offset):
    """Sums about the centre of all would lose widths of 1 at 1e9 from it: they are taken again."""
    parameters = naive.random_parameters(generator, covariance_type)
    some = naive.random_rows(generator, parameters, 300)
    rows = np.concatenate([some, some[:100] + offset])
    found = summed(rows, parameters)
    shares = naive.split(naive.exact_log_joint(parameters, rows))[1].astype(np.float64)
    exact = rows.astype(np.longdouble)
    counts = shares.sum(axis=0)
    means = (shares.T.astype(np.longdouble) @ exact) / counts[:, None]
    gaps = exact[None] - means[:, None]
    squares = (shares.T[:, :, None] * gaps**2).sum(axis=1)  # (K, D)
    family = FAMILIES[covariance_type]
    statistics = found.statistics
    moments = em.update(statistics, 0.0) if covariance_type.endswith("spherical") else None
    own = family.covariances(statistics.deviations(0.0), 0.0) if moments is None else moments.covariances
    variances = family.variances(own, 3, 3)
    wanted = squares / counts[:, None]
    if family.is_shared:
        wanted = np.tile(squares.sum(axis=0) / counts.sum(), (3, 1))
    if family.is_round:
        wanted = np.tile(wanted.mean(axis=1, keepdims=True), 3)
    np.testing.assert_allclose(variances, wanted.astype(np.float64), rtol=1e-6)


def settings_for(covariance_type, sample_rows, algorithm="auto", max_iter=100):
    objective = Likelihood(1e-6)
    method = StartMethod("kmeans", FAMILIES[covariance_type], 3, objective)
    return Settings(method, GivenStart(), algorithm, None, max_iter, 1, sample_rows, objective)


def fitted(rows, *settings):
    return fit(open_dataset(rows), None, settings_for(*settings), check_random_state(0))


@pytest.mark.parametrize("sample_rows", [10_000, 1000])
@each_family
def test_a_fit_keeps_the_sums_at_its_own_parameters(generator, covariance_type, sample_rows):
    """In memory, and by corrected EM: the M-step of them is the step that EM would make from there."""
    rows = naive.random_rows(generator, naive.random_parameters(generator, covariance_type), 2000)
    found = fitted(rows, covariance_type, sample_rows)
    kept, best = found.kept, found.best.parameters
    assert kept is not None
    assert kept.fitted is best
    assert kept.fitted_bound == found.best.lower_bound
    (partition,) = kept.partitions
    assert (partition.name, partition.n_rows) == ("fit", 2000)
    assert partition.rows == str(found.fingerprint)
    shares = naive.split(naive.log_joint(best, rows))[1]
    check_maximized(partition, covariance_type, naive.maximized(covariance_type, rows, shares), 1e-8)
    assert partition.entropy == pytest.approx(-(shares * np.log(shares + 1e-300)).sum(), rel=1e-6)


def test_plain_em_over_passes_keeps_those_of_its_last_pass(generator):
    rows = naive.random_rows(generator, naive.random_parameters(generator, "full"), 2000)
    found = fitted(rows, "full", 1000, "em", 5)
    assert found.kept is not None
    made = em.update(found.kept.partitions[0].statistics, 1e-6)
    np.testing.assert_allclose(made.means, found.best.parameters.means, rtol=1e-12)
    assert found.kept.partitions[0].statistics.log_likelihood / 2000 == pytest.approx(
        found.best.lower_bound, rel=1e-12
    )


def test_without_a_pass_nothing_is_kept(generator):
    rows = naive.random_rows(generator, naive.random_parameters(generator, "full"), 2000)
    assert fitted(rows, "full", 1000, "em", 0).kept is None
    assert fitted(rows, "full", 10_000, "em", 0).kept is not None  # in memory a step costs no pass


def test_rows_far_from_the_origin(generator):
    """They are fitted less a point near them; what is kept is of the rows as they are."""
    near = naive.random_parameters(generator, "full")
    rows = np.round(naive.random_rows(generator, near, 500) * 2**10) / 2**10
    offset = 2.0**40
    found, alone = fitted(rows + offset, "full", 10_000), fitted(rows, "full", 10_000)
    assert found.kept is not None
    assert alone.kept is not None
    far, own = (each.partitions[0].statistics for each in (found.kept, alone.kept))
    order = np.argsort(far.references[:, 0]), np.argsort(own.references[:, 0])
    np.testing.assert_allclose(far.scatter[order[0]], own.scatter[order[1]], rtol=1e-3)
    np.testing.assert_allclose(far.references[order[0]] - offset, own.references[order[1]], atol=1e-2)
    assert found.kept.fitted is not None
    np.testing.assert_array_equal(found.kept.fitted.means, found.best.parameters.means)


def test_parameters_are_of_float64(generator):
    parameters = naive.random_parameters(generator, "full")
    rows = naive.random_rows(generator, parameters, 100)
    assert isinstance(parameters, Parameters)
    single = summed(rows.astype(np.float32), parameters)
    assert single.statistics.sums.dtype == np.float64
    assert single.rows.startswith("100x3-float32-")
