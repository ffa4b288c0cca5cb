# pyright: reportArgumentType=false
"""Rows that are measured with errors, against the formulas row by row."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from dgmm.kernels import expect, measured, working_bytes
from dgmm.kernels.densities import labels, log_densities, responsibilities
from dgmm.kernels.kernel import Part
from dgmm.kernels.stacking import stack_models
from dgmm.model.entropy import entropy
from dgmm.model.matrices import unpack
from dgmm.model.parameters import Parameters
from tests.model import naive

each_family = pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)

FORMS = ("variances", "triangles", "matrices")


@pytest.fixture(params=["compiled", "numpy"])
def way(request, monkeypatch) -> str:
    """Whether the loop is compiled."""
    monkeypatch.setenv("DGMM_COMPILED", str(int(request.param == "compiled")))
    monkeypatch.setattr(measured, "LEAST_WORK", 1)
    return request.param


def measured_rows(generator, parameters, form, n_rows=70, *, missing=0.0, scale=1.0):
    """Rows with errors: joined, and apart."""
    rows = naive.with_missing(generator, naive.random_rows(generator, parameters, n_rows), missing)
    columns, errors = naive.random_errors(generator, n_rows, rows.shape[1], form, scale=scale)
    return np.concatenate([rows, columns], axis=1), rows, errors


def parts(joined, n_features, weights=None):
    """Rows with errors as kernels take them."""
    return Part(joined[:, :n_features], weights, errors=joined[:, n_features:])


def ready_for(models, n_errors, **own):
    n_features = models[0].means.shape[1]
    centre, extent = np.full(n_features, 0.1), np.full(n_features, 20.0)
    return stack_models(models, centre, extent, np.float64, n_errors=n_errors, **own)


def products_of(statistics):
    """Scatter as matrices (K, D, D), as far as the family knows it."""
    n_features = statistics.sums.shape[1]
    if statistics.shared is not None:
        return statistics.family.to_matrices(statistics.shared, 1, n_features)
    if naive.STRUCTURES[statistics.family.name][1] == "matrix":
        return unpack(statistics.scatter, n_features)
    return statistics.scatter


def wanted_products(family, products):
    products = products.sum(axis=0, keepdims=True) if family.is_shared else products
    form = naive.STRUCTURES[family.name][1]
    if form == "matrix":
        return products
    squares = np.diagonal(products, axis1=1, axis2=2)
    if family.is_shared:
        squares = squares if form == "diagonal" else np.repeat(squares.mean(axis=1), products.shape[1])[None]
        return squares[0][:, None] * np.eye(products.shape[1])[None]
    return squares if form == "diagonal" else squares.sum(axis=1, keepdims=True)


@each_family
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_expected_statistics(covariance_type, form, missing, way):
    generator = np.random.default_rng(0)
    models = [naive.random_parameters(generator, covariance_type, k, 3, spread=1.0) for k in (3, 1)]
    joined, rows, errors = measured_rows(generator, models[0], form, missing=missing)
    weights = generator.gamma(1.0, size=len(rows))
    ready = ready_for(models, joined.shape[1] - 3, may_lack=missing > 0.0)
    assert working_bytes(ready) > 0
    found = expect(ready, [parts(joined[:30], 3, weights[:30]), parts(joined[30:], 3, weights[30:])])
    for index, (model, own) in enumerate(zip(models, found, strict=True)):
        wanted = naive.expect_measured(model, rows, errors, weights, ready.points_of(index))
        np.testing.assert_allclose(own.counts, wanted.counts, rtol=1e-11)
        np.testing.assert_allclose(own.sums, wanted.sums, rtol=1e-10, atol=1e-10)
        products = wanted_products(model.family, wanted.products)
        np.testing.assert_allclose(products_of(own), products, rtol=1e-10, atol=1e-10)
        lacking = naive.counts_lacking(wanted, rows, weights)
        np.testing.assert_allclose(own.lacking, lacking, rtol=1e-10, atol=1e-10)  # pyright: ignore
        assert own.log_likelihood == pytest.approx(wanted.log_likelihood, rel=1e-12)
        assert own.entropy_of_missing == pytest.approx(wanted.entropy_of_missing, rel=1e-10, abs=1e-10)
        shares = np.maximum(wanted.responsibilities, 1e-300)
        undecided = -float(weights @ (shares * np.log(shares)).sum(axis=1))
        assert entropy(model, own, own.log_likelihood) == pytest.approx(undecided, rel=1e-9, abs=1e-9)


@each_family
@pytest.mark.parametrize("form", FORMS)
def test_what_a_mixture_says_of_rows(covariance_type, form, way):
    generator = np.random.default_rng(1)
    model = naive.random_parameters(generator, covariance_type, 3, 3, spread=1.0)
    joined, rows, errors = measured_rows(generator, model, form, missing=0.2)
    wanted, n_errors = naive.expect_measured(model, rows, errors, None, model.means), joined.shape[1] - 3
    np.testing.assert_allclose(log_densities(model, joined, n_errors), wanted.log_densities, rtol=1e-11)
    found = responsibilities(model, joined, n_errors)
    np.testing.assert_allclose(found, wanted.responsibilities, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(labels(model, joined, n_errors), found.argmax(axis=1))
    assert log_densities(model, joined[:0], n_errors).shape == (0,)


@each_family
def test_without_errors_statistics_are_the_usual_ones(covariance_type, way):
    generator = np.random.default_rng(2)
    model = naive.random_parameters(generator, covariance_type, 3, 4, spread=1.0)
    rows = naive.random_rows(generator, model, 200)
    for n_errors in measured.widths_of(4):
        joined = np.concatenate([rows, np.zeros((200, n_errors))], axis=1)
        (found,) = expect(ready_for([model], n_errors), [parts(joined, 4)])
        (plain,) = expect(ready_for([model], 0), [(rows, None)])
        centre = np.full(4, 0.1)
        scatter = (rows - centre).T @ (rows - centre)
        plain = plain.completed(scatter, model.precisions_cholesky)
        for name in ("counts", "sums", "log_likelihood"):
            np.testing.assert_allclose(getattr(found, name), getattr(plain, name), rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(products_of(found), products_of(plain), rtol=1e-10, atol=1e-10)
        assert found.entropy_of_missing == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
def test_errors_that_many_rows_share_give_the_same(covariance_type, way):
    """Runs of rows with equal errors, longer and shorter than a tile, and of what rows lack."""
    generator = np.random.default_rng(3)
    model = naive.random_parameters(generator, covariance_type, 2, 3)
    joined, rows, errors = measured_rows(generator, model, "matrices", 150)
    first = np.repeat([0, 50, 60, 0, 90], [40, 20, 3, 47, 40])
    joined[:, 3:], errors = joined[first, 3:], errors[first]
    rows[100:130, 1] = joined[100:130, 1] = np.nan
    ready = ready_for([model], 9)
    (found,) = expect(ready, [parts(joined, 3)])
    wanted = naive.expect_measured(model, rows, errors, None, ready.points_of(0))
    np.testing.assert_allclose(found.sums, wanted.sums, rtol=1e-10, atol=1e-10)
    products = wanted_products(model.family, wanted.products)
    np.testing.assert_allclose(products_of(found), products, rtol=1e-10, atol=1e-10)


def test_how_rows_are_cut_and_who_else_is_evaluated_does_not_matter():
    generator = np.random.default_rng(4)
    models = [naive.random_parameters(generator, name, 2, 3) for name in ("full", "diag", "tied")]
    joined, _, _ = measured_rows(generator, models[0], "variances", 101)
    weights = generator.gamma(1.0, size=(3, 101))
    together = expect(ready_for(models, 3), [parts(joined, 3, weights)])
    for index, model in enumerate(models):
        chunks = [
            parts(joined[a:b], 3, weights[index, a:b]) for a, b in ((0, 7), (7, 40), (40, 40), (40, 101))
        ]
        (alone,) = expect(ready_for([model], 3), chunks)
        np.testing.assert_allclose(together[index].sums, alone.sums, rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(together[index].counts, alone.counts, rtol=1e-11)


def test_sums_about_points_of_components(way):
    generator = np.random.default_rng(5)
    model = naive.random_parameters(generator, "tied", 2, 3)
    joined, rows, errors = measured_rows(generator, model, "variances")
    points = model.means + 0.1
    (found,) = expect(ready_for([model], 3, references=[points]), [parts(joined, 3)])
    wanted = naive.expect_measured(model, rows, errors, None, points)
    np.testing.assert_allclose(found.sums, wanted.sums, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(unpack(found.scatter, 3), wanted.products, rtol=1e-10, atol=1e-10)
    assert found.shared is None


@pytest.mark.parametrize("covariance_type", ["full", "diag"])
@pytest.mark.parametrize("scale", [1e-60, 1e40])
def test_variances_of_any_size(covariance_type, scale, way):
    """Products of many variances would leave the range of float64."""
    generator = np.random.default_rng(6)
    unit = naive.random_parameters(generator, covariance_type, 2, 12)
    joined, rows, errors = measured_rows(generator, unit, "variances", 40)
    model = Parameters.from_covariances(
        unit.family, unit.weights, unit.means * scale, unit.covariances * scale**2
    )
    scaled = np.concatenate([rows * scale, joined[:, 12:] * scale**2], axis=1)
    wanted = [
        np.log(weight) + multivariate_normal(mean, matrix + error).logpdf(row) - 12 * np.log(scale)
        for row, error in zip(rows, errors, strict=True)
        for weight, mean, matrix in zip(unit.weights, unit.means, naive.matrices_of(unit), strict=True)
    ]
    np.testing.assert_allclose(measured.log_joint(model, scaled).ravel(), wanted, rtol=1e-11)


def test_a_component_of_no_weight_has_no_part(way):
    generator = np.random.default_rng(7)
    model = naive.random_parameters(generator, "full", 3, 2)
    model = replace(model, weights=np.array([0.25, 0.0, 0.75]))
    joined, _, _ = measured_rows(generator, model, "triangles")
    (found,) = expect(ready_for([model], 3), [parts(joined, 2)])
    assert found.counts[1] == 0.0
    assert not found.sums[1].any()
    assert np.isfinite(found.log_likelihood)


def test_float32_rows_are_taken_as_float64(way):
    generator = np.random.default_rng(8)
    model = naive.random_parameters(generator, "full", 2, 3)
    joined = measured_rows(generator, model, "variances")[0].astype(np.float32)
    ready = stack_models([model], np.zeros(3), np.full(3, 20.0), np.float32, n_errors=3)
    assert ready.dtype == np.float64
    (found,), (wanted,) = (expect(ready, [parts(rows, 3)]) for rows in (joined, joined.astype(np.float64)))
    np.testing.assert_array_equal(found.scatter, wanted.scatter)


@each_family
@pytest.mark.parametrize("form", FORMS)
def test_standardized_rows_are_as_far_as_the_covariance_of_both_says(covariance_type, form):
    """And in the component's own coordinates: without errors they are what its family says."""
    generator = np.random.default_rng(9)
    model = naive.random_parameters(generator, covariance_type, 3, 2)
    joined, rows, errors = measured_rows(generator, model, form)
    matrices = naive.matrices_of(model)
    exact = np.concatenate([rows, np.zeros_like(joined[:, 2:])], axis=1)
    found, without = measured.standardized_rows(model, joined), measured.standardized_rows(model, exact)
    for k, (mean, matrix) in enumerate(zip(model.means, matrices, strict=True)):
        gaps = rows - mean
        squares = (gaps * np.linalg.solve(matrix + errors, gaps[:, :, None])[:, :, 0]).sum(axis=1)
        np.testing.assert_allclose((found[k] ** 2).sum(axis=0), squares, rtol=1e-9)
        own = model.family.standardize(np.ascontiguousarray(gaps.T), model.precisions_cholesky, k)
        np.testing.assert_allclose(without[k], own, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("covariance_type", "n_features", "n_rows"), [("full", 2, 7281), ("tied", 10, 809), ("diag", 10, 4854)]
)
def test_the_size_of_the_work_alone_asks_for_a_compiler(covariance_type, n_features, n_rows, monkeypatch):
    """The most rows of three components that NumPy is left with, 2^18 entries, and one more."""
    asked = []
    monkeypatch.setattr(measured, "compiled_module", asked.append)  # gives None: NumPy does all
    model = naive.random_parameters(np.random.default_rng(10), covariance_type, 3, n_features)
    rows = np.ones((n_rows + 1, 2 * n_features))
    measured.log_joint(model, rows[:-1])
    assert not asked
    measured.log_joint(model, rows)
    ready = stack_models([model], model.means[0], np.ones(n_features), np.float64, n_errors=n_features)
    for size in (n_rows, n_rows + 1, None):
        expect(replace(ready, n_rows=size), [parts(rows[:10], n_features)])
    assert asked == [measured.COMPILED] * 3
