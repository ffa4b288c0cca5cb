"""Full components of many features: against the formulas of the reference kernel, and tables of features."""

from dataclasses import replace

import numpy as np
import pytest

from dgmm import kernels
from dgmm.kernels import KERNELS, blocks, reference, stack, stacking, whitened
from dgmm.kernels.kernel import Part
from dgmm.kernels.priors import RowPriors
from dgmm.kernels.stacking import blank_stack, stack_models
from dgmm.model import matrices
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import LOG_OF_NOTHING
from dgmm.model.statistics import Moments
from tests.memory import traced_peak
from tests.model import naive

N_FEATURES = 12


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Components of few features are whitened, and their triangles left to BLAS; pieces are short."""
    tuning = replace(stacking.STACKING, whitened_features=N_FEATURES, tabled_features=0)
    monkeypatch.setattr(stacking, "STACKING", tuning)
    wide = replace(
        matrices.MATRICES, wide_features=N_FEATURES, indexed_features=N_FEATURES, compiled_features=0
    )
    monkeypatch.setattr(matrices, "MATRICES", wide)
    monkeypatch.setattr(whitened, "WHITENED", replace(whitened.WHITENED, piece_rows=37, leading_share=0.25))


def mixture(n_components, spread, n_features=N_FEATURES, seed=0):
    """A mixture whose components overlap, or lie so far apart that few rows are near two."""
    generator = np.random.default_rng(seed)
    model = naive.random_parameters(generator, "full", n_components, n_features)
    return replace(model, means=spread * generator.normal(size=(n_components, n_features)))


def ready_for(models, rows, **options):
    moments = Moments.of(rows)
    return stack_models(models, moments.mean, moments.extent, rows.dtype, **options)


def assert_same(found, wanted, relative=1e-12):
    for name in ("counts", "sums", "scatter", "log_likelihood"):
        one, other = np.asarray(getattr(found, name)), np.asarray(getattr(wanted, name))
        np.testing.assert_allclose(one, other, rtol=0, atol=relative * max(np.abs(other).max(), 1.0))


@pytest.mark.parametrize("weighted", ["no", "rows", "models"])
@pytest.mark.parametrize("spread", [0.3, 3.0, 300.0])
@pytest.mark.parametrize("n_components", [1, 3, 9])
def test_statistics_are_those_of_the_formulas(n_components, spread, weighted):
    """Whether all components have all rows, or bounds tell that most have none of them."""
    generator = np.random.default_rng(1)
    models = [mixture(n_components, spread), mixture(4, spread, seed=1)]
    rows = naive.random_rows(generator, models[0], 500)
    shape = {"no": None, "rows": 500, "models": (2, 500)}[weighted]
    weights = None if shape is None else generator.gamma(1.0, size=shape)
    ready = ready_for(models, rows)
    assert all(group.is_whitened for group in ready.groups)
    assert ready.n_table == 2  # no products of features
    wanted = reference.expect(ready, [(rows, weights)])
    cut = [
        (rows[part], None if weights is None else weights[..., part]) for part in (slice(90), slice(90, 500))
    ]
    for kernel in KERNELS.values():
        if kernel.missing() is None:
            for found, expected in zip(kernel.expect(ready, cut), wanted, strict=True):
                assert_same(found, expected)


@pytest.mark.parametrize("spread", [0.3, 3.0, 300.0])
def test_the_table_of_features_gives_the_same(spread, monkeypatch):
    """On both sides of the number of features from which components are whitened."""
    model = mixture(5, spread)
    rows = naive.random_rows(np.random.default_rng(2), model, 400)
    (found,) = blocks.expect(ready_for([model], rows), [(rows, None)])
    monkeypatch.setattr(stacking, "STACKING", replace(stacking.STACKING, whitened_features=N_FEATURES + 1))
    with_table = ready_for([model], rows)
    assert not any(group.is_whitened for group in with_table.groups)
    (wanted,) = blocks.expect(with_table, [(rows, None)])
    assert with_table.n_narrow == 0
    assert_same(found, wanted, 1e-11)
    np.testing.assert_array_equal(found.references, wanted.references)


def test_the_compiled_loop_has_a_table_of_more_features(monkeypatch):
    """Where there is one, all models have components enough, and the sums of none would cancel."""
    tuning = replace(stacking.STACKING, tabled_features=N_FEATURES + 1, tabled_components=4)
    monkeypatch.setattr(stacking, "STACKING", tuning)
    monkeypatch.setenv("DGMM_COMPILED", "1")
    monkeypatch.delenv("DGMM_KERNEL", raising=False)
    is_there = KERNELS["compiled"].missing() is None
    model, small = mixture(5, 1.0), mixture(3, 1.0)
    rows = naive.random_rows(np.random.default_rng(11), model, 300)

    def is_whitened(models, **options):
        return any(group.is_whitened for group in ready_for(models, rows, **options).groups)

    assert is_whitened([model]) is not is_there
    for given in ({"n_rows": 300}, {"references": [model.means]}):
        assert is_whitened([model], **given)
    assert is_whitened([model, small])
    narrow = model.covariances * np.where(np.arange(5) == 2, 1e-18, 1.0)[:, None, None]
    assert is_whitened([type(model).from_covariances(model.family, model.weights, model.means, narrow)])
    wider = mixture(5, 1.0, n_features=N_FEATURES + 1)
    others = naive.random_rows(np.random.default_rng(11), wider, 300)
    assert all(group.is_whitened for group in ready_for([wider], others).groups)
    ready = ready_for([model], rows)
    assert_same(kernels.expect(ready, [(rows, None)])[0], reference.expect(ready, [(rows, None)])[0])
    monkeypatch.setenv("DGMM_KERNEL", "numpy")
    assert is_whitened([model])
    monkeypatch.delenv("DGMM_KERNEL")
    monkeypatch.setenv("DGMM_COMPILED", "0")
    assert is_whitened([model])


def test_most_rows_are_left_out_where_clusters_are_apart(monkeypatch):
    """A row is evaluated with the component that has it, and hardly with another."""
    evaluated = []
    exact = whitened.WhitenedDensities._exact

    def counted(self, rows, which, number):
        evaluated.append(len(rows) if which is None else len(which))
        return exact(self, rows, which, number)

    monkeypatch.setattr(whitened.WhitenedDensities, "_exact", counted)
    for spread, most in ((300.0, 1.01), (0.3, 10.01)):
        model = mixture(9, spread)
        rows = naive.random_rows(np.random.default_rng(3), model, 600)
        ready = ready_for([model], rows)
        evaluated.clear()
        (found,) = blocks.expect(ready, [(rows, None)])
        assert len(rows) <= sum(evaluated) <= most * len(rows)
        assert_same(found, reference.expect(ready, [(rows, None)])[0])


def test_bounds_hold():
    """The leading features never say that a row is farther from a component than it is."""
    model = mixture(6, 1.0)
    rows = naive.random_rows(np.random.default_rng(4), model, 200)
    ready = ready_for([model], rows)
    densities = whitened.WhitenedDensities(ready, ready.groups[0], 1e-40)
    leading = np.ascontiguousarray(rows[:, : densities.n_leading])
    exact = naive.log_joint(model, rows)
    for number in range(6):
        assert (densities._bounds(leading, number) >= exact[:, number] - 1e-9).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_rows_are_said_to_be(dtype):
    """Log densities, responsibilities and labels: to far smaller ones than an E-step takes."""
    model = mixture(5, 2.0)
    rows = naive.random_rows(np.random.default_rng(5), model, 300).astype(dtype)
    ready = ready_for([model], rows)
    joint = naive.log_joint(model, rows.astype(np.float64))
    wanted = naive.split(joint)[1]
    found = [(shares.T.copy(), own.copy()) for shares, own in blocks.evaluate(ready, rows, negligible=1e-300)]
    shares, log_densities = (np.concatenate(each) for each in zip(*found, strict=True))
    error = 1e-9 if ready.dtype == np.float64 else 1e-3
    np.testing.assert_allclose(shares, wanted, rtol=error, atol=1e-300 if dtype == np.float64 else 1e-30)
    np.testing.assert_allclose(log_densities, np.logaddexp.reduce(joint, axis=1), rtol=error)
    labels = np.concatenate([part.copy() for part in blocks.label(ready, rows)])
    np.testing.assert_array_equal(labels, joint.argmax(axis=1))


def test_narrow_components_have_sums_about_their_own_means():
    """Densities do not cancel anyway; sums would."""
    model = mixture(4, 1.0)
    covariances = model.covariances.copy()
    covariances[1] *= 1e-18
    model = type(model).from_covariances(model.family, model.weights, model.means, covariances)
    rows = naive.random_rows(np.random.default_rng(6), model, 400)
    ready = ready_for([model], rows)
    assert (ready.n_narrow, ready.is_exact) == (1, False)
    (found,) = blocks.expect(ready, [(rows, None)])
    np.testing.assert_array_equal(found.references[1], model.means[1])
    np.testing.assert_array_equal(found.references[0], ready.centre)
    assert_same(found, reference.expect(ready, [(rows, None)])[0])
    own = rows[naive.log_joint(model, rows).argmax(axis=1) == 1] - model.means[1]
    np.testing.assert_allclose(found.covariances()[1], np.cov(own.T, bias=True), rtol=1e-9, atol=1e-24)
    points = [model.means + 0.5]
    about = ready_for([model], rows, references=points)
    assert about.is_exact
    assert_same(blocks.expect(about, [(rows, None)])[0], reference.expect(about, [(rows, None)])[0])


def test_given_responsibilities():
    generator = np.random.default_rng(7)
    rows, share = generator.normal(size=(300, N_FEATURES)), generator.uniform(size=(3, 300))
    share[0, ::2] = 0.0
    for points in (None, generator.normal(size=(3, N_FEATURES))):
        blank = blank_stack(FAMILIES["full"], 3, np.ones(N_FEATURES), points)
        found = kernels.assign(blank, [(rows, None)], lambda part, start: share[:, start : start + len(part)])
        about = np.ones((3, N_FEATURES)) if points is None else points
        gaps = rows - about[:, None, :]
        np.testing.assert_allclose(found.counts, share.sum(axis=1), rtol=1e-13)
        np.testing.assert_allclose(found.sums, np.einsum("kn,knd->kd", share, gaps), rtol=1e-10, atol=1e-10)
        scatter = np.einsum("kn,kni,knj->kij", share, gaps, gaps)
        np.testing.assert_allclose(found.scatter, matrices.pack(scatter), rtol=1e-10, atol=1e-10)


def test_which_kernel_is_chosen(monkeypatch):
    """BLAS where components are whitened, and where there are too many features for the loop."""
    monkeypatch.delenv("DGMM_KERNEL", raising=False)
    rows = np.random.default_rng(8).normal(size=(20, N_FEATURES))
    full, diag = mixture(2, 1.0), naive.random_parameters(np.random.default_rng(8), "diag", 2, N_FEATURES)
    assert kernels.kernel_for(ready_for([diag, full], rows)) is blocks
    assert kernels.kernel_for(ready_for([diag], rows)) is kernels.chosen_kernel()
    assert kernels.kernel_for(ready_for([full], rows, may_lack=True)) is kernels.chosen_kernel()
    monkeypatch.setattr(stack, "STACK", replace(stack.STACK, blas_features=N_FEATURES))
    assert kernels.kernel_for(ready_for([diag], rows)) is blocks
    monkeypatch.setenv("DGMM_KERNEL", "reference")
    assert kernels.kernel_for(ready_for([diag], rows)) is reference


@pytest.mark.parametrize("spread", [0.3, 30.0])
@pytest.mark.parametrize("n_rows", [60, 1500])
def test_it_takes_no_more_memory_than_it_says(n_rows, spread, monkeypatch):
    """And of few rows, hardly more than parameters and their sums."""
    monkeypatch.undo()
    model = mixture(6, spread, n_features=200)
    rows = naive.random_rows(np.random.default_rng(9), model, n_rows)
    ready = ready_for([model], rows)
    blocks.expect(ready, [(rows[:10], None)])
    few = 2.5 * model.covariances.nbytes + 6 * rows[:512].nbytes + 8 * 10 * n_rows * 6
    most = min(kernels.working_bytes(ready) + 64 * 1024, few)
    assert traced_peak(lambda: blocks.expect(ready, [(rows, None)]), most) <= most


@pytest.mark.parametrize("spread", [0.3, 300.0])
def test_rows_may_be_known_to_be_of_the_farthest_component(spread):
    """Bounds leave none out where priors are to be added: they decide, however far the others are."""
    model = mixture(5, spread)
    rows = naive.random_rows(np.random.default_rng(10), model, 200)
    places = naive.log_joint(model, rows).argmin(axis=1)
    table = np.full((5, 5), LOG_OF_NOTHING)
    np.fill_diagonal(table, 0.0)
    ready = ready_for([model], rows)
    part = Part(rows, None, RowPriors((table,), places, np.zeros(len(rows), np.int64)))
    (found,) = blocks.expect(ready, [part])
    np.testing.assert_allclose(found.counts, np.bincount(places, minlength=5), rtol=1e-12, atol=1e-12)
    assert_same(found, reference.expect(ready, [part])[0])
