from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from dgmm import kernels
from dgmm.kernels import blocks as numpy_kernel
from dgmm.kernels import loop, workspace
from dgmm.kernels.precision import SINGLE
from dgmm.kernels.stack import Stack
from dgmm.kernels.stacking import blank_stack, stack_models
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Moments
from tests.memory import traced_peak
from tests.model import naive

pytestmark = pytest.mark.usefixtures("each_kernel")

each_family = pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)


def expect(models, rows, weights=None, rows_dtype: type = np.float64, extent=None):
    """Statistics of models stacked about the moments of the rows, and the stack."""
    moments = Moments.of(rows, weights)
    ready = stack_models(models, moments.mean, moments.extent if extent is None else extent, rows_dtype)
    return kernels.expect(ready, [(rows, weights)]), ready


def assert_expected(statistics, stack: Stack, parameters, rows, weights=None, *, relative=1e-11):
    """Compare with sums in extended precision; errors relative to the sums of absolute terms."""
    points = statistics.references
    exact = naive.expect(parameters, rows, weights, points)
    naive.close(statistics.counts, exact.counts, exact.counts.sum(), relative)
    naive.close(statistics.sums, exact.sums, exact.sums_scale.sum(axis=0) + 1e-300, relative)
    if statistics.scatter.shape[1]:
        scatter, scale = (
            naive.family_scatter(parameters.family.name, matrices)
            for matrices in (exact.scatter, exact.scatter_scale)
        )
        naive.close(statistics.scatter, scatter, scale.sum(axis=0), relative)
    total = naive.total_scatter(rows, weights, stack.centre)
    value = statistics.completed(total, parameters.precisions_cholesky).log_likelihood
    naive.close(value, exact.log_likelihood, exact.log_likelihood_scale, relative)


@each_family
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("n_rows", "n_components", "n_features"), [(1, 2, 3), (1500, 4, 3), (5000, 1, 1)])
def test_expect_is_the_loop_over_rows(covariance_type, weighted, n_rows, n_components, n_features):
    generator = np.random.default_rng(1)
    parameters = naive.random_parameters(generator, covariance_type, n_components, n_features)
    rows = naive.random_rows(generator, parameters, n_rows)
    weights = generator.gamma(1.0, size=n_rows) if weighted else None
    (statistics,), ready = expect([parameters], rows, weights)
    assert not ready.centred
    assert_expected(statistics, ready, parameters, rows, weights)
    joint = naive.log_joint(parameters, rows)  # SciPy's densities, in double precision
    exact = naive.expect(parameters, rows, weights, np.tile(ready.centre, (n_components, 1)), joint)
    np.testing.assert_allclose(statistics.counts, exact.counts.astype(float), rtol=1e-9)
    np.testing.assert_allclose(statistics.sums, exact.sums.astype(float), rtol=1e-9, atol=1e-9)


@each_family
def test_centred_path_is_the_loop_over_rows(covariance_type):
    """Extents that are wide enough send every component down the centred path."""
    generator = np.random.default_rng(2)
    parameters = naive.random_parameters(generator, covariance_type, 3, 3)
    rows, weights = naive.random_rows(generator, parameters, 1500), generator.gamma(1.0, size=1500)
    (statistics,), ready = expect([parameters], rows, weights, extent=np.full(3, 1e9))
    assert [entry.row for entry in ready.centred] == [0, 1, 2]
    assert ready.is_complete(0)
    np.testing.assert_array_equal(statistics.references, parameters.means)
    assert_expected(statistics, ready, parameters, rows, weights)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("narrow", [None, "full", "tied"])
def test_stacked_models_equal_each_alone(weighted, narrow):
    """Models of several families, one or two of each, some on the centred path, in any order."""
    generator = np.random.default_rng(3)
    models = [
        naive.random_parameters(generator, covariance_type, n_components, 4)
        for covariance_type in (
            "diag",
            "tied",
            "spherical",
            "full",
            "tied_diag",
            "tied",
            "full",
            "tied_spherical",
        )
        for n_components in [int(generator.integers(1, 5))]
    ]
    if narrow is not None:  # one component, or one tied model, of a width of 1e-7
        model = next(model for model in models if model.family.name == narrow)
        covariances = model.covariances.copy()
        covariances[... if narrow == "tied" else 0] *= 1e-14
        index = models.index(model)
        models[index] = Parameters.from_covariances(FAMILIES[narrow], model.weights, model.means, covariances)
    rows = np.concatenate([naive.random_rows(generator, model, 400) for model in models])
    weights = generator.gamma(1.0, size=len(rows)) if weighted else None
    together, ready = expect(models, rows, weights)
    assert bool(ready.centred) == (narrow is not None)
    total = naive.total_scatter(rows, weights, ready.centre)
    scale = {"counts": len(rows), "sums": np.sqrt(len(rows) * np.trace(total)), "references": 1.0}
    scale["scatter"] = np.trace(total)
    for index, model in enumerate(models):
        (alone,), _ = expect([model], rows, weights)
        for name in ("counts", "sums", "scatter", "references"):
            value, expected = getattr(together[index], name), getattr(alone, name)
            assert value.shape == expected.shape
            naive.close(value, expected, scale[name], 1e-12)
        np.testing.assert_allclose(together[index].log_likelihood, alone.log_likelihood, rtol=1e-12)
        np.testing.assert_allclose(
            together[index].completed(total, model.precisions_cholesky).log_likelihood,
            alone.completed(total, model.precisions_cholesky).log_likelihood,
            rtol=1e-12,
        )


@pytest.mark.parametrize("narrow", [False, True])
def test_models_with_row_weights_of_their_own_equal_each_alone(narrow):
    generator = np.random.default_rng(5)
    models = [naive.random_parameters(generator, family, 3, 2) for family in ("full", "diag", "full")]
    rows = naive.random_rows(generator, models[0], 1500)
    weights = generator.gamma(1.0, size=(3, len(rows)))
    points = [model.means for model in models] if narrow else None
    ready = stack_models(models, np.zeros(2), np.abs(rows).max(axis=0), np.float64, references=points)
    for found, model, own in zip(kernels.expect(ready, [(rows, weights)]), models, weights, strict=True):
        alone = stack_models(
            [model],
            np.zeros(2),
            np.abs(rows).max(axis=0),
            np.float64,
            references=[model.means] if narrow else None,
        )
        (expected,) = kernels.expect(alone, [(rows, own)])
        np.testing.assert_allclose(found.counts, expected.counts, rtol=1e-11)
        np.testing.assert_allclose(found.sums, expected.sums, rtol=1e-10, atol=1e-9)
        np.testing.assert_allclose(found.scatter, expected.scatter, rtol=1e-10, atol=1e-9)
        assert found.log_likelihood == pytest.approx(expected.log_likelihood, rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_models_of_all_sizes_equal_each_alone(weighted):
    """Several groups of each family, with runs of small models, and a narrow component in the midst."""
    generator = np.random.default_rng(14)
    models = [
        naive.random_parameters(generator, family, size, 3)
        for size in (1, 1, 2, 2, 2, 5, 40, 30, 7)
        for family in naive.COVARIANCE_TYPES
    ]
    narrow = naive.random_parameters(generator, "full", 2, 3, width=1e-7)
    models.insert(9, narrow)
    rows = np.concatenate(
        [naive.random_rows(generator, models[0], 1500), naive.random_rows(generator, narrow, 200)]
    )
    weights = generator.gamma(1.0, size=len(rows)) if weighted else None
    together, ready = expect(models, rows, weights)
    assert len(ready.groups) > 4
    assert len(ready.centred) > 0
    for model, found in zip(models, together, strict=True):
        (alone,), _ = expect([model], rows, weights)
        for name in ("counts", "sums", "scatter", "references", "log_likelihood"):
            np.testing.assert_allclose(getattr(found, name), getattr(alone, name), rtol=1e-11, atol=1e-9)


def test_tied_log_likelihood_of_the_fast_path_is_the_direct_one():
    generator = np.random.default_rng(4)
    parameters = naive.random_parameters(generator, "tied", 3, 3)
    rows, weights = naive.random_rows(generator, parameters, 1500), generator.gamma(1.0, size=1500)
    total = naive.total_scatter(rows, weights, Moments.of(rows, weights).mean)
    direct = weights @ naive.split(naive.log_joint(parameters, rows))[0]
    for extent in (None, np.full(3, 1e9)):
        (statistics,), ready = expect([parameters], rows, weights, extent=extent)
        assert ready.is_complete(0) == (extent is not None)
        value = statistics.completed(total, parameters.precisions_cholesky).log_likelihood
        np.testing.assert_allclose(value, direct, rtol=1e-12)


@each_family
@pytest.mark.parametrize("centred", [False, True])
def test_assign_sums_given_responsibilities(covariance_type, centred):
    generator = np.random.default_rng(5)
    parameters = naive.random_parameters(generator, covariance_type, 3, 2)
    rows, weights = naive.random_rows(generator, parameters, 20_000), generator.gamma(1.0, size=20_000)
    (expected,), ready = expect([parameters], rows, weights, extent=np.full(2, 1e9) if centred else None)
    _, shares = naive.split(naive.log_joint(parameters, rows))
    blank = blank_stack(parameters.family, 3, ready.centre, parameters.means if centred else None)
    chunks = [(rows[:17_000], weights[:17_000]), (rows[17_000:], weights[17_000:])]
    statistics = kernels.assign(blank, chunks, lambda block, offset: shares[offset : offset + len(block)].T)
    assert statistics.log_likelihood == 0.0
    for name in ("counts", "sums", "scatter", "references"):
        np.testing.assert_allclose(getattr(statistics, name), getattr(expected, name), rtol=1e-9, atol=1e-9)


@each_family
@pytest.mark.parametrize("wide", [None, 1e9])
def test_a_component_of_no_weight_gets_no_rows(covariance_type, wide):
    generator = np.random.default_rng(6)
    model = naive.random_parameters(generator, covariance_type, 3, 2)
    weights = np.array([0.4, 0.0, 0.6])
    parameters = Parameters.from_covariances(
        FAMILIES[covariance_type], weights, model.means, model.covariances
    )
    rows = naive.random_rows(generator, parameters, 700)
    (statistics,), _ = expect([parameters], rows, extent=wide and np.full(2, wide))
    assert statistics.counts[1] == 0.0
    np.testing.assert_allclose(statistics.counts.sum(), 700)
    assert all(np.isfinite(part).all() for part in (statistics.sums, statistics.scatter))
    assert np.isfinite(statistics.log_likelihood)


def crowd(generator, kind, n_components=16, n_features=20):
    """A mixture of so many full components that sums are taken over their own rows where these are few."""
    model = naive.random_parameters(generator, "full", n_components, n_features, spread=30.0)
    weights, covariances = model.weights.copy(), model.covariances.copy()
    weights[12] = 1e-300  # no rows in any case; none are drawn of the others from the tenth on
    few = Parameters.from_covariances(FAMILIES["full"], np.full(10, 0.1), model.means[:10], covariances[:10])
    rows = naive.random_rows(generator, few, 1100)
    if kind == "mixed":  # so far away every row has one component
        rows[1024:] *= 100.0
    if kind == "narrow":
        covariances[1] *= 1e-14
    if kind in ("overlapping", "mixed"):
        covariances *= 1e4
    return Parameters.from_covariances(
        FAMILIES["full"], weights / weights.sum(), model.means, covariances
    ), rows


@pytest.mark.parametrize(
    ("kind", "rows_dtype"),
    [
        ("separated", np.float64),
        ("separated", np.float32),
        ("overlapping", np.float64),
        ("mixed", np.float64),
        ("narrow", np.float64),
    ],
)
def test_sums_over_own_rows_are_the_loop_over_rows(kind, rows_dtype, each_kernel, monkeypatch):
    """Blocks take either way; the bits tell whether any took it."""
    monkeypatch.setattr(workspace, "BLOCKS", replace(workspace.BLOCKS, block_rows=1024))
    # The rows are far from each other.
    monkeypatch.setattr("dgmm.kernels.precision.SINGLE", replace(SINGLE, density_error=1.0))
    generator = np.random.default_rng(13)
    parameters, rows = crowd(generator, kind)
    rows, weights = rows.astype(rows_dtype), generator.gamma(1.0, size=len(rows))
    weights[::7] = 0.0
    (statistics,), ready = expect([parameters], rows, weights, rows_dtype)
    assert ready.dtype == rows_dtype
    assert numpy_kernel.gathered_per_row(ready, ready.groups[0]) > 1.0
    assert bool(ready.centred) == (kind == "narrow")
    relative = 1e-11 if rows_dtype == np.float64 else 1e-5
    assert_expected(statistics, ready, parameters, rows, weights, relative=relative)
    assert (statistics.counts[12] < 1e-200) == (kind != "mixed")  # far out it is the widest
    monkeypatch.setattr(numpy_kernel.Accumulator, "_gather", lambda *_: False)
    if each_kernel == "compiled":
        monkeypatch.setattr(loop, "TILES", replace(loop.TILES, gathers_from=1000))
    (dense,), _ = expect([parameters], rows, weights, rows_dtype)
    gathers = each_kernel in ("compiled", "numpy") and kind != "overlapping"
    assert np.array_equal(statistics.scatter, dense.scatter) != gathers
    naive.close(statistics.scatter, dense.scatter, np.abs(dense.scatter).max(), relative / 10)


def test_stacked_models_over_own_rows_equal_each_alone():
    generator = np.random.default_rng(14)
    (first, rows), (second, others) = crowd(generator, "separated"), crowd(generator, "separated")
    tied = naive.random_parameters(generator, "tied", 3, 20, spread=30.0)
    rows = np.concatenate([rows, others])
    together, ready = expect([first, tied, second], rows)
    gathers = {(each.family.name, numpy_kernel.gathered_per_row(ready, each) > 0.0) for each in ready.groups}
    assert gathers == {("full", True), ("tied", False)}
    for statistics, model in zip(together, (first, tied, second), strict=True):
        (alone,), _ = expect([model], rows)
        for name in ("counts", "sums", "scatter"):
            value, expected = getattr(statistics, name), getattr(alone, name)
            naive.close(value, expected, np.abs(expected).max(initial=0.0), 1e-12)


@each_family
def test_no_rows_give_zero(covariance_type):
    parameters = naive.random_parameters(np.random.default_rng(7), covariance_type, 3, 2)
    ready = stack_models([parameters], np.zeros(2), np.ones(2), np.float64)
    for chunks in ([], [(np.empty((0, 2)), None)], [(np.empty((0, 2)), np.empty(0))]):
        (statistics,) = kernels.expect(ready, chunks)
        for name in ("counts", "sums", "scatter", "log_likelihood"):
            assert not np.any(getattr(statistics, name))


@each_family
@pytest.mark.parametrize("n_rows", [511, 512, 513, 1535, 16_383, 16_385])
def test_rows_at_the_ends_of_tiles_and_blocks(covariance_type, n_rows):
    """Sums and log-likelihood are those of many small chunks."""
    generator = np.random.default_rng(10)
    parameters = naive.random_parameters(generator, covariance_type, 3, 2)
    rows, weights = naive.random_rows(generator, parameters, n_rows), generator.gamma(1.0, size=n_rows)
    (whole,), ready = expect([parameters], rows, weights)
    chunks = [(rows[i : i + 100], weights[i : i + 100]) for i in range(0, n_rows, 100)]
    (parts,) = kernels.expect(ready, chunks)
    for name in ("counts", "sums", "scatter", "log_likelihood"):
        np.testing.assert_allclose(getattr(whole, name), getattr(parts, name), rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("all_centred", [False, True])
@pytest.mark.parametrize("rows_dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "sizes",
    [
        (["spherical"], 1, 1),
        (["tied"], 20, 2),
        (["diag"], 3, 12),
        (["full"], 2, 2),
        (["full"], 40, 10),
        (["full"], 3, 40),
        (["full"], 32, 20),
        ([*naive.COVARIANCE_TYPES, "full"], 8, 4),
    ],
)
def test_working_bytes_are_the_peak(sizes, rows_dtype, all_centred, weighted):
    """Three blocks (of NumPy's), so that the arrays of one are there while those of the next are made."""
    families, n_components, n_features = sizes
    generator = np.random.default_rng(11)
    models = [naive.random_parameters(generator, name, n_components, n_features) for name in families]
    extent = np.full(n_features, 0.1)
    ready = stack_models(
        models,
        np.zeros(n_features),
        extent,
        rows_dtype,
        references=[m.means for m in models] if all_centred else None,
    )
    rows = generator.normal(size=(2 * workspace.block_rows(ready) + 100, n_features)).astype(rows_dtype)
    statistics = 8 * sum(model.n_parameters for model in models)
    weights = generator.gamma(1.0, size=len(rows)) if weighted else None
    kernels.expect(ready, [(rows[:10], None if weights is None else weights[:10])])
    # What a first call imports and keeps is no work of its own.
    most = 1.3 * kernels.working_bytes(ready) + 4 * statistics + 100_000
    peak = traced_peak(partial(kernels.expect, ready, [(rows, weights)]), most)
    assert peak <= most
    assert peak >= 0.5 * kernels.working_bytes(ready)  # and no more is asked for than is needed


@pytest.mark.parametrize("dtype", [np.int32, np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F", "strided"])
def test_rows_of_any_layout(dtype, order):
    generator = np.random.default_rng(9)
    parameters = naive.random_parameters(generator, "full", 2, 3, width=10)
    rows = np.rint(naive.random_rows(generator, parameters, 900)).astype(dtype)
    given = np.repeat(rows, 2, axis=0)[::2] if order == "strided" else np.asarray(rows, order=order)
    (statistics,), ready = expect([parameters], given)
    assert_expected(statistics, ready, parameters, rows)
