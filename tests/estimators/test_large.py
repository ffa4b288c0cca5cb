"""More rows than the sample: passes over everything."""
# pyright: reportArgumentType=false, reportCallIssue=false
# pyright: reportPrivateImportUsage=false, reportAttributeAccessIssue=false

import os

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from distributed import Client, LocalCluster
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

from dgmm import GaussianMixture
from dgmm.passes.events import PassFinished, listening

pytestmark = [
    pytest.mark.usefixtures("small_spans"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

NAMES = ("weights_", "means_", "covariances_", "precisions_cholesky_")


@pytest.fixture
def rows():
    generator = np.random.default_rng(5)
    return generator.permutation(
        np.concatenate([generator.normal(3 * k, 1 + k / 2, (4000, 2)) for k in range(3)])
    )


def fit(x, **own):
    parameters = {
        "algorithm": "em",
        "init_params": "kmeans",
        "sample_rows": 500,
        "random_state": 0,
        "tol": 1e-4,
    }
    return GaussianMixture(3, **parameters | own).fit(x)


def bits(mixture):
    return tuple(getattr(mixture, name).tobytes() for name in NAMES), mixture.lower_bounds_


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_it_is_plain_em_from_its_start(rows, covariance_type):
    start = fit(rows, covariance_type=covariance_type, max_iter=0)
    mixture = fit(rows, covariance_type=covariance_type)
    other = SklearnGaussianMixture(
        3,
        covariance_type=covariance_type,
        tol=1e-4,
        weights_init=start.weights_,
        means_init=start.means_,
        precisions_init=start.precisions_,
    ).fit(rows)
    assert mixture.n_iter_ == other.n_iter_
    assert mixture.converged_ == other.converged_
    assert mixture.n_passes_ == 1 + mixture.n_iter_
    np.testing.assert_allclose(mixture.lower_bounds_, other.lower_bounds_, rtol=1e-9)
    for name in NAMES:
        np.testing.assert_allclose(getattr(mixture, name), getattr(other, name), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_one_component_is_the_moments_of_all_rows(rows, covariance_type):
    mixture = GaussianMixture(1, covariance_type=covariance_type, sample_rows=500, random_state=0).fit(rows)
    expected = SklearnGaussianMixture(1, covariance_type=covariance_type).fit(rows)
    for name in NAMES:
        np.testing.assert_allclose(getattr(mixture, name), getattr(expected, name), rtol=1e-9)


def test_several_starts_share_passes(rows):
    mixture = fit(rows, n_init=4, init_params="random_from_data", max_iter=8, tol=0.0)
    assert mixture.n_passes_ == 1 + 8
    alone = [fit(rows, init_params="random_from_data", max_iter=8, tol=0.0, random_state=k) for k in range(2)]
    assert all(one.n_passes_ == 9 for one in alone)


FEW = {"max_iter": 4, "tol": 0.0}
"""Passes enough for a sum in another order to show in the bits."""


def test_the_same_bits_on_every_scheduler(rows, stored, request):
    path = stored(rows)
    found = []
    for scheduler in ("threads", "synchronous"):
        with dask.config.set(scheduler=scheduler):
            found += [bits(fit(path, **FEW)), bits(fit(path, **FEW))]
    request.getfixturevalue("client")
    found += [bits(fit(path, **FEW)), bits(fit(path, **FEW))]
    assert all(one == found[0] for one in found)


def test_the_same_bits_in_processes(rows, stored):
    path = stored(rows)
    expected = bits(fit(path, **FEW))
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=":0") as cluster,
        Client(cluster),
    ):
        assert bits(fit(path, **FEW)) == expected


def test_a_dask_array_twice_in_a_row(rows, client):
    x = da.from_array(rows, chunks=(1000, 2))
    assert bits(fit(x, **FEW)) == bits(fit(x, **FEW))


def test_sources_agree(rows, stored, tmp_path):
    frame = pd.DataFrame(rows, columns=["a", "b"])
    folder = tmp_path / "parquet"
    folder.mkdir()
    for part in range(3):
        frame[part * 4000 : (part + 1) * 4000].to_parquet(folder / f"{part}.parquet", row_group_size=900)
    known = da.from_array(rows, chunks=(1700, 1))
    unknown = known[da.from_array(np.full(len(rows), True), chunks=1700)]
    expected = fit(rows, **FEW)
    for x in (stored(rows, 777), folder, known, unknown, dd.from_pandas(frame, npartitions=5)):
        found = fit(x, **FEW)
        assert found.n_iter_ == expected.n_iter_
        for name in NAMES:
            np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-12, atol=1e-12)


def test_passes_find_a_rare_cluster():
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(100_000, 2)).astype("f4")
    rows[generator.choice(len(rows), 30, replace=False)] += 60
    own = {"n_components": 2, "covariance_type": "spherical", "max_iter": 10}
    own |= {"algorithm": "em", "sample_rows": 300}
    seeing = GaussianMixture(**own, init_params="k-means||", random_state=0).fit(rows)
    np.testing.assert_allclose(seeing.means_.max(axis=0), 60, atol=1)
    assert seeing.weights_.min() == pytest.approx(30 / 100_000, rel=1e-3)
    assert seeing.n_passes_ in (1 + 8 + seeing.n_iter_, 1 + 9 + seeing.n_iter_)
    blind = GaussianMixture(**own | {"max_iter": 0}, random_state=0).fit(rows)
    assert blind.means_.max() < 50


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of the killed worker's connections
@pytest.mark.slow
def test_a_killed_worker_changes_no_bit(rows, stored):
    path = stored(rows, 100)
    expected = bits(fit(path, tol=0.0, max_iter=40))
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster),
    ):
        seen: list[PassFinished] = []

        def kill_one(event: object) -> None:
            if isinstance(event, PassFinished):
                seen.append(event)
                if len(seen) == 3:
                    os.kill(cluster.workers[0].pid, 9)

        with listening(kill_one):
            assert bits(fit(path, tol=0.0, max_iter=40)) == expected
        assert len(seen) > 3
