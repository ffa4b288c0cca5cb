"""What must hold of a fit whatever the rows are: how they are held, cut, ordered, counted, moved and named.

The same bits are promised for the same cut, on whatever computes. Otherwise sums are taken in another order:
they differ by rounding, which EM steps carry on, and are held to `ROUNDING`.
"""
# pyright: reportArgumentType=false

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from dgmm import GaussianMixture

FAMILIES = ["full", "tied", "diag", "spherical", "tied_diag", "tied_spherical"]
SOURCES = ["memory", "zarr", "parquet", "csv", "dask"]
N_STEPS = 4

ROUNDING = 1e-9
"""Relative: sums of some hundred terms are exact to 1e-13, and one EM step on groups as near as these carries
an error on to the next no more than tenfold."""

quick = settings(max_examples=12, deadline=None, derandomize=True)

seeds = st.integers(0, 2**31 - 1)
families = st.sampled_from(FAMILIES)


def rows_of(seed: int, n_rows: int, n_features: int) -> np.ndarray:
    """Two groups of correlated features that overlap a little."""
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(n_rows, n_features)) @ (np.eye(n_features) + 0.3)
    rows[: n_rows // 3] += 4.0
    return generator.permutation(rows)


def hold(rows: np.ndarray, source: str, chunk: int, folder: Path) -> Any:
    """Put rows where a source finds them, so many at once."""
    names = [f"x{index}" for index in range(rows.shape[1])]
    if source == "memory":
        return rows
    if source == "zarr":
        zarr.create_array(folder / "rows.zarr", data=rows, chunks=(chunk, 1))
        return folder / "rows.zarr"
    if source == "dask":
        return da.from_array(rows, chunks=(chunk, rows.shape[1]))
    table = pd.DataFrame(rows, columns=names)
    if source == "csv":
        table.to_csv(folder / "rows.csv", index=False)
        return folder / "rows.csv"
    pq.write_table(pa.Table.from_pandas(table), folder / "rows.parquet", row_group_size=chunk)
    return folder / "rows.parquet"


def start_of(seed: int, covariance_type: str, n_features: int) -> dict[str, np.ndarray]:
    """Return two components near the groups: weights, means, covariance matrices that the family holds."""
    generator = np.random.default_rng(seed)
    means = generator.normal(size=(2, n_features)) + np.array([[0.0], [4.0]])
    widths = 1.0 + generator.random((2, n_features))
    if "spherical" in covariance_type:
        widths[:] = widths[:, :1]
    if covariance_type.startswith("tied"):
        widths[:] = widths[0]
    matrices = widths[:, :, None] * np.eye(n_features)
    return {"weights": np.array([0.4, 0.6]), "means": means, "matrices": matrices}


def precisions_of(covariance_type: str, matrices: np.ndarray) -> np.ndarray:
    """Return the precisions of covariance matrices in the family's form."""
    inverses = np.linalg.inv(matrices)
    diagonals = np.diagonal(inverses, axis1=1, axis2=2)
    forms = {
        "full": inverses,
        "tied": inverses[0],
        "diag": diagonals,
        "spherical": diagonals[:, 0],
        "tied_diag": diagonals[0],
        "tied_spherical": diagonals[0, 0],
    }
    return np.asarray(forms[covariance_type])


def matrices_of(model: GaussianMixture) -> np.ndarray:
    """Return the covariances as matrices."""
    n_components, n_features = model.means_.shape
    covariances, identity = model.covariances_, np.eye(n_features)
    if model.covariance_type == "full":
        return covariances
    if model.covariance_type == "tied":
        return np.stack([covariances] * n_components)
    widths = np.reshape(covariances, (-1, n_features if "diag" in model.covariance_type else 1))
    return np.broadcast_to(widths, (n_components, n_features))[:, :, None] * identity


def steps(x: Any, covariance_type: str, start: dict[str, np.ndarray], weights: Any = None) -> GaussianMixture:
    """Make a few steps of EM from a start, over rows that are not all in the sample."""
    model = GaussianMixture(
        2,
        covariance_type=covariance_type,
        algorithm="em",
        max_iter=N_STEPS,
        tol=0.0,
        reg_covar=0.0,
        weights_init=start["weights"],
        means_init=start["means"],
        precisions_init=precisions_of(covariance_type, start["matrices"]),
        sample_rows=10,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of so few steps
        return model.fit(x, sample_weight=weights)


def assert_same(found: GaussianMixture, weights: Any, means: Any, matrices: Any, lower_bound: float) -> None:
    scale = np.abs(matrices).max()
    np.testing.assert_allclose(found.weights_, weights, rtol=ROUNDING)
    np.testing.assert_allclose(
        found.means_, means, rtol=0, atol=ROUNDING * max(np.abs(means).max(), scale**0.5)
    )
    np.testing.assert_allclose(matrices_of(found), matrices, rtol=0, atol=ROUNDING * scale)
    assert found.lower_bound_ == pytest.approx(lower_bound, rel=ROUNDING, abs=ROUNDING)


def assert_equal(found: GaussianMixture, expected: GaussianMixture) -> None:
    own = (expected.weights_, expected.means_, matrices_of(expected), expected.lower_bound_)
    assert_same(found, *own)


@quick
@given(seeds, families, st.sampled_from(SOURCES), st.integers(1, 90))
def test_the_holder_and_the_cut_of_gathered_rows_do_not_matter(seed, covariance_type, source, chunk):
    rows = rows_of(seed, 80, 2)
    settings = {"covariance_type": covariance_type, "random_state": seed}
    expected = GaussianMixture(2, **settings).fit(rows)
    with tempfile.TemporaryDirectory() as folder:
        found = GaussianMixture(2, **settings).fit(hold(rows, source, chunk, Path(folder)))
    assert_equal(found, expected)
    assert found.data_fingerprint_ == expected.data_fingerprint_


@quick
@given(seeds, families, st.sampled_from(SOURCES), st.integers(1, 90))
def test_nor_do_those_of_rows_that_are_passed_over(seed, covariance_type, source, chunk):
    rows, start = rows_of(seed, 80, 2), start_of(seed, covariance_type, 2)
    expected = steps(rows, covariance_type, start)
    with tempfile.TemporaryDirectory() as folder:
        assert_equal(steps(hold(rows, source, chunk, Path(folder)), covariance_type, start), expected)


@quick
@given(seeds, families)
def test_the_order_of_rows_does_not_matter(seed, covariance_type):
    rows, start = rows_of(seed, 80, 3), start_of(seed, covariance_type, 3)
    other = np.random.default_rng(seed).permutation(rows)
    assert_equal(steps(other, covariance_type, start), steps(rows, covariance_type, start))


@quick
@given(seeds, families)
def test_a_row_as_often_as_its_weight_says(seed, covariance_type):
    rows, start = rows_of(seed, 60, 2), start_of(seed, covariance_type, 2)
    counts = np.random.default_rng(seed).integers(0, 4, size=60)
    repeated = np.repeat(rows, counts, axis=0)
    assert_equal(steps(rows, covariance_type, start, counts), steps(repeated, covariance_type, start))


@quick
@given(seeds, families)
def test_affine_maps_that_keep_the_family_map_the_mixture(seed, covariance_type):
    """All of them where covariances are matrices; else of each feature, or turns with one scale."""
    n_features, generator = 3, np.random.default_rng(seed)
    turn = np.linalg.qr(generator.normal(size=(n_features, n_features)))[0]
    scales = np.exp(generator.normal(size=n_features))
    if "spherical" in covariance_type:
        matrix = scales[0] * turn
    elif "diag" in covariance_type:
        matrix = np.diag(scales * generator.choice([-1.0, 1.0], n_features))
    else:
        matrix = turn @ np.diag(scales) @ turn.T + 0.1 * generator.normal(size=(n_features, n_features))
    shift = 10.0 * generator.normal(size=n_features)
    rows, start = rows_of(seed, 80, n_features), start_of(seed, covariance_type, n_features)
    mapped = {
        "weights": start["weights"],
        "means": start["means"] @ matrix.T + shift,
        "matrices": matrix @ start["matrices"] @ matrix.T,
    }
    plain = steps(rows, covariance_type, start)
    found = steps(rows @ matrix.T + shift, covariance_type, mapped)
    growth = np.linalg.slogdet(matrix)[1]
    assert_same(
        found,
        plain.weights_,
        plain.means_ @ matrix.T + shift,
        matrix @ matrices_of(plain) @ matrix.T,
        plain.lower_bound_ - growth,
    )


@quick
@given(seeds, families)
def test_orders_of_features_and_components_are_kept(seed, covariance_type):
    rows, start = rows_of(seed, 80, 3), start_of(seed, covariance_type, 3)
    order = np.random.default_rng(seed).permutation(3)
    across = np.ix_(np.array([1, 0]), order, order)
    other = {
        "weights": start["weights"][::-1],
        "means": start["means"][::-1, order],
        "matrices": start["matrices"][across],
    }
    plain = steps(rows, covariance_type, start)
    found = steps(rows[:, order], covariance_type, other)
    matrices = matrices_of(plain)[across]
    assert_same(found, plain.weights_[::-1], plain.means_[::-1, order], matrices, plain.lower_bound_)
