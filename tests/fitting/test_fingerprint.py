# pyright: reportArgumentType=false, reportCallIssue=false
"""Equal rows have equal fingerprints, wherever they are and however they are cut; other rows have others."""

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest

import dgmm
from dgmm import GaussianMixture, GaussianMixtureSweep
from dgmm.data import fingerprint as module
from dgmm.data import open_dataset
from dgmm.fitting.fingerprint import fingerprint
from dgmm.fitting.survey import survey
from tests.data.test_fingerprint import crc32c

ROWS = np.random.default_rng(0).normal(size=(1100, 3))


@pytest.fixture
def small_runs(monkeypatch):
    monkeypatch.setattr(module, "RUN_ROWS", 64)


@pytest.mark.usefixtures("small_runs")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_rows", [0, 1, 63, 64, 65, 128, 200])
def test_each_run_has_the_check_of_its_bytes(dtype, n_rows):
    rows = ROWS[:n_rows].astype(dtype)
    found = fingerprint(rows)
    assert (found.start, found.n_rows, found.n_features, found.dtype) == (0, n_rows, 3, dtype)
    runs = [rows[first : first + 64].astype(f"<f{rows.itemsize}") for first in range(0, n_rows, 64)]
    assert found.checksums == tuple(crc32c(run.tobytes()) for run in runs)
    assert str(found).startswith(f"{n_rows}x3-{dtype}-")


@pytest.mark.usefixtures("small_spans", "small_runs")
def test_the_container_does_not_matter(stored, tmp_path):
    frame = pd.DataFrame(ROWS, columns=["a", "b", "c"])
    frame.to_parquet(tmp_path / "x.parquet", row_group_size=130)
    np.save(tmp_path / "x.npy", ROWS)
    holders = [
        np.asfortranarray(ROWS),
        np.repeat(ROWS, 2, axis=0)[::2],
        np.load(tmp_path / "x.npy", mmap_mode="r"),
        ROWS.astype(">f8"),
        stored(ROWS, 70),
        stored(ROWS, 1100),
        tmp_path / "x.parquet",
        frame,
        da.from_array(ROWS, chunks=(33, 2)),
        dd.from_pandas(frame, npartitions=7),
    ]
    expected = fingerprint(ROWS)
    assert len(open_dataset(ROWS).spans()) > 1
    assert len(expected.checksums) == 18
    for held in holders:
        assert fingerprint(held) == expected
        assert survey(open_dataset(held), 100, 0).fingerprint == expected


@pytest.mark.usefixtures("small_spans")
def test_a_cluster_gives_the_same(client, stored):
    assert fingerprint(stored(ROWS, 70)) == fingerprint(ROWS)


@pytest.mark.usefixtures("small_runs")
def test_what_counts():
    text = str(fingerprint(ROWS))
    for change in (1, 700):
        other = ROWS.copy()
        other[change, 1] = np.nextafter(other[change, 1], 9.0)
        changed = fingerprint(other)
        assert str(changed) != text
        differing = [a != b for a, b in zip(changed.checksums, fingerprint(ROWS).checksums, strict=True)]
        assert np.flatnonzero(differing).tolist() == [change // 64]
    others = [ROWS[::-1], ROWS[:, ::-1], ROWS[:-1], ROWS.astype(np.float32), ROWS.reshape(1650, 2)]
    assert len({text, *map(str, map(fingerprint, others))}) == 6
    whole = np.arange(12).reshape(6, 2)
    assert fingerprint(whole) == fingerprint(whole.astype(float))
    assert fingerprint(np.zeros((2, 2))) != fingerprint(-np.zeros((2, 2)))


@pytest.mark.usefixtures("small_spans")
@pytest.mark.parametrize("sample_rows", [500, 2000])
def test_mixtures_tell_of_the_rows_they_were_fitted_to(stored, sample_rows, tmp_path):
    text = str(dgmm.fingerprint(ROWS))
    own = {"random_state": 0, "sample_rows": sample_rows}
    for rows in (ROWS, stored(ROWS)):
        weights = np.linspace(0.0, 1.0, len(ROWS))
        mixture = GaussianMixture(1, **own).fit(rows, sample_weight=weights)
        assert mixture.data_fingerprint_ == text
        sweep = GaussianMixtureSweep([1], covariance_type="diag", held_out=0.2, **own).fit(rows)
        assert sweep.data_fingerprint_ == sweep.best_estimator_.data_fingerprint_ == text
    mixture.save(tmp_path / "model.npz")
    assert dgmm.load(tmp_path / "model.npz").data_fingerprint_ == text
    assert not hasattr(GaussianMixture.from_sklearn(mixture.to_sklearn()), "data_fingerprint_")
