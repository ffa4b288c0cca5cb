"""Rows that lack values, against regression row by row."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgmm import kernels
from dgmm.kernels import incomplete, tied
from dgmm.kernels.patterns import by_pattern
from dgmm.kernels.stacking import stack_models
from dgmm.model.families import FAMILIES
from dgmm.model.matrices import DegenerateCovarianceError
from dgmm.model.statistics import Statistics
from tests.model import naive

pytestmark = pytest.mark.usefixtures("each_kernel")

each_family = pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)


@pytest.fixture(params=["patterns", "each row", "as it comes"])
def way(request, monkeypatch):
    """Rows of a pattern together, each row for itself, or what is faster: tied rows as they come."""
    fewest = {"patterns": 0.0, "each row": np.inf}.get(request.param)
    if fewest is not None:
        monkeypatch.setattr(incomplete, "fewest_rows", lambda models, by: fewest)
        monkeypatch.setattr(incomplete, "can_come", lambda stack: [])
    monkeypatch.setattr(tied, "FEWEST_FEATURES", 1)
    return request.param


def stacked(models, rows, *, wider=1.0):
    centre = np.nanmean(rows.astype(float), axis=0)
    extent = wider * np.nanmax(np.abs(rows - centre), axis=0)
    return stack_models(models, centre, extent, rows.dtype, may_lack=True)


def chunks_of(rows, weights, *cuts):
    parts = [slice(*each) for each in zip([0, *cuts], [*cuts, len(rows)], strict=True)]
    return [(rows[part], None if weights is None else weights[..., part]) for part in parts]


def assert_expected(found: Statistics, ready, parameters, rows, weights=None, *, relative=1e-10):
    exact = naive.expect_incomplete(parameters, rows, weights, found.references)
    scale = exact.counts.sum()
    spread = max(np.trace(each) for each in exact.products)
    naive.close(found.counts, exact.counts, scale, relative)
    naive.close(found.sums, exact.sums, np.sqrt(scale * spread), relative)
    family = parameters.family
    if found.shared is None:
        naive.close(found.scatter, family.pack_scatter(exact.products), spread, relative)
    else:
        naive.close(found.shared, family.of_scatter(exact.products.sum(axis=0)), spread, relative)
    naive.close(found.log_likelihood, exact.log_likelihood, abs(exact.log_likelihood), relative)
    size = scale * rows.shape[1]
    naive.close(found.entropy_of_missing, exact.entropy_of_missing, size, relative)
    naive.close(found.lacking, naive.counts_lacking(exact, rows, weights), scale, relative)


def incomplete_rows(generator, parameters, n_rows=400):
    """Rows of a few patterns and of many, some complete, some with nothing."""
    rows = naive.random_rows(generator, parameters, n_rows)
    half = n_rows // 2
    rows[:half] = naive.with_missing(generator, rows[:half], n_patterns=3)
    rows[half:] = naive.with_missing(generator, rows[half:])
    rows[half : half + 3] = np.nan
    return rows


@each_family
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("wider", [1.0, 1e9], ids=["features", "centred"])
def test_expected_statistics_are_those_of_regression(covariance_type, weighted, wider, way):
    generator = np.random.default_rng(1)
    parameters = naive.random_parameters(generator, covariance_type, 3, 4)
    rows = incomplete_rows(generator, parameters)
    weights = generator.gamma(1.0, size=len(rows)) if weighted else None
    ready = stacked([parameters], rows, wider=wider)
    assert bool(ready.centred) == (wider > 1.0)
    (found,) = kernels.expect(ready, chunks_of(rows, weights, 90, 90, 210))
    assert_expected(found, ready, parameters, rows, weights)


@each_family
def test_one_narrow_component(covariance_type, way):
    """Beside wide ones, and far from the centre: its sums are about its own mean, however rows are cut."""
    generator = np.random.default_rng(2)
    parameters = naive.random_parameters(generator, covariance_type, 3, 3)
    covariances = np.array(parameters.covariances)
    covariances[... if parameters.family.is_shared else 1] *= 1e-16
    narrow = type(parameters).from_covariances(
        parameters.family, parameters.weights, 100.0 + parameters.means, covariances
    )
    rows = incomplete_rows(generator, narrow)
    ready = stacked([narrow], rows)
    assert ready.centred
    (found,) = kernels.expect(ready, [(rows, None)])
    assert_expected(found, ready, narrow, rows, relative=1e-7)
    exact = naive.expect_incomplete(narrow, rows, None, found.references)
    own = exact.products[1] if found.shared is None else exact.products.sum(axis=0)
    if found.shared is None and not parameters.family.is_shared:
        naive.close(found.scatter[1], parameters.family.pack_scatter(own), np.trace(own), 1e-6)


def test_several_models_and_weights_of_each(way):
    generator = np.random.default_rng(3)
    names = ["tied", "full", "diag", "tied_diag", "full", "spherical", "tied_spherical"]
    models = [naive.random_parameters(generator, name, 1 + index % 3, 3) for index, name in enumerate(names)]
    rows = np.concatenate([incomplete_rows(generator, model, 100) for model in models])
    weights = generator.gamma(1.0, size=(len(models), len(rows)))
    ready = stacked(models, rows)
    for own, of in ((weights, weights), (weights[0], [weights[0]] * len(models))):
        found = kernels.expect(ready, chunks_of(rows, own, 333))
        for statistics, model, each in zip(found, models, of, strict=True):
            assert_expected(statistics, ready, model, rows, each)


@each_family
def test_float32_rows(covariance_type, way):
    generator = np.random.default_rng(4)
    parameters = naive.random_parameters(generator, covariance_type, 3, 4)
    rows = incomplete_rows(generator, parameters).astype(np.float32)
    ready = stacked([parameters], rows)
    assert ready.dtype == np.float32
    (found,) = kernels.expect(ready, [(rows, None)])
    assert_expected(found, ready, parameters, rows, relative=1e-5)


@each_family
def test_complete_rows_are_as_ever(covariance_type):
    """Rows that lack nothing, where some might: the statistics are those of complete rows, completed."""
    generator = np.random.default_rng(5)
    parameters = naive.random_parameters(generator, covariance_type, 3, 4)
    rows = naive.random_rows(generator, parameters, 1000)
    ready = stacked([parameters], rows)
    (found,) = kernels.expect(ready, [(rows, None)])
    assert ready.extent is not None
    plain = stack_models([parameters], ready.centre, ready.extent, np.float64)
    (wanted,) = kernels.expect(plain, [(rows, None)])
    wanted = wanted.completed(naive.total_scatter(rows, None, ready.centre), parameters.precisions_cholesky)
    for name in ("counts", "sums", "scatter", "log_likelihood"):
        np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), rtol=1e-12, atol=1e-9)
    assert found.entropy_of_missing == 0.0
    assert (found.shared is None) == (wanted.shared is None)
    if wanted.shared is not None and found.shared is not None:
        np.testing.assert_allclose(found.shared, wanted.shared, rtol=1e-12, atol=1e-9)


@settings(max_examples=30)
@given(
    st.sampled_from(naive.COVARIANCE_TYPES),
    st.integers(0, 2**31),
    st.integers(1, 5),
    st.lists(st.integers(0, 300), max_size=4),
)
def test_rows_may_come_in_any_order_and_cut(covariance_type, seed, n_features, cuts):
    generator = np.random.default_rng(seed)
    parameters = naive.random_parameters(generator, covariance_type, 2, n_features)
    rows = naive.with_missing(generator, naive.random_rows(generator, parameters, 300), n_patterns=6)
    rows[:, np.isnan(rows).all(axis=0)] = 0.0
    ready = stacked([parameters], rows)
    (whole,) = kernels.expect(ready, [(rows, None)])
    shuffled = generator.permutation(rows)
    (cut,) = kernels.expect(ready, chunks_of(shuffled, None, *sorted(cuts)))
    parts = [kernels.expect(ready, [chunk])[0] for chunk in chunks_of(shuffled, None, *sorted(cuts))]
    added = parts[0]
    for part in parts[1:]:
        added = added + part
    assert ready.extent is not None
    scale = 300.0 * (1.0 + ready.extent.max() ** 2)
    for other in (cut, added):
        for name in ("counts", "sums", "scatter", "log_likelihood", "entropy_of_missing"):
            naive.close(getattr(other, name), getattr(whole, name), scale, 1e-12)
        if whole.shared is not None:
            naive.close(other.shared, whole.shared, scale, 1e-12)


def test_what_waits_is_worked_off(monkeypatch):
    """Memory is bounded: rows that wait for others of their patterns are evaluated when they are many."""
    generator = np.random.default_rng(6)
    parameters = naive.random_parameters(generator, "full", 2, 3)
    rows = naive.with_missing(generator, naive.random_rows(generator, parameters, 900))
    ready = stacked([parameters], rows)
    waiting = []
    work_off = incomplete._Work._work_off
    monkeypatch.setattr(incomplete, "fewest_rows", lambda models, by: np.inf)
    monkeypatch.setattr(incomplete, "GROUPED_BYTES", 100 * rows.shape[1] * rows.itemsize)
    monkeypatch.setattr(incomplete, "WAITING_BYTES", 5000)
    monkeypatch.setattr(
        incomplete._Work, "_work_off", lambda self: (waiting.append(self.n_bytes), work_off(self))
    )
    (found,) = kernels.expect(ready, [(rows, None)])
    assert len(waiting) == 10
    of_patterns = 8 * (incomplete.PART_BYTES + 3 + 2 * 8)
    assert max(waiting) < 5000 + 100 * (3 + 1) * 8 + of_patterns
    assert_expected(found, ready, parameters, rows)


@pytest.mark.parametrize("at_most", [2**25, 5000])
@pytest.mark.parametrize("covariance_type", ["full", "tied"])
def test_patterns_of_rows_in_order_are_made_ready_together(covariance_type, at_most, monkeypatch):
    """Each piece of the rows has one or two patterns: they are held, no more of them than memory is for."""
    generator = np.random.default_rng(9)
    parameters = naive.random_parameters(generator, covariance_type, 2, 3)
    rows = naive.with_missing(generator, naive.random_rows(generator, parameters, 300), n_patterns=7)
    rows = rows[by_pattern(rows)]
    n_patterns = len(np.unique(np.isnan(rows), axis=0))
    made, make_ready = [], incomplete._Work._make_ready

    def counted(work, keys):
        made.extend([len(keys)] if keys else [])
        make_ready(work, keys)

    monkeypatch.setattr(incomplete, "can_come", lambda stack: [])
    monkeypatch.setattr(incomplete, "fewest_rows", lambda models, by: 0.0)
    monkeypatch.setattr(incomplete, "GROUPED_BYTES", 30 * rows.shape[1] * rows.itemsize)
    monkeypatch.setattr(incomplete, "WAITING_BYTES", at_most)
    monkeypatch.setattr(incomplete._Work, "_make_ready", counted)
    ready = stacked([parameters], rows)
    (found,) = kernels.expect(ready, chunks_of(rows, None, 100, 180))
    assert sum(made) == n_patterns
    assert len(made) == 1 if at_most == 2**25 else 1 < len(made) < n_patterns
    assert_expected(found, ready, parameters, rows)


def test_a_stack_that_has_been_used_travels(monkeypatch):
    """What tasks share of a stack in a process is made anew in another."""
    monkeypatch.setattr(incomplete, "fewest_rows", lambda models, by: 0.0)
    generator = np.random.default_rng(8)
    parameters = naive.random_parameters(generator, "full", 2, 3)
    rows = incomplete_rows(generator, parameters)
    ready = stacked([parameters], rows)
    (first,) = kernels.expect(ready, [(rows, None)])
    assert ready.ready
    (again,) = kernels.expect(pickle.loads(pickle.dumps(ready)), [(rows, None)])
    for name in ("counts", "sums", "scatter", "log_likelihood"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))


@pytest.mark.parametrize("wider", [1.0, 1e9], ids=["features", "centred"])
@each_family
def test_what_was_evaluated_before_has_no_part_in_it(covariance_type, wider, monkeypatch):
    """Tasks share the patterns that one has made ready: the bits are the same, whichever came first."""
    monkeypatch.setattr(incomplete, "fewest_rows", lambda models, by: 0.0)
    generator = np.random.default_rng(11)
    parameters = naive.random_parameters(generator, covariance_type, 3, 5)
    rows = naive.with_missing(generator, naive.random_rows(generator, parameters, 900))
    (wanted,) = kernels.expect(stacked([parameters], rows, wider=wider), [(rows, None)])
    used = stacked([parameters], rows, wider=wider)
    kernels.expect(used, [(rows[-20:], None)])
    (found,) = kernels.expect(used, [(rows, None)])
    for name in ("counts", "sums", "scatter", "shared", "log_likelihood", "entropy_of_missing"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))


def test_a_model_without_a_factor_fails_for_itself(monkeypatch):
    """Where the order of features decides whether a covariance is positive definite, others do not suffer."""

    def refused(stack, models, known, by):
        raise DegenerateCovarianceError(0)

    generator = np.random.default_rng(9)
    parameters = naive.random_parameters(generator, "full", 2, 3)
    rows = incomplete_rows(generator, parameters)
    broken = replace(parameters, covariances=parameters.covariances - 9.0 * np.eye(3))
    ready = stacked([broken, parameters], rows)
    monkeypatch.setattr(incomplete, "fewest_rows", lambda models, by: 0.0)
    monkeypatch.setattr(incomplete.Marginals, "of", refused)
    bad, good = kernels.expect(ready, [(rows, None)])
    assert np.isnan(bad.log_likelihood)
    assert_expected(good, ready, parameters, rows)


def test_all_families_are_tested():
    assert set(naive.COVARIANCE_TYPES) == set(FAMILIES)
