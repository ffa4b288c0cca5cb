"""`dgmm.data.kinds`."""

import subprocess
import sys

import dask.array as da
import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import xarray as xr

from dgmm.data.kinds import comes_from, is_labelled, is_pandas, is_table

FRAME = pd.DataFrame({"a": [1.0]})


class TestComesFrom:
    def test_classes_and_what_inherits_from_them(self):
        class Own(pd.DataFrame):
            pass

        assert comes_from(pd.DataFrame(), "pandas", "Series", "DataFrame")
        assert comes_from(Own(), "pandas", "DataFrame")
        assert not comes_from(pd.Series(dtype=float), "pandas", "DataFrame")
        assert not comes_from(pd.DataFrame(), "polars", "DataFrame")

    def test_the_name_of_a_module_is_not_the_beginning_of_one(self):
        DataFrame = type("DataFrame", (), {"__module__": "pandas_like.core"})
        assert not comes_from(DataFrame(), "pandas", "DataFrame")
        DataFrame.__module__ = "pandas.core"
        assert comes_from(DataFrame(), "pandas", "DataFrame")


@pytest.mark.parametrize(
    "table",
    [
        FRAME,
        pl.DataFrame({"a": [1.0]}),
        pl.LazyFrame({"a": [1.0]}),
        nw.from_native(FRAME),
        pa.table({"a": [1.0]}),
        pa.record_batch({"a": [1.0]}),
        pa.table({"a": [1.0]}).to_reader(),
    ],
    ids=lambda table: f"{type(table).__module__}.{type(table).__name__}",
)
def test_tables(table):
    assert is_table(table)
    assert is_pandas(table) == (table is FRAME)
    assert not is_labelled(table)


@pytest.mark.parametrize(
    "other", [np.eye(2), [[1.0]], da.ones(2), "a.parquet", None, FRAME["a"], xr.Dataset()]
)
def test_no_tables(other):
    assert not is_table(other)
    assert is_labelled(other) == isinstance(other, xr.Dataset)


IMPORTED = """
import sys
import sklearn.mixture
before = set(sys.modules)
import numpy as np
from dgmm import GaussianMixture
mixture = GaussianMixture(2, random_state=0)
print(*sorted(set(sys.modules) - before))
mixture.fit(np.random.default_rng(0).random((50, 2))).predict([[0.0, 1.0]])
print(*sorted(set(sys.modules) - before))
"""

LIBRARIES = ["zarr", "pyarrow", "xarray", "distributed", "matplotlib", "rich", "click", "numba", "pandas"]

OF_LIBRARIES = ["dask.array", "dask.dataframe", "scipy.stats", "scipy.optimize"]

ROOMS = [
    "cli",
    "course",
    "demo",
    "facts",
    "pages",
    "plotting",
    "progress",
    "report",
    "xarray",
    "fitting.sweep",
]

OWN = [
    *(f"estimators.{name}" for name in ("bayesian_mixture", "certainty", "comparing", "imputer", "load")),
    *(f"estimators.{name}" for name in ("misfit", "model_file", "outliers", "pca", "sweep")),
    *(f"data.{name}" for name in ("csv", "dask", "lakes", "parquet", "writing", "zarr")),
    *(f"fitting.starts.{name}" for name in ("exchanges", "paths", "plans", "recombining", "search")),
    *(f"kernels.{name}" for name in ("measured_tiles", "near_tiles", "scores", "tiles")),
]


def test_what_is_not_used_is_not_imported():
    """A fit to few rows in memory needs no store, no Dask array, no compiler, no search and no picture.

    Each takes milliseconds to half a second to import, beside what scikit-learn imports itself.
    """
    done = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=True)
    of_import, of_fit = (line.split() for line in done.stdout.splitlines())
    assert {"dgmm", "dask.delayed", "dgmm.fitting.starts.methods"} <= set(of_import) <= set(of_fit)
    unwanted = [*LIBRARIES, *OF_LIBRARIES, *(f"dgmm.{name}" for name in (*ROOMS, *OWN))]
    found = [name for name in of_fit if any(f"{name}.".startswith(f"{each}.") for each in unwanted)]
    assert found == []
