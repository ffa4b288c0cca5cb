import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgmm import kernels
from dgmm.kernels.stacking import stack_models
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Moments, Statistics
from tests.model import naive

pytestmark = pytest.mark.usefixtures("each_kernel")

each_family = pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)
seeds = st.integers(0, 2**32 - 1)
cuts = st.lists(st.integers(0, 300), max_size=6).map(sorted)
few = settings(max_examples=15, deadline=None)


def pieces(cut, *arrays):
    """The arrays cut at the same places; empty pieces are allowed."""
    bounds = [0, *cut, len(arrays[0])]
    for start, stop in itertools.pairwise(bounds):
        yield tuple(array[start:stop] for array in arrays)


def mixture(seed, covariance_type, n_rows=300):
    generator = np.random.default_rng(seed)
    n_components, n_features = (int(n) for n in generator.integers(1, 5, 2))
    parameters = naive.random_parameters(generator, covariance_type, n_components, n_features)
    rows = naive.random_rows(generator, parameters, n_rows)
    return parameters, rows, generator.gamma(1.0, size=n_rows), generator


def statistics_of(parameters, rows, weights=None, *, all_centred=False, like=None):
    """Statistics about the moments of the rows, or of those of other rows."""
    moments = Moments.of(rows) if like is None else Moments.of(like)
    ready = stack_models(
        [parameters],
        moments.mean,
        moments.extent,
        np.float64,
        references=[parameters.means] if all_centred else None,
    )
    return kernels.expect(ready, [(rows, weights)])[0]


def assert_equal_statistics(value, expected, relative=1e-11):
    for name in ("counts", "sums", "scatter", "references", "log_likelihood"):
        ours, theirs = getattr(value, name), getattr(expected, name)
        scale = np.abs(theirs).max(initial=1.0)
        np.testing.assert_allclose(ours, theirs, rtol=relative, atol=relative * scale * 10, err_msg=name)


@each_family
@given(seed=seeds, cut=cuts, all_centred=st.booleans())
@few
def test_statistics_add_over_any_cut(covariance_type, seed, cut, all_centred):
    parameters, rows, weights, _ = mixture(seed, covariance_type)
    whole = statistics_of(parameters, rows, weights, all_centred=all_centred)
    parts = [
        statistics_of(parameters, *part, all_centred=all_centred, like=rows)
        for part in pieces(cut, rows, weights)
    ]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    assert_equal_statistics(total, whole)


@each_family
@given(seed=seeds, all_centred=st.booleans())
@few
def test_whole_weights_are_repeated_rows(covariance_type, seed, all_centred):
    parameters, rows, _, generator = mixture(seed, covariance_type)
    times = generator.integers(0, 4, len(rows))
    weighted = statistics_of(parameters, rows, times.astype(float), all_centred=all_centred)
    repeated = statistics_of(parameters, rows.repeat(times, axis=0), all_centred=all_centred, like=rows)
    assert_equal_statistics(weighted, repeated)


@each_family
@given(seed=seeds, all_centred=st.booleans())
@few
def test_weights_of_zero_leave_rows_out(covariance_type, seed, all_centred):
    parameters, rows, weights, generator = mixture(seed, covariance_type)
    kept = generator.uniform(size=len(rows)) < 0.5
    with_zeros = statistics_of(parameters, rows, weights * kept, all_centred=all_centred)
    without = statistics_of(parameters, rows[kept], weights[kept], all_centred=all_centred, like=rows)
    assert_equal_statistics(with_zeros, without)


@each_family
@given(seed=seeds)
@few
def test_moving_and_scaling_change_the_log_likelihood_by_the_determinant(covariance_type, seed):
    """One scale per feature; one for all where the family has one variance for all."""
    parameters, rows, weights, generator = mixture(seed, covariance_type)
    n_features = rows.shape[1]
    scale = 10 ** generator.uniform(-3, 3, n_features)
    if naive.STRUCTURES[covariance_type][1] == "sphere":
        scale[:] = scale[0]
    shift = 100 * scale * generator.normal(size=n_features)
    moved_rows = rows * scale + shift
    moved = Parameters.from_covariances(
        FAMILIES[covariance_type],
        parameters.weights,
        parameters.means * scale + shift,
        naive.covariances_of(covariance_type, naive.matrices_of(parameters) * np.outer(scale, scale)),
    )
    values = []
    for model, data in ((parameters, rows), (moved, moved_rows)):
        moments = Moments.of(data, weights)
        ready = stack_models([model], moments.mean, moments.extent, np.float64)
        (statistics,) = kernels.expect(ready, [(data, weights)])
        value = statistics.completed(moments.scatter, model.precisions_cholesky).log_likelihood
        values.append((statistics, value))
    (before, likelihood), (after, moved_likelihood) = values
    expected = likelihood - weights.sum() * np.log(scale).sum()
    np.testing.assert_allclose(moved_likelihood, expected, rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(after.counts, before.counts, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(after.sums, before.sums * scale, rtol=1e-6, atol=1e-6 * scale.max())


@given(seed=seeds, cut=cuts, offset=st.sampled_from([0.0, -3.0, 1e8]), weighted=st.booleans())
@settings(max_examples=40, deadline=None)
def test_moments_merge_over_any_cut(seed, cut, offset, weighted):
    generator = np.random.default_rng(seed)
    rows = offset + generator.normal(size=(300, 3)) * [1.0, 0.1, 10.0]
    weights = generator.gamma(1.0, size=300) * (generator.uniform(size=300) < 0.8)
    merged, squares = Moments.of(rows[:0]), Moments.of(rows[:0], products=False)
    for part, part_weights in pieces(cut, rows, weights):
        own = part_weights if weighted else None
        merged, squares = merged + Moments.of(part, own), squares + Moments.of(part, own, products=False)
    weights = weights if weighted else np.ones(300)
    exact = rows.astype(np.longdouble)
    mean = (weights[:, None] * exact).sum(axis=0) / weights.sum()
    scatter = ((exact - mean) * weights[:, None]).T @ (exact - mean)
    assert merged.n_rows == 300
    np.testing.assert_allclose(merged.weight, weights.sum(), rtol=1e-13)
    np.testing.assert_allclose(merged.mean, mean.astype(float), rtol=1e-15, atol=1e-13)
    # A mean of 1e8 is rounded at 1e-8, in widths of 0.1 and more.
    relative = 1e-12 if abs(offset) < 1e8 else 1e-6
    scale = np.sqrt(np.outer(np.diag(scatter), np.diag(scatter)))
    naive.close(merged.scatter, scatter, scale, relative)
    naive.close(squares.scatter, np.diag(scatter), np.diag(scale), relative)
    np.testing.assert_array_equal(merged.squares, np.diag(merged.scatter))
    np.testing.assert_array_equal(squares.mean, merged.mean)
    covariance = np.cov(rows.T, aweights=weights, ddof=0) * weights.sum()
    naive.close(covariance, merged.scatter, scale, relative)
    np.testing.assert_array_equal(merged.minimum, rows.min(axis=0))
    np.testing.assert_array_equal(merged.maximum, rows.max(axis=0))
    assert np.all(abs(rows - merged.mean) <= merged.extent)


@pytest.mark.parametrize("dtype", [np.float32, np.int16, np.uint8])
@pytest.mark.parametrize("weights_dtype", [None, np.float32, np.int64])
def test_moments_of_other_types_are_double(dtype, weights_dtype):
    generator = np.random.default_rng(1)
    rows = generator.integers(0, 250, size=(5000, 2)).astype(dtype)
    weights = None if weights_dtype is None else generator.integers(1, 1000, 5000).astype(weights_dtype)
    moments = Moments.of(rows, weights)
    exact = Moments.of(rows.astype(float), None if weights is None else weights.astype(float))
    assert moments.mean.dtype == moments.scatter.dtype == moments.minimum.dtype == np.float64
    for name in ("weight", "mean", "scatter", "minimum", "maximum"):
        np.testing.assert_allclose(getattr(moments, name), getattr(exact, name), rtol=1e-12)


def test_moments_of_nothing():
    """No rows, or none of any weight: neutral in merges; their extremes still count."""
    rows = np.arange(6.0).reshape(3, 2)
    empty, weightless = Moments.of(rows[:0]), Moments.of(rows + 10, np.zeros(3))
    whole = Moments.of(rows)
    for merged in (empty + whole, whole + empty, empty + whole + empty):
        assert merged.n_rows == 3
        for name in ("weight", "mean", "scatter", "minimum", "maximum", "extent"):
            np.testing.assert_array_equal(getattr(merged, name), getattr(whole, name))
    for merged in (weightless + whole, whole + weightless):
        assert (merged.n_rows, merged.weight) == (6, 3.0)
        np.testing.assert_array_equal(merged.mean, whole.mean)
        np.testing.assert_array_equal(merged.scatter, whole.scatter)
        np.testing.assert_array_equal(merged.maximum, weightless.maximum)
    nothing = empty + Moments.of(rows[:0], np.empty(0))
    assert (nothing.n_rows, nothing.weight) == (0, 0.0)
    assert not nothing.scatter.any()


def test_means_and_counts_of_an_m_step():
    counts, sums = np.array([2.0, 5.0]), np.array([[4.0, -2.0], [5.0, 10.0]])
    found = Statistics(FAMILIES["tied"], counts, sums, np.zeros((2, 0)), sums, 0.0).deviations(0.0, 3.0)
    np.testing.assert_array_equal(found.counts, [5.0, 8.0])
    np.testing.assert_array_equal(found.offsets, sums / found.counts[:, None])


def test_what_rows_lack_adds_up_and_is_left_out_of_what_is_added_to_variances():
    """Of complete rows there is none; beside those of others that is zero."""
    counts, sums, squares = np.array([4.0, 2.0]), np.zeros((2, 2)), np.full((2, 2), 8.0)
    complete = Statistics(FAMILIES["diag"], counts, sums, squares, sums, 0.0)
    lacking = np.array([[0.0, 1.0], [2.0, 0.0]])
    some = replace(complete, lacking=lacking)
    for whole in (complete + some, some + complete):
        np.testing.assert_array_equal((0.5 * whole).lacking, 0.5 * lacking)  # pyright: ignore
    np.testing.assert_array_equal((some + some).lacking, 2.0 * lacking)  # pyright: ignore
    assert (complete + complete).lacking is None
    np.testing.assert_array_equal(some.of([1, 0]).lacking, lacking[::-1])  # pyright: ignore
    second = np.array([False, True])
    beside = complete.replaced(second, some.of(second))
    np.testing.assert_array_equal(beside.lacking, lacking * [[0.0], [1.0]])  # pyright: ignore
    without = some.replaced(second, complete.of(second))
    np.testing.assert_array_equal(without.lacking, lacking * [[1.0], [0.0]])  # pyright: ignore
    wanted = squares / counts[:, None] + 0.5 * (1.0 - lacking / counts[:, None])
    np.testing.assert_allclose(some.spread(0.5), wanted, rtol=1e-15)
    # What has these variances, less the floor, has them whatever rows lack.
    moved = some.with_moments(counts, sums, wanted - 0.5)
    np.testing.assert_allclose(moved.spread(0.5), wanted, rtol=1e-15)


def test_models_one_after_the_other():
    generator = np.random.default_rng(0)
    rows = generator.normal(scale=3.0, size=(200, 2))
    models = [naive.random_parameters(generator, "full", n, 2) for n in (1, 3)]
    found = [statistics_of(model, rows) for model in models]
    joined = Statistics.concatenated(found)
    assert joined.family is FAMILIES["full"]
    for name in ("counts", "sums", "scatter", "references"):
        parts = [getattr(joined, name)[:1], getattr(joined, name)[1:]]
        for part, own in zip(parts, found, strict=True):
            np.testing.assert_array_equal(part, getattr(own, name))
    assert joined.log_likelihood == found[0].log_likelihood + found[1].log_likelihood


def test_which_sums_are_about_a_point_of_their_own():
    """Scatter says so where components share a covariance; else only another point than the centre."""

    def is_centred(covariance_type, n_scatter, references):
        statistics = Statistics(
            FAMILIES[covariance_type], np.ones(2), np.ones((2, 2)), np.ones((2, n_scatter)), references, 0.0
        )
        return statistics.is_centred(centre).tolist()

    centre = np.array([5.0, 1.0])
    none, second = np.tile(centre, (2, 1)), np.array([centre, [5.0, 3.0]])
    assert is_centred("full", 3, none) == [False, False]
    assert is_centred("full", 3, second) == [False, True]
    assert is_centred("tied", 3, none) == [True, True]
    assert is_centred("tied", 0, none) == [False, False]
    assert is_centred("tied", 0, second) == [False, True]


@each_family
def test_sums_are_off_where_their_point_is_farther_than_the_rows_spread(covariance_type):
    family, rows = FAMILIES[covariance_type], np.random.default_rng(0).normal(size=(1000, 2))
    for distance, expected in ((0.5, False), (2.0, True), (1e8, True)):
        points = np.array([[0.0, 0.0], [distance, distance]])
        sums = np.array([(rows - point).sum(axis=0) for point in points])
        scatter = np.array([family.scatter((rows - point).T, np.ones(1000)) for point in points])
        own = Statistics(family, np.full(2, 1000.0), sums, scatter, points, 0.0)
        assert own.is_off == expected


def test_so_many_times_the_rows():
    """Statistics are linear in the weights of rows; what all components share as well."""
    parameters, rows, _, _ = mixture(0, "tied")
    scatter = 3.0 * rows.T @ rows
    once, thrice = statistics_of(parameters, rows), statistics_of(parameters, rows, np.full(len(rows), 3.0))
    tripled, expected = 3.0 * once.of_all_rows(scatter / 3.0), thrice.of_all_rows(scatter)
    assert_equal_statistics(tripled, expected)
    np.testing.assert_allclose(tripled.shared, expected.shared, rtol=1e-14)  # pyright: ignore


def test_some_components_are_taken_and_put_back():
    generator = np.random.default_rng(0)
    counts, sums, scatter = (generator.normal(size=shape) for shape in ((3,), (3, 2), (3, 3)))
    statistics = Statistics(FAMILIES["full"], counts, sums, scatter, np.zeros((3, 2)), 1.5)
    chosen = np.array([True, False, True])
    some = statistics.of(chosen)
    np.testing.assert_array_equal(some.sums, sums[[0, 2]])
    doubled = statistics.replaced(chosen, 2.0 * some)
    np.testing.assert_array_equal(doubled.counts, counts * [2, 1, 2])
    np.testing.assert_array_equal(doubled.scatter, scatter * np.array([[2], [1], [2]]))
    assert doubled.log_likelihood == 1.5
