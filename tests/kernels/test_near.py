# pyright: reportPrivateUsage=false
"""Components that bounds leave out: the same answers as without, and as little left out as it says."""

from dataclasses import replace

import numpy as np
import pytest

from dgmm.kernels import bounds, compiled, near
from dgmm.kernels.compiled_group import CompiledGroup
from dgmm.kernels.kernel import Part
from dgmm.kernels.priors import RowPriors
from dgmm.kernels.stacking import stack_models
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Moments
from tests.model import naive

pytest.importorskip("dgmm.kernels.near_tiles")

N_FEATURES, N_COMPONENTS = 21, 9


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Blocks are short: of 100 rows, the first of 60; and few components are worth it."""
    tuning = replace(
        near.NEAR,
        trial_rows=60,
        fewest_rows=60,
        component_rows=11,
        most_near=0.5,
    )
    monkeypatch.setattr(near, "NEAR", tuning)
    monkeypatch.setattr(bounds, "BOUNDS", replace(bounds.BOUNDS, row_work=0.0, gather_work=0.0))
    monkeypatch.setenv("DGMM_COMPILED", "1")  # it is the compiled loop that leaves components out


def mixture(spread, n_components=N_COMPONENTS, n_features=N_FEATURES, seed=0):
    generator = np.random.default_rng(seed)
    model = naive.random_parameters(generator, "full", n_components, n_features)
    return replace(model, means=spread * generator.normal(size=(n_components, n_features)))


def drawn(model, n_rows, seed=1):
    return naive.random_rows(np.random.default_rng(seed), model, n_rows)


def ready_for(models, rows, *, leaves_out=True, **options):
    moments = Moments.of(rows)
    ready = stack_models(models, moments.mean, moments.extent, rows.dtype, **options)
    if not leaves_out:
        ready.ready.update({b"near %d" % number: None for number in range(len(models))})
    return ready


def n_near(ready, rows):
    """How many of some rows do not go the plain way."""
    group = CompiledGroup(ready, ready.groups[0])
    assert group.near is not None
    sums = group.sums.gathered if group.model.gathers else group.sums.features[:, None, :]
    return group.near.add(rows, np.empty(0), sums)[0]


def assert_same(found, wanted, relative=1e-12):
    for name in ("counts", "sums", "scatter", "log_likelihood"):
        one, other = np.asarray(getattr(found, name)), np.asarray(getattr(wanted, name))
        np.testing.assert_allclose(one, other, rtol=0, atol=relative * max(np.abs(other).max(), 1.0))


@pytest.mark.parametrize("weighted", ["no", "rows", "models"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_statistics_are_those_of_the_plain_way(dtype, weighted):
    """In stacks of several models too, where some components are narrow and some rows are of none."""
    model = mixture(4.0)
    widths = [np.where(np.arange(N_COMPONENTS) == 3, 1e-4, 1.0), np.full(N_COMPONENTS, 1.2)]
    models = [
        Parameters.from_covariances(
            FAMILIES["full"], model.weights, model.means, model.covariances * width[:, None, None]
        )
        for width in widths
    ]
    rows = np.concatenate([drawn(models[0], 310), drawn(models[1], 310), 50 * drawn(model, 20)])
    rows = np.random.default_rng(3).permutation(rows).astype(dtype)
    shape = {"no": None, "rows": (640,), "models": (2, 640)}[weighted]
    weights = None if shape is None else np.random.default_rng(2).gamma(1.0, size=shape)
    found, wanted = (
        compiled.expect(ready_for(models, rows, leaves_out=leaves_out), [(rows, weights)])
        for leaves_out in (True, False)
    )
    assert n_near(ready_for(models, rows), rows) == 640
    for one, other in zip(found, wanted, strict=True):
        assert_same(one, other, 1e-12 if dtype == np.float64 else 1e-6)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_features", [8, 21])
def test_statistics_of_independent_features_are_those_of_the_plain_way(n_features, weighted, monkeypatch):
    monkeypatch.setattr(bounds, "BOUNDS", replace(bounds.BOUNDS, diagonal_pair_work=0.0))
    generator = np.random.default_rng(5)
    model = naive.random_parameters(generator, "diag", 30, n_features)
    model = replace(model, means=9.0 * generator.normal(size=(30, n_features)))
    rows = drawn(model, 800)
    weights = generator.gamma(1.0, size=800) if weighted else None
    ready = ready_for([model], rows)
    assert n_near(ready, rows) == 800
    (found,) = compiled.expect(ready, [(rows, weights)])
    (wanted,) = compiled.expect(ready_for([model], rows, leaves_out=False), [(rows, weights)])
    assert_same(found, wanted)


def test_components_of_no_weight_have_no_rows():
    model = mixture(4.0)
    weights = np.append(np.full(N_COMPONENTS - 1, 1.0 / (N_COMPONENTS - 1)), 0.0)
    model = Parameters.from_covariances(FAMILIES["full"], weights, model.means, model.covariances)
    rows = drawn(model, 300)
    ready = ready_for([model], rows)
    assert n_near(ready, rows) == 300
    (found,) = compiled.expect(ready, [(rows, None)])
    (wanted,) = compiled.expect(ready_for([model], rows, leaves_out=False), [(rows, None)])
    assert_same(found, wanted)
    assert found.counts[-1] == 0.0


def test_rows_of_overlapping_components_go_the_plain_way_to_the_same_bits():
    model = mixture(0.05)
    rows = drawn(model, 700)
    (found,) = compiled.expect(ready_for([model], rows), [(rows, None)])
    (wanted,) = compiled.expect(ready_for([model], rows, leaves_out=False), [(rows, None)])
    np.testing.assert_array_equal(found.scatter, wanted.scatter)


def test_rows_that_are_between_components_go_the_plain_way():
    """The model promises much, but the rows are near to all of it: the first of them tell."""
    model = mixture(6.0)
    between = drawn(model, 300) * 0.02 + model.means.mean(axis=0)
    own = drawn(model, 300)
    rows = np.concatenate([own[:200], between, own[200:]])
    ready = ready_for([model], rows)
    assert n_near(ready, rows) < 300
    (found,) = compiled.expect(ready, [(rows, None)])
    (wanted,) = compiled.expect(ready_for([model], rows, leaves_out=False), [(rows, None)])
    assert_same(found, wanted)


def test_room_for_pairs_is_not_exceeded(monkeypatch):
    """With room for one more pair than the first rows are, rows that have two are left."""
    monkeypatch.setattr(near, "_most_pairs", lambda _: 61)
    model = mixture(4.0)
    twin = replace(
        model,
        weights=np.append(model.weights, model.weights[:1]) / (1.0 + model.weights[0]),
        means=np.concatenate([model.means, model.means[:1]]),
        covariances=np.concatenate([model.covariances, model.covariances[:1]]),
        precisions_cholesky=np.concatenate([model.precisions_cholesky, model.precisions_cholesky[:1]]),
    )
    rows = drawn(twin, 300)
    ready = ready_for([twin], rows)
    assert n_near(ready, rows) == 0
    (found,) = compiled.expect(ready, [(rows, None)])
    (wanted,) = compiled.expect(ready_for([twin], rows, leaves_out=False), [(rows, None)])
    np.testing.assert_array_equal(found.scatter, wanted.scatter)


def test_log_priors_go_the_plain_way():
    model = mixture(4.0)
    rows = drawn(model, 200)
    priors = RowPriors((np.zeros((N_COMPONENTS, 1)),), np.zeros(200, np.int64), np.zeros(200, np.int64))
    ready = ready_for([model], rows)
    (found,) = compiled.expect(ready, [Part(rows, None, priors)])
    (wanted,) = compiled.expect(ready_for([model], rows, leaves_out=False), [(rows, None)])
    np.testing.assert_array_equal(found.scatter, wanted.scatter)


def test_little_work_goes_the_plain_way():
    model = mixture(4.0)
    rows = drawn(model, 200)
    assert n_near(ready_for([model], rows, n_rows=10**7), rows) == 200
    ready = ready_for([model], rows, n_rows=200)
    assert CompiledGroup(ready, ready.groups[0]).near is None


def test_what_is_left_out_is_as_little_as_it_says():
    """One component has next to nothing of rows that lie ever nearer to it, around where it is left out."""
    generator = np.random.default_rng(4)
    model = mixture(3.0)
    weights = np.full(N_COMPONENTS, 1.0 / N_COMPONENTS)
    model = Parameters.from_covariances(
        FAMILIES["full"], weights, model.means, np.repeat(np.eye(N_FEATURES)[None], N_COMPONENTS, axis=0)
    )
    gap = model.means[0] - model.means[1]
    share = generator.uniform(-1.0, 0.4, 3000)  # of the way from the second component to the first
    rows = model.means[1] + share[:, None] * gap
    rows += 0.1 * generator.normal(size=rows.shape)
    joint = naive.exact_log_joint(model, rows).astype(np.longdouble)
    exact = np.exp(joint - joint.max(axis=1, keepdims=True))
    exact /= exact.sum(axis=1, keepdims=True)
    behind = -np.log(exact[:, 0])
    margin = bounds.margin_of(N_COMPONENTS)
    assert np.count_nonzero(np.abs(behind - margin) < 3.0) > 20  # rows on both sides, and near
    assert np.count_nonzero(behind < margin) > 100
    ready = ready_for([model], rows)
    assert n_near(ready, rows) == 3000
    for row, own in zip(rows[:40], exact[:40], strict=True):
        (found,) = compiled.expect(ready, [(np.repeat(row[None], 60, axis=0), None)])
        assert (np.abs(found.counts - 60 * own) <= 60 * bounds.BOUNDS.left_out + 1e-11 * 60 * own).all()
    (found,) = compiled.expect(ready, [(rows, None)])
    wanted = exact.sum(axis=0)
    assert (np.abs(found.counts - wanted) <= 3000 * bounds.BOUNDS.left_out + 1e-11 * wanted).all()
