# pyright: reportPrivateUsage=false
"""The compiled loop against NumPy's."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgmm import kernels
from dgmm.kernels import compiled
from dgmm.kernels.stack import stack_models
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Moments
from tests.model import naive

pytest.importorskip("numba")


from dgmm.model.families import FAMILIES


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
def test_statistics_are_those_of_numpy(
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
    found = {}
    for way in "01":
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DGMM_COMPILED", way)
            assert compiled.is_available() == (way == "1")
            cut = n_rows // 3
            parts = [slice(0, cut), slice(cut, n_rows)]
            chunks = [(rows[part], None if weights is None else weights[..., part]) for part in parts]
            found[way] = kernels.expect(ready, chunks)
    tolerance = 1e-11 if ready.dtype == np.float64 else 2e-4
    total = np.abs(rows).max(initial=1.0).astype(float)
    for ours, theirs in zip(found["1"], found["0"], strict=True):
        np.testing.assert_array_equal(ours.references, theirs.references)
        for name, power in (("counts", 0), ("sums", 1), ("scatter", 2)):
            value, expected = getattr(ours, name), getattr(theirs, name)
            assert value.shape == expected.shape
            naive.close(value, expected, max(n_rows, 1) * total**power * 10, tolerance)
        assert ours.log_likelihood == pytest.approx(
            theirs.log_likelihood, rel=tolerance, abs=n_rows * tolerance
        )


@pytest.mark.parametrize("spread", [1.0, 30.0])
def test_rows_are_gathered_where_few_responsibilities_are_not_zero(spread, monkeypatch):
    """All sums are then in the buffers, for components that are apart, and none for those that overlap."""
    generator = np.random.default_rng(1)
    model = naive.random_parameters(generator, "full", 8, 24, spread=spread)
    rows = naive.random_rows(generator, model, 2000)
    moments = Moments.of(rows)
    ready = stack_models([model], moments.mean, moments.extent, np.float64)
    group = compiled.CompiledGroup(ready, ready.groups[0])
    group.add(rows, None)
    gathered = group.sums.gathered[:, 0, 0].sum()
    assert gathered == pytest.approx(2000.0 if spread == 30.0 else 0.0)
    assert group.feature_sums()[:, 0].sum() == pytest.approx(2000.0)
    monkeypatch.setattr(compiled, "GATHERS_FROM", 25)
    (dense,) = kernels.expect(ready, [(rows, None)])
    naive.close(group.feature_sums()[:, 25:], dense.scatter, np.abs(dense.scatter).max(), 1e-12)


def test_threads_share_nothing():
    generator = np.random.default_rng(2)
    model = naive.random_parameters(generator, "full", 5, 21, spread=20.0)
    rows = naive.random_rows(generator, model, 20_000)
    moments = Moments.of(rows)
    ready = stack_models([model], moments.mean, moments.extent, np.float64)
    (alone,) = kernels.expect(ready, [(rows, None)])
    with ThreadPoolExecutor(4) as threads:
        for (found,) in threads.map(lambda _: kernels.expect(ready, [(rows, None)]), range(16)):
            np.testing.assert_array_equal(found.scatter, alone.scatter)
            assert found.log_likelihood == alone.log_likelihood


def test_components_of_no_weight_have_no_rows():
    generator = np.random.default_rng(3)
    model = naive.random_parameters(generator, "full", 3, 2)
    weights = np.array([0.4, 0.0, 0.6])
    model = Parameters.from_covariances(FAMILIES["full"], weights, model.means, model.covariances)
    rows = naive.random_rows(generator, model, 500)
    moments = Moments.of(rows)
    for extent in (moments.extent, np.full(2, 1e9)):  # from features, and from deviations
        ready = stack_models([model], moments.mean, extent, np.float64)
        with np.errstate(divide="ignore"):
            (found,) = kernels.expect(ready, [(rows, None)])
        assert found.counts[1] == 0.0
        assert found.counts.sum() == pytest.approx(500.0)
