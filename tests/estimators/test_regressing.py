"""Some features of rows, given others."""
# pyright: reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import xarray as xr
import zarr
from numpy.testing import assert_allclose

import dgmm
from dgmm import GaussianMixture
from tests.estimators.test_imputing import NAMES, Nothing, by_hand, complete_rows, each_family
from tests.model import naive


@each_family
def test_regression_is_that_of_the_conditional_mixture(covariance_type):
    mixture = by_hand(covariance_type)
    rows = complete_rows(mixture, 20)
    for targets in ([1], [2, 0]):
        known = [i for i in range(3) if i not in targets]
        found = mixture.regress(rows[:, known], targets)
        assert found.mean.shape == (20, len(targets))
        for row, mean, covariance in zip(rows, found.mean, found.covariance, strict=True):
            given = mixture.condition({i: row[i] for i in known}).marginal(
                [sorted(targets).index(i) for i in targets]
            )
            expected = given.weights_ @ given.means_
            gaps = given.means_ - expected
            exact = np.einsum("k,kij->ij", given.weights_, naive.matrices_of(given._parameters))
            assert_allclose(mean, expected, rtol=1e-9, atol=1e-9)
            assert_allclose(covariance, exact + (given.weights_ * gaps.T) @ gaps, rtol=1e-8, atol=1e-9)


def test_regression_of_one_component_is_least_squares():
    """The limit of rows without noise of their own: the line of numpy.linalg.lstsq."""
    rows = complete_rows(by_hand(), 500)
    mixture = GaussianMixture(reg_covar=0.0).fit(rows)
    design = np.column_stack([np.ones(500), rows[:, 1:]])
    line = np.linalg.lstsq(design, rows[:, 0])[0]
    found = mixture.regress(rows[:, 1:], targets=0)
    assert_allclose(found.mean[:, 0], design @ line, rtol=1e-9, atol=1e-9)
    assert_allclose(found.covariance[:, 0, 0], ((rows[:, 0] - design @ line) ** 2).mean(), rtol=1e-9)


def test_what_is_not_known_is_integrated_out():
    """By NaN in a row, or as a feature that is neither known nor a target: the same."""
    mixture = by_hand()
    rows = complete_rows(mixture, 10)
    found = mixture.regress(rows[:, [1]], targets=0, known=[1])
    holes = rows[:, 1:].copy()
    holes[:, 1] = np.nan
    for expected in (mixture.regress(holes, targets=0), mixture.marginal([1, 0]).regress(rows[:, [1]], 1)):
        assert_allclose(found.mean, expected.mean, rtol=1e-9)
        assert_allclose(found.covariance, expected.covariance, rtol=1e-9)
    turned = mixture.regress(rows[:, [2, 1]], targets=0, known=[2, 1])
    assert_allclose(turned.mean, mixture.regress(rows[:, 1:], targets=0).mean, rtol=1e-9)


def test_known_features_are_found_by_name(tmp_path):
    mixture = by_hand(names=NAMES)
    rows = complete_rows(mixture, 40)
    expected = by_hand().regress(rows[:, [0, 2]], targets=1)
    frame = pd.DataFrame(rows, columns=NAMES)[["c", "b", "a"]].assign(kind="star")
    frame.to_parquet(tmp_path / "rows.parquet")
    for x in (frame, frame[["c", "a"]], pl.from_pandas(frame), dd.from_pandas(frame, npartitions=3)):
        found = mixture.regress(x, targets="b")
        if isinstance(x, dd.DataFrame):
            assert found.mean.columns.tolist() == ["b"]
        assert_allclose(np.asarray(found.mean), expected.mean, rtol=1e-12)
        assert_allclose(np.asarray(found.covariance), expected.covariance, rtol=1e-12)
    with Nothing():
        found = mixture.regress(str(tmp_path / "rows.parquet"), targets="b")
    assert found.covariance.shape == (40, 1, 1)
    assert_allclose(found.mean.compute(), expected.mean, rtol=1e-12)
    assert_allclose(found.covariance.compute(), expected.covariance, rtol=1e-12)


def test_of_named_columns_those_that_are_there_are_known(tmp_path):
    """Whatever their order, what is beside them, and where they are; of no names, all columns."""
    mixture = by_hand(names=NAMES)
    rows = complete_rows(mixture, 40)
    expected = by_hand().regress(rows[:, [2]], targets=1, known=[2])
    some = pd.DataFrame({"kind": "star", "c": rows[:, 2], "b": 7.0})
    some.to_parquet(tmp_path / "rows.parquet")
    some.to_csv(tmp_path / "rows.csv", index=False)
    for x in (
        some,
        some[["c"]],
        pa.Table.from_pandas(some),
        pl.from_pandas(some).lazy(),
        dd.from_pandas(some, npartitions=3),
        xr.Dataset({name: ("row", some[name].to_numpy()) for name in ("c", "b")}),
        str(tmp_path / "rows.parquet"),
        str(tmp_path / "rows.csv"),
        dgmm.open_dataset(some[["c"]]),
    ):
        found = mixture.regress(x, targets="b")
        assert_allclose(np.asarray(found.mean), expected.mean, rtol=1e-9)
        assert_allclose(np.asarray(found.covariance), expected.covariance, rtol=1e-9)
    for wrong in (some[["kind", "b"]], some.rename(columns={"c": "C"})):
        with pytest.raises(ValueError, match=r"none of the features that are not targets, a, c; it has kind"):
            mixture.regress(wrong, targets="b")


def test_rows_without_names_may_have_all_features(tmp_path):
    mixture = by_hand()
    rows = complete_rows(mixture, 40)
    expected = mixture.regress(rows[:, [0, 2]], targets=1)
    zarr.save(tmp_path / "rows.zarr", rows)
    rows[:, 1] = np.nan
    for x in (rows, da.from_array(rows, chunks=(7, 2)), str(tmp_path / "rows.zarr")):
        assert_allclose(np.asarray(mixture.regress(x, targets=1).mean), expected.mean, rtol=1e-12)
        found = mixture.regress(x, targets=1, known=[2])
        assert_allclose(
            np.asarray(found.mean), mixture.regress(rows[:, [2]], targets=1, known=[2]).mean, rtol=1e-12
        )


def test_regression_of_what_xarray_has():
    mixture = by_hand(names=NAMES)
    rows = complete_rows(mixture, 12)
    expected = by_hand().regress(rows[:, :1], targets=[1, 2], known=[0])
    two = xr.Dataset({name: ("row", values) for name, values in zip(NAMES, rows.T, strict=True)})
    for x in (two, two.chunk(row=5)):
        found = mixture.regress(x, targets=["b", "c"])
        assert found.mean.dims == ("row", "target")
        assert found.covariance.dims == ("row", "target", "other_target")
        assert found.mean.target.values.tolist() == ["b", "c"]
        assert_allclose(found.mean.values, expected.mean, rtol=1e-12)
        assert_allclose(found.covariance.values, expected.covariance, rtol=1e-12)


def test_what_cannot_be_regressed():
    mixture, rows = by_hand(names=NAMES), np.ones((2, 2))
    for targets, known, message in (
        ([], None, "targets= names no feature"),
        (NAMES, None, "all features are targets"),
        (["a"], ["a", "b"], "'a' is both known and a target"),
        (["d"], None, "no feature 'd'"),
        (["a"], ["B"], "did you mean 'b'"),
        (["a"], [], "known= names no feature"),
    ):
        with pytest.raises(ValueError, match=message):
            mixture.regress(rows, targets, known=known)
    with pytest.raises(ValueError, match="X has 4 features, but GaussianMixture is expecting 2"):
        by_hand().regress(np.ones((2, 4)), targets=0)
