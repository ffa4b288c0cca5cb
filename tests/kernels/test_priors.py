"""Priors of rows over components: labels, distributions and groups, in all kernels alike."""

import numpy as np
import pytest

from dgmm import kernels
from dgmm.kernels import KERNELS, incomplete
from dgmm.kernels.kernel import Part
from dgmm.kernels.priors import RowPriors
from dgmm.kernels.stacking import stack_models
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import LOG_OF_NOTHING, Parameters
from dgmm.model.statistics import Moments
from tests.model.naive import expect_measured, random_parameters

N_ROWS, D, K, G = 150, 3, 4, 5

AVAILABLE = [name for name, kernel in KERNELS.items() if kernel.missing() is None]


def naive(parameters: Parameters, rows, weights, log_priors, groups):
    """Row by row: counts, means of components' rows, scatter, counts by group and log-likelihood."""
    joint, no_errors = np.log(parameters.weights) + log_priors, np.zeros((len(rows), D, D))
    found = expect_measured(parameters, rows, no_errors, weights, np.zeros((K, D)), log_priors=joint)
    by_group = np.zeros((G, K))
    np.add.at(by_group, groups, weights[:, None] * found.responsibilities)
    return found.counts, found.sums, found.products, by_group, found.log_likelihood


def known_of(kind: str, generator: np.random.Generator):
    """Log priors of each row (n, K), and the same as kernels take them: tables and places."""
    groups = generator.integers(G, size=N_ROWS)
    if kind == "groups":
        table = np.log(generator.dirichlet(np.ones(K), size=G)).T
        return table[:, groups].T, groups, table, groups
    if kind == "labels":
        table = np.full((K, K + 1), LOG_OF_NOTHING)
        table[np.arange(K), np.arange(K)] = table[:, K] = 0.0
        places = generator.integers(K + 1, size=N_ROWS)
        return table[:, places].T, groups, table, places
    table = np.log(generator.dirichlet(np.ones(K), size=N_ROWS)).T
    return table.T, groups, table, np.arange(N_ROWS)


def check(parameters, statistics, moments, expected):
    counts, sums, scatter, by_group, total = expected
    np.testing.assert_allclose(statistics.counts, counts, rtol=1e-9)
    np.testing.assert_allclose(statistics.group_counts, by_group, rtol=1e-9, atol=1e-9)
    whole = statistics.completed(moments.scatter, parameters.precisions_cholesky)
    np.testing.assert_allclose(whole.log_likelihood, total, rtol=1e-10)
    means = whole.references + whole.means
    np.testing.assert_allclose(means, sums / counts[:, None], rtol=1e-8)
    family = parameters.family
    own = family.to_matrices(family.covariances(whole.deviations(0.0), 0.0), K, D)
    wanted = scatter / counts[:, None, None] - means[:, :, None] * means[:, None, :]
    if family.is_shared:
        wanted = np.tile(np.einsum("k,kij->ij", counts / counts.sum(), wanted), (K, 1, 1))
    diagonals = np.diagonal(wanted, axis1=1, axis2=2)
    if not family.has_products:
        if family.is_round:
            diagonals = np.repeat(diagonals.mean(axis=1, keepdims=True), D, axis=1)
        wanted = diagonals[:, :, None] * np.eye(D)
    np.testing.assert_allclose(own, wanted, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ["groups", "labels", "rows"])
@pytest.mark.parametrize("lacking", [0.0, 0.2])
def test_all_kernels_against_the_loop_over_rows(family, kind, lacking):
    generator = np.random.default_rng(len(kind))
    parameters = random_parameters(generator, family, K, D)
    rows, weights = 2.0 * generator.normal(size=(N_ROWS, D)) + 1.0, generator.uniform(0.1, 2.0, N_ROWS)
    moments = Moments.of(rows, weights)
    rows[generator.random(rows.shape) < lacking] = np.nan
    log_priors, groups, table, places = known_of(kind, generator)
    ready = stack_models(
        [parameters, parameters], moments.mean, moments.extent, np.float64, may_lack=lacking > 0, n_groups=G
    )
    priors = RowPriors((table, table + 1.0), places, groups)
    part = Part(rows, weights, priors)
    cuts = [part.of_rows(slice(0, 60)), part.of_rows(slice(60, None))]
    expected = naive(parameters, rows, weights, log_priors, groups)
    for kernel in (KERNELS[name] for name in AVAILABLE):
        found, other = incomplete.expect(kernel, ready, cuts) if lacking else kernel.expect(ready, cuts)
        check(parameters, found, moments, expected)
        assert other.group_counts is not None
        assert found.group_counts is not None
        np.testing.assert_allclose(other.group_counts, found.group_counts, rtol=1e-9, atol=1e-9)
        assert other.log_likelihood == pytest.approx(found.log_likelihood + weights.sum(), rel=1e-9)


@pytest.mark.parametrize("name", AVAILABLE)
def test_narrow_components_and_rare_patterns(name):
    """Components on the centred path, many features, and patterns that each row has for itself."""
    generator = np.random.default_rng(0)
    parameters = random_parameters(generator, "full", K, D)
    rows, weights = generator.normal(size=(N_ROWS, D)), np.ones(N_ROWS)
    moments = Moments.of(rows)
    log_priors, groups, table, places = known_of("groups", generator)
    expected = naive(parameters, rows, weights, log_priors, groups)
    for n_rows, extent in ((N_ROWS, np.full(D, 1e9)), (N_ROWS, moments.extent)):
        ready = stack_models([parameters], moments.mean, extent, np.float64, n_groups=G)
        part = Part(rows[:n_rows], None, RowPriors((table,), places, groups))
        (found,) = KERNELS[name].expect(ready, [part])
        check(parameters, found, moments, expected)
    rows[:7, :] = np.nan
    rows[np.arange(7), np.arange(7) % D] = 1.0
    rows[3:7, 1] = 0.5
    ready = stack_models([parameters], moments.mean, moments.extent, np.float64, may_lack=True, n_groups=G)
    (found,) = incomplete.expect(
        KERNELS[name], ready, [Part(rows, None, RowPriors((table,), places, groups))]
    )
    check(parameters, found, moments, naive(parameters, rows, weights, log_priors, groups))


def test_rows_without_priors_are_as_they_were():
    generator = np.random.default_rng(1)
    parameters = random_parameters(generator, "full", K, D)
    rows = generator.normal(size=(N_ROWS, D))
    moments = Moments.of(rows)
    ready = stack_models([parameters], moments.mean, moments.extent, np.float64)
    (plain,) = kernels.expect(ready, [(rows, None)])
    nothing = RowPriors((np.zeros((K, 1)),), np.zeros(N_ROWS, np.int64), np.zeros(N_ROWS, np.int64))
    (found,) = kernels.expect(ready, [Part(rows, None, nothing)])
    assert found.group_counts is None
    np.testing.assert_array_equal(found.counts, plain.counts)
    assert found.log_likelihood == plain.log_likelihood


def test_components_of_many_features():
    """Where products of matrices leave out rows that are far away: labels may name just these components."""
    generator = np.random.default_rng(2)
    n_features, n_rows = 130, 60
    means = 9.0 * generator.normal(size=(K, n_features))
    covariances = np.stack([(k + 1.0) * np.eye(n_features) for k in range(K)])
    parameters = Parameters.from_covariances(FAMILIES["full"], np.full(K, 1.0 / K), means, covariances)
    rows = means[generator.integers(K, size=n_rows)] + generator.normal(size=(n_rows, n_features))
    moments = Moments.of(rows)
    table = np.full((K, K + 1), LOG_OF_NOTHING)
    table[np.arange(K), np.arange(K)] = table[:, K] = 0.0
    priors = RowPriors((table,), generator.integers(K + 1, size=n_rows), generator.integers(G, size=n_rows))
    ready = stack_models([parameters], moments.mean, moments.extent, np.float64, n_groups=G)
    (exact,) = KERNELS["reference"].expect(ready, [Part(rows, None, priors)])
    (found,) = kernels.expect(ready, [Part(rows, None, priors)])
    np.testing.assert_allclose(found.counts, exact.counts, rtol=1e-9)
    assert exact.group_counts is not None
    assert found.group_counts is not None
    np.testing.assert_allclose(found.group_counts, exact.group_counts, rtol=1e-9, atol=1e-12)
    assert found.log_likelihood == pytest.approx(exact.log_likelihood, rel=1e-9)
    np.testing.assert_allclose(found.references + found.means, exact.references + exact.means, rtol=1e-7)
