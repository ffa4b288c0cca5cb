"""Rows of xarray that are asked, and the same mixture that is asked about them."""

import subprocess
import sys
from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr

import dgmm.xarray
from dgmm import GaussianMixture, open_dataset
from dgmm.data import DataError

METHODS = ["predict", "predict_proba", "score_samples"]


@pytest.fixture
def data() -> xr.Dataset:
    rng = np.random.default_rng(0)
    far = np.where(np.arange(120) < 60, 0.0, 9.0).reshape(40, 3)
    return xr.Dataset(
        {name: (("y", "x"), far + rng.normal(size=far.shape)) for name in ("TEMP", "PSAL")},
        {"x": np.arange(3) * 0.5},
    )


@pytest.mark.parametrize("is_lazy", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_it_says_what_the_mixture_says(data: Any, method: str, is_lazy: bool):
    rows: Any = data.chunk(y=8) if is_lazy else data
    mixture = GaussianMixture(2, random_state=0)
    assert rows.dgmm.fit(mixture) is mixture
    np.testing.assert_array_equal(mixture.means_, GaussianMixture(2, random_state=0).fit(rows).means_)
    found = getattr(rows.dgmm, method)(mixture)
    assert isinstance(found.data, da.Array) == is_lazy
    xr.testing.assert_identical(found, getattr(mixture, method)(rows))
    assert found.dims[:2] == ("y", "x")


@pytest.mark.parametrize("method", METHODS)
def test_dimensions_and_columns_are_named(data: Any, method: str):
    named: Any = {"columns": ["TEMP"], "sample_dims": ["y"]}  # three features
    mixture = data.dgmm.fit(GaussianMixture(1), **named)
    assert mixture.means_.shape == (1, 3)
    expected = getattr(mixture, method)(open_dataset(data, **named))
    xr.testing.assert_identical(getattr(data.dgmm, method)(mixture, **named), expected)
    image = data["TEMP"]  # the last dimension numbers features, without names
    mixture = image.dgmm.fit(GaussianMixture(1))
    xr.testing.assert_identical(getattr(image.dgmm, method)(mixture), getattr(mixture, method)(image))


def test_what_is_beside_rows_gets_there(data: Any):
    weights = xr.where(data["x"] < 1, 1.0, 3.0).broadcast_like(data["TEMP"]).to_numpy()
    found = data.dgmm.fit(GaussianMixture(1), sample_weight=weights.ravel())
    expected = np.average(data["TEMP"], weights=weights)
    np.testing.assert_allclose(found.means_[0, 0], expected, rtol=1e-12)
    with pytest.raises(DataError, match="no column"):
        data.dgmm.predict(found, columns=["DEPTH", "TEMP"])


def test_xarray_is_imported_when_asked_for():
    code = "import dgmm, sys; dgmm.GaussianMixture; assert 'xarray' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert dgmm.xarray.__all__ == ["Accessor"]
