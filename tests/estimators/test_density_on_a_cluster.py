# pyright: reportArgumentType=false, reportPrivateImportUsage=false
"""What a density is used for, on a cluster of processes, and inside tasks of others: the same as here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import zarr
from distributed import Client, LocalCluster
from numpy.testing import assert_allclose
from sklearn.frozen import FrozenEstimator

from dgmm import GaussianMixture, MixtureImputer, MixtureOutlierDetector
from tests.model import naive


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=":0") as cluster,
        Client(cluster) as found,
    ):
        yield found


@pytest.fixture(scope="module")
def mixture() -> GaussianMixture:
    found = naive.random_parameters(np.random.default_rng(0), "full", spread=1.5)
    mixture = GaussianMixture(3, missing="marginalize", random_state=0)
    mixture.weights_, mixture.means_, mixture.covariances_ = found.weights, found.means, found.covariances
    return mixture


@pytest.fixture(scope="module")
def holes(mixture: GaussianMixture) -> np.ndarray:
    generator = np.random.default_rng(1)
    rows = naive.random_rows(generator, mixture._parameters, 120)
    rows[generator.random(120) < 0.4, 1] = np.nan
    rows[generator.random(120) < 0.2, 0] = np.nan
    return rows


@pytest.fixture
def path(tmp_path: Path, holes: np.ndarray) -> str:
    zarr.create_array(tmp_path / "holes.zarr", data=holes, chunks=(60, 3))
    return str(tmp_path / "holes.zarr")


def uses(mixture: GaussianMixture, x: Any) -> dict[str, Any]:
    """Use a mixture in every way there is; what is lazy is computed here."""
    frozen = FrozenEstimator(mixture)
    detector = MixtureOutlierDetector(frozen, contamination=0.1).fit(x)
    imputer = MixtureImputer(frozen, method="sample", random_state=0).fit(x)
    merges = mixture.merge(x)
    regressed = mixture.regress(x, targets=1)
    found = {
        "mean": mixture.impute(x),
        "draws": mixture.impute(x, "sample", random_state=3),
        "mode": mixture.impute(x, "mode"),
        "imputer": imputer.transform(x),
        "regression": regressed.mean,
        "its covariance": regressed.covariance,
        "conditional": mixture.condition({0: 1.0}).means_,
        "densities of a marginal": mixture.marginal([2]).score_samples(np.zeros((2, 1))),
        "drawn": mixture.sample(30, chunks=20)[0],
        "threshold": detector.offset_,
        "outliers": detector.predict(x),
        "surprises": detector.explain(x),
        "entropies": merges.entropies,
        "clusters": merges.predict(x, 2),
    }
    return {name: np.asarray(values) for name, values in found.items()}


def assert_the_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for name, values in expected.items():
        exactness = 1e-6 if name == "mode" else 1e-9  # modes are as exact as their steps
        assert_allclose(found[name], values, rtol=exactness, atol=exactness, err_msg=name)


def test_on_a_cluster_of_processes(client: Client, mixture: GaussianMixture, holes: np.ndarray, path: str):
    with dask.config.set(scheduler="sync"):
        expected = uses(mixture, holes)
    frame = dd.from_pandas(pd.DataFrame(holes), npartitions=2)
    for x in (path, client.persist(da.from_array(holes, chunks=(60, 2))), frame):
        assert_the_same(uses(mixture, x), expected)


def test_inside_tasks(client: Client, mixture: GaussianMixture, holes: np.ndarray, path: str):
    expected = uses(mixture, holes)
    for x in (holes, path):
        assert_the_same(client.submit(uses, mixture, x).result(), expected)
        assert_the_same(dask.delayed(uses)(mixture, x).compute(), expected)
        assert_the_same(dask.delayed(uses)(mixture, x).compute(scheduler="threads"), expected)
