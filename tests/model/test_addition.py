"""Statistics of several sets of rows are those of all of them, wherever they are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgmm import kernels
from dgmm.kernels.stacking import stack_models
from dgmm.model import em
from dgmm.model.addition import about_means, joined, shifted
from dgmm.model.entropy import expected_log_joint
from dgmm.model.statistics import SMALLEST_COUNT, Moments
from tests.model import naive

each_family = pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)


def statistics_of(parameters, rows, weights=None, *, all_centred=False):
    """Statistics of one E-step, about the centre of these rows or about the components' means."""
    moments = Moments.of(rows, weights)
    references = [parameters.means] if all_centred else None
    ready = stack_models([parameters], moments.mean, moments.extent, rows.dtype, references=references)
    (statistics,) = kernels.expect(ready, [(rows, weights)])
    return statistics.completed(moments.scatter, parameters.precisions_cholesky)


def shares_of(parameters, rows):
    return naive.split(naive.log_joint(parameters, rows))[1]


def check_maximized(updated, covariance_type, expected, rtol):
    weights, means, matrices = expected
    widths = np.sqrt(np.einsum("kii->ki", matrices))
    np.testing.assert_allclose(updated.weights, weights, rtol=rtol)
    np.testing.assert_array_less(np.abs(updated.means - means), rtol * (widths + np.abs(means)))
    wanted = naive.covariances_of(covariance_type, matrices)
    np.testing.assert_allclose(updated.covariances, wanted, rtol=rtol, atol=rtol * np.abs(wanted).max())


@each_family
@given(seed=st.integers(0, 2**32 - 1), weighted=st.booleans(), all_centred=st.booleans())
@settings(max_examples=5)
def test_the_m_step_of_parts_is_that_of_all_rows(covariance_type, seed, weighted, all_centred):
    generator = np.random.default_rng(seed)
    parameters = naive.random_parameters(generator, covariance_type)
    rows = naive.random_rows(generator, parameters, 300)
    weights = generator.uniform(0.5, 2.0, 300) if weighted else None
    cuts = [slice(0, 10), slice(10, 200), slice(200, 300)]  # each with a centre of its own
    parts = [
        about_means(
            statistics_of(
                parameters,
                rows[cut],
                None if weights is None else weights[cut],
                all_centred=all_centred and cut.start == 10,
            )
        )
        for cut in cuts
    ]
    together = joined(parts)
    expected = naive.maximized(covariance_type, rows, shares_of(parameters, rows), weights)
    check_maximized(em.update(together, 0.0), covariance_type, expected, 1e-9)
    whole = statistics_of(parameters, rows, weights)
    assert together.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-12)
    other = naive.random_parameters(generator, covariance_type)  # log joint densities are linear in sums
    assert expected_log_joint(other, together) == pytest.approx(expected_log_joint(other, whole), rel=1e-9)


def test_scatter_that_was_pooled_is_let_go():
    """A view of none of its columns would hold it, a matrix for each component, as long as a fit is kept."""
    generator = np.random.default_rng(0)
    parameters = naive.random_parameters(generator, "tied")
    rows = naive.random_rows(generator, parameters, 50)
    assert about_means(statistics_of(parameters, rows, all_centred=True)).scatter.base is None


@each_family
def test_parts_that_are_far_from_each_other_do_not_cancel(covariance_type):
    """What is between means is added to scatter: both parts are as exact as by themselves."""
    generator = np.random.default_rng(0)
    parameters = naive.random_parameters(generator, covariance_type)
    near = about_means(statistics_of(parameters, naive.random_rows(generator, parameters, 500)))
    for offset in (1e3, 1e8, 1e12):
        far = shifted(near, np.full(3, offset))
        counts, (own, others) = near.counts, (near.references, far.references)
        gaps = ((others - own) + (far.sums - near.sums) / counts[:, None]) / 2.0
        alone, shares = em.update(near, 0.0), counts / counts.sum()
        between = gaps[:, :, None] * gaps[:, None, :]
        if naive.STRUCTURES[covariance_type][0]:
            between = np.tile(np.einsum("k,kij->ij", shares, between), (len(counts), 1, 1))
        form = naive.STRUCTURES[covariance_type][1]
        if form == "diagonal":
            between = between * np.eye(3)
        elif form == "sphere":
            between = np.einsum("kii->k", between)[:, None, None] / 3 * np.eye(3)
        wanted = naive.covariances_of(covariance_type, naive.matrices_of(alone) + between)
        together = joined([near, far])  # to the far rows, the mixture's own width is nothing
        found = parameters.family.covariances(together.deviations(0.0, SMALLEST_COUNT), 0.0)
        np.testing.assert_allclose(found, wanted, rtol=1e-12)
        np.testing.assert_allclose(em.update_means(together), alone.means + gaps, rtol=1e-15)
        np.testing.assert_allclose(together.counts, 2.0 * counts, rtol=1e-15)


@each_family
def test_rows_that_are_moved_have_moved_statistics(covariance_type):
    """At an offset where float64 has four digits of a width left, none is lost of the sums."""
    generator = np.random.default_rng(1)
    parameters = naive.random_parameters(generator, covariance_type)
    rows = np.round(naive.random_rows(generator, parameters, 200) * 2**10) / 2**10  # exact at the offset
    offset = np.array([2.0**40, -(2.0**41), 0.0])
    near = about_means(statistics_of(parameters, rows))
    far = shifted(near, offset)
    updated, alone = em.update(far, 0.0), em.update(near, 0.0)
    np.testing.assert_allclose(updated.covariances, alone.covariances, rtol=1e-12)
    exact = (alone.means.astype(np.longdouble) + offset).astype(np.float64)
    np.testing.assert_allclose(updated.means, exact, rtol=2**-52)
    back = shifted(far, -offset)
    means = back.references + back.sums / back.counts[:, None]
    np.testing.assert_allclose(means, alone.means, rtol=0, atol=1e-13)


@each_family
def test_components_without_rows_in_a_part(covariance_type):
    generator = np.random.default_rng(2)
    parameters = naive.random_parameters(generator, covariance_type, spread=1e4)  # no row is between two
    rows = parameters.means[0] + generator.normal(size=(50, 3))
    others = np.concatenate([parameters.means[1:] + generator.normal(size=(2, 3)) for _ in range(30)])
    parts = [about_means(statistics_of(parameters, each)) for each in (rows, others)]
    assert parts[0].counts[1] < 1e-30
    assert np.isfinite(parts[0].references).all()
    updated = em.update(joined(parts), 0.0)
    whole = np.concatenate([rows, others])
    expected = naive.maximized(covariance_type, whole, shares_of(parameters, whole))
    check_maximized(updated, covariance_type, expected, 1e-6)


def test_one_part_stays_as_it_is():
    generator = np.random.default_rng(3)
    parameters = naive.random_parameters(generator, "full")
    part = about_means(statistics_of(parameters, naive.random_rows(generator, parameters, 50)))
    assert joined([part]) is part
