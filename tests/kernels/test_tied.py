"""Incomplete rows of components that share a covariance matrix, against regression row by row."""

import numpy as np
import pytest

from dgmm.kernels import tied
from dgmm.kernels.kernel import Part
from dgmm.kernels.stacking import stack_models
from dgmm.model.parameters import Parameters
from tests.model import naive

pytest.importorskip("dgmm.kernels.tied_tiles")


@pytest.fixture(autouse=True)
def compiles(monkeypatch):
    """Whatever is asked for elsewhere."""
    monkeypatch.setenv("DGMM_COMPILED", "1")


def stacked(models, rows):
    centre = np.nanmean(rows, axis=0)
    return stack_models(models, centre, np.nanmax(np.abs(rows - centre), axis=0), np.float64, may_lack=True)


def assert_expected(parameters, parts, relative=1e-10):
    rows = np.concatenate([part.rows for part in parts])
    weights = np.concatenate([np.ones(len(p.rows)) if p.weights is None else p.weights for p in parts])
    work = tied.TiedRows(stacked([parameters], rows))
    for part in parts:
        work.add(part)
    found = work.statistics()
    exact = naive.expect_incomplete(parameters, rows, weights, found.references)
    scale, spread = exact.counts.sum(), np.trace(exact.products.sum(axis=0))
    assert found.shared is not None
    naive.close(found.counts, exact.counts, scale, relative)
    naive.close(found.sums, exact.sums, np.sqrt(scale * spread), relative)
    naive.close(found.shared, exact.products.sum(axis=0), spread, relative)
    naive.close(found.log_likelihood, exact.log_likelihood, abs(exact.log_likelihood), relative)
    naive.close(found.entropy_of_missing, exact.entropy_of_missing, scale * rows.shape[1], relative)
    assert found.lacking is not None
    naive.close(found.lacking, naive.counts_lacking(exact, rows, weights), scale, relative)


@pytest.mark.parametrize("n_features", [1, 3, 8, 21])
@pytest.mark.parametrize("n_components", [1, 5])
def test_rows_of_a_few_patterns_and_of_many(n_features, n_components):
    """In no order and together, some complete and some with nothing, more than a tile of them."""
    generator = np.random.default_rng(n_features)
    parameters = naive.random_parameters(generator, "tied", n_components, n_features)
    rows = naive.random_rows(generator, parameters, 700)
    few = naive.with_missing(generator, rows[:350], n_patterns=4)
    many = naive.with_missing(generator, rows[350:])
    many[:3] = np.nan
    assert_expected(parameters, [Part(few[np.argsort(np.isnan(few[:, 0]))]), Part(many)])


def test_weights_of_some_parts_and_rows_that_weigh_nothing():
    generator = np.random.default_rng(1)
    parameters = naive.random_parameters(generator, "tied", 3, 4)
    rows = naive.with_missing(generator, naive.random_rows(generator, parameters, 300))
    weights = generator.gamma(1.0, size=200)
    weights[::3] = 0.0
    assert_expected(parameters, [Part(rows[:200], weights), Part(rows[200:])])


def test_patterns_that_have_no_room_begin_anew(monkeypatch):
    """However many there are: by their number, and by that of their features."""
    generator = np.random.default_rng(2)
    parameters = naive.random_parameters(generator, "tied", 3, 6)
    rows = naive.with_missing(generator, naive.random_rows(generator, parameters, 500))
    monkeypatch.setattr(tied, "MOST_PATTERNS", 7)
    assert_expected(parameters, [Part(rows)])
    monkeypatch.setattr(tied, "MOST_PATTERNS", 500)
    monkeypatch.setattr(tied, "KEPT_NUMBERS", 9 * 11)
    assert_expected(parameters, [Part(rows)])


def test_more_features_than_bits():
    """Patterns that differ after the first 64 alone are told apart."""
    generator = np.random.default_rng(3)
    n_features = 131
    wide = naive.random_parameters(generator, "tied", 2, n_features)
    means = generator.normal(size=(2, n_features))
    parameters = Parameters.from_covariances(
        wide.family, wide.weights, means, np.eye(n_features) + 0.1 * wide.covariances / n_features
    )
    rows = naive.random_rows(generator, parameters, 90)
    for feature in (1, 65, 130):
        rows[generator.random(90) < 0.5, feature] = np.nan
    assert_expected(parameters, [Part(rows)])


def test_models_for_which_rows_can_come(monkeypatch):
    """A tied one alone, of many features, none of which is nearly known from others; no component centred."""
    generator = np.random.default_rng(4)
    models = [naive.random_parameters(generator, name, 2, 3) for name in naive.COVARIANCE_TYPES]
    rows = np.concatenate([naive.random_rows(generator, model, 50) for model in models])
    wanted = naive.COVARIANCE_TYPES.index("tied")
    ready = stacked(models, rows)
    assert tied.can_come(ready) == []
    monkeypatch.setattr(tied, "FEWEST_FEATURES", 3)
    assert tied.can_come(ready) == [wanted]
    assert tied.tied_bytes(ready) > 0
    given = models[wanted]
    twin = np.array(given.covariances)
    twin[0], twin[:, 0] = twin[1], twin[:, 1]
    twin[0, 0] = twin[1, 1] = twin[1, 1] + 1e-7
    near = Parameters.from_covariances(given.family, given.weights, given.means, twin)
    far = Parameters.from_covariances(given.family, given.weights, given.means, 1e-16 * given.covariances)
    for others in ([near], [far], [given, given]):
        assert tied.can_come(stacked(others, rows)) == []
    assert tied.can_come(stacked([given], rows)) == [0]
