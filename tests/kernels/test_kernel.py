"""All kernels do what the protocol says, and the one door leads to the one that is chosen."""

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgmm import kernels
from dgmm.kernels import KERNELS
from dgmm.kernels.kernel import Kernel, Part, pieces_of
from dgmm.kernels.stacking import stack_models
from dgmm.model.statistics import Moments
from tests.memory import traced_peak
from tests.model import naive


@pytest.fixture
def kernel(each_kernel):
    return KERNELS[each_kernel]


@pytest.fixture
def environment(monkeypatch):
    """One that says nothing of kernels."""
    for name in ("DGMM_KERNEL", "DGMM_COMPILED"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_a_kernel_has_the_functions_of_the_protocol(kernel):
    for name, wanted in inspect.getmembers(Kernel, inspect.isfunction):
        if not name.startswith("_"):
            own = [*inspect.signature(getattr(kernel, name)).parameters]
            assert own == [*inspect.signature(wanted).parameters][1:], name


@pytest.mark.parametrize("name", KERNELS)
def test_the_environment_chooses_by_name(environment, name):
    if KERNELS[name].missing() is not None:
        pytest.skip("cannot run here")
    environment.setenv("DGMM_KERNEL", name)
    assert kernels.chosen_kernel() is KERNELS[name]


def test_without_a_name_the_fastest_that_can_run_is_chosen(environment):
    can_run = [kernel for kernel in KERNELS.values() if kernel.missing() is None]
    assert kernels.chosen_kernel() is can_run[0]
    environment.setenv("DGMM_COMPILED", "0")
    assert kernels.chosen_kernel() is KERNELS["numpy"]
    environment.setenv("DGMM_KERNEL", "")
    assert kernels.chosen_kernel() is KERNELS["numpy"]


def test_little_work_is_for_numpy_whatever_was_compiled(environment):
    """By its size alone, which tasks, threads and chunks do not change; by name all is for one kernel."""
    model = naive.random_parameters(np.random.default_rng(0), "full", 3, 2)
    few, many, unknown = (
        stack_models([model], np.zeros(2), np.ones(2), np.float64, n_rows=n) for n in (1000, 10**7, None)
    )
    assert few.work == 1000 * 3 * 6
    assert kernels.chosen_kernel(few.work) is KERNELS["numpy"]
    fastest = kernels.chosen_kernel()
    assert kernels.chosen_kernel(many.work) is kernels.chosen_kernel(unknown.work) is fastest
    environment.setenv("DGMM_KERNEL", "reference")
    assert kernels.chosen_kernel(few.work) is KERNELS["reference"]


def test_rows_that_lack_values_are_more_work_where_features_depend_on_each_other():
    """As each is eliminated for itself: the cube of the features."""
    models = {
        name: naive.random_parameters(np.random.default_rng(0), name, 2, 8) for name in ("full", "diag")
    }
    works = {
        (name, lacks): stack_models([model], np.zeros(8), np.ones(8), float, may_lack=lacks, n_rows=10).work
        for name, model in models.items()
        for lacks in (False, True)
    }
    assert works["diag", True] == works["diag", False]
    assert works["full", True] - works["full", False] == pytest.approx(8 * 10 * 2 * 8**3)


def test_a_kernel_that_is_none_or_cannot_run_is_refused(environment):
    environment.setenv("DGMM_KERNEL", "fortran")
    with pytest.raises(ValueError, match="DGMM_KERNEL is 'fortran', which is not one of compiled, numpy"):
        kernels.chosen_kernel()
    environment.setenv("DGMM_KERNEL", "compiled")
    environment.setenv("DGMM_COMPILED", "0")
    with pytest.raises(ImportError, match=r"'compiled', which lacks Numba \(pip install 'dgmm\[fast\]'\)"):
        kernels.chosen_kernel()


@pytest.mark.parametrize("shape", [None, (100,), (3, 100)])
def test_pieces_are_all_rows_in_order(shape):
    """With their own weights, of all models alike or of each."""
    rows = np.arange(200.0).reshape(100, 2)
    weights = None if shape is None else np.random.default_rng(0).uniform(size=shape)
    found = [*pieces_of(Part(rows, weights), 7)]
    assert [len(part.rows) for part in found] == [7] * 14 + [2]
    np.testing.assert_array_equal(np.concatenate([part.rows for part in found]), rows)
    own = [part.weights for part in found if part.weights is not None]
    np.testing.assert_array_equal(own and np.concatenate(own, axis=-1), [] if weights is None else weights)
    assert [*pieces_of(Part(rows[:0]), 7)] == []


@pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)
def test_rows_are_evaluated_as_written_out(kernel, covariance_type):
    generator = np.random.default_rng(0)
    model = naive.random_parameters(generator, covariance_type, 3, 4)
    rows = naive.random_rows(generator, model, 300)
    moments = Moments.of(rows)
    ready = stack_models([model], moments.mean, moments.extent, np.float64)
    joint = naive.log_joint(model, rows)
    wanted = naive.split(joint)[1]
    features = kernel.features_of(ready, rows)
    found = np.concatenate([shares.T.copy() for shares, _ in kernel.evaluate(ready, rows, features)])
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)
    labels = np.concatenate([part.copy() for part in kernel.label(ready, rows)])
    np.testing.assert_array_equal(labels, joint.argmax(axis=1))
    (statistics,) = kernel.expect(ready, [(rows, None)], features)
    np.testing.assert_allclose(statistics.counts, wanted.sum(axis=0), rtol=1e-9)


def test_it_allocates_no_more_than_it_says(kernel):
    generator = np.random.default_rng(1)
    model = naive.random_parameters(generator, "full", 8, 6)
    rows = naive.random_rows(generator, model, 40_000)
    ready = stack_models([model], np.zeros(6), np.abs(rows).max(axis=0), np.float64)
    kernel.expect(ready, [(rows[:10], None)])  # what is compiled is compiled once
    most = kernel.working_bytes(ready) + 64 * 1024  # Python's own objects
    assert 0 < traced_peak(lambda: kernel.expect(ready, [(rows, None)]), most) <= most
    assert most < rows.nbytes * 8  # responsibilities of all rows alone take more


@given(
    seed=st.integers(0, 2**32 - 1),
    families=st.lists(st.sampled_from(naive.COVARIANCE_TYPES), min_size=1, max_size=4),
    n_features=st.sampled_from([1, 2, 3, 7, 8, 21, 30, 100]),
    n_rows=st.sampled_from([1, 5, 255, 256, 257, 1400]),
    weighted=st.sampled_from(["no", "rows", "models"]),
    narrow=st.booleans(),
    spread=st.sampled_from([1.0, 30.0]),
    rows_dtype=st.sampled_from([np.float64, np.float32]),
)
@settings(max_examples=80, deadline=None)
def test_all_kernels_give_the_same_statistics(
    *, seed, families, n_features, n_rows, weighted, narrow, spread, rows_dtype
):
    """Any families, tiles that are whole or not, with gathered rows or without, some components centred."""
    generator = np.random.default_rng(seed)
    models = [
        naive.random_parameters(generator, family, int(generator.integers(1, 12)), n_features, spread=spread)
        for family in families
    ]
    rows = np.concatenate([naive.random_rows(generator, model, n_rows) for model in models])
    rows = rows[:n_rows].astype(rows_dtype)
    shape = {"no": None, "rows": (n_rows,), "models": (len(models), n_rows)}[weighted]
    weights = None if shape is None else generator.gamma(1.0, size=shape)
    moments = Moments.of(rows)
    references = None
    if narrow:
        references = [model.means + generator.normal(size=model.means.shape) for model in models]
        references[0][::2] = np.nan
    ready = stack_models(models, moments.mean, moments.extent, rows_dtype, references=references)
    cut = n_rows // 3
    parts = [slice(0, cut), slice(cut, n_rows)]
    chunks = [(rows[part], None if weights is None else weights[..., part]) for part in parts]
    expected, *others = (each.expect(ready, chunks) for each in KERNELS.values() if each.missing() is None)
    for found in others:
        assert_close(found, expected, rows, 1e-11 if ready.dtype == np.float64 else 2e-4)


def assert_close(statistics, expected, rows, tolerance):
    """Compare what two kernels give for all models."""
    n_rows = len(rows)
    total = np.abs(rows).max(initial=1.0).astype(float)
    for ours, theirs in zip(statistics, expected, strict=True):
        np.testing.assert_array_equal(ours.references, theirs.references)
        for name, power in (("counts", 0), ("sums", 1), ("scatter", 2)):
            value, other = getattr(ours, name), getattr(theirs, name)
            assert value.shape == other.shape
            naive.close(value, other, max(n_rows, 1) * total**power * 10, tolerance)
        assert ours.log_likelihood == pytest.approx(
            theirs.log_likelihood, rel=tolerance, abs=n_rows * tolerance
        )
