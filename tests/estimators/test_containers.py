# pyright: reportArgumentType=false
"""`set_output` makes tables of what is in memory; all else is as without it."""

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import polars as pl
import pytest
import xarray as xr
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.pipeline import make_pipeline

from dgmm import PCA, GaussianMixture, MixtureImputer

NAMES = ["a", "b", "c"]
TRANSFORMERS = {
    "PCA": PCA(2),
    "mixture": GaussianMixture(2, random_state=0),
    "imputer": MixtureImputer(GaussianMixture(random_state=0)),
    "imputer and indicator": MixtureImputer(GaussianMixture(random_state=0), add_indicator=True),
}
FRAMES = {"pandas": pd.DataFrame, "polars": pl.DataFrame}


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(0).normal(size=(60, 3))


def as_kind(kind, rows):
    table = pd.DataFrame(rows, columns=NAMES)
    return {
        "Dask array": lambda: da.from_array(rows, chunks=(25, 3)),
        "Dask frame": lambda: dd.from_pandas(table, npartitions=2),
        "Dataset": lambda: xr.Dataset({name: ("time", table[name]) for name in NAMES}),
        "lazy DataArray": lambda: xr.DataArray(
            da.from_array(rows, chunks=(25, 3)), dims=("time", "feature"), coords={"feature": NAMES}
        ),
    }[kind]()


@pytest.mark.parametrize("container", FRAMES)
@pytest.mark.parametrize("name", TRANSFORMERS)
@pytest.mark.parametrize("kind", ["Dask array", "Dask frame", "Dataset", "lazy DataArray"])
def test_what_is_no_array_is_as_without_it(rows, kind, name, container):
    x, transformer = as_kind(kind, rows), TRANSFORMERS[name]
    plain = transformer.fit(x).transform(x)
    with config_context(transform_output=container):
        for found in (transformer.transform(x), transformer.fit_transform(x)):
            assert type(found) is type(plain)
            if isinstance(plain, xr.Dataset):
                xr.testing.assert_identical(found, plain)
            else:
                assert_array_equal(np.asarray(found), np.asarray(plain))


@pytest.mark.parametrize("container", FRAMES)
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_arrays_become_tables(rows, name, container):
    plain = TRANSFORMERS[name].fit_transform(rows)
    with config_context(transform_output=container):
        for found in (TRANSFORMERS[name].transform(rows), TRANSFORMERS[name].fit_transform(rows)):
            assert isinstance(found, FRAMES[container])
            assert list(found.columns) == list(TRANSFORMERS[name].get_feature_names_out())
            assert_array_equal(found.to_numpy(), plain)


def test_a_pipeline_passes_lazy_rows_on(rows):
    x = as_kind("Dask array", rows)
    with config_context(transform_output="pandas"):
        pipeline = make_pipeline(PCA(2), GaussianMixture(2, random_state=0)).fit(x)
        assert isinstance(pipeline.predict(x), da.Array)
