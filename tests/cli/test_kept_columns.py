# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
"""``dgmm predict --keep``: results beside columns of the input, file by file, and the columns as they are."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dgmm
from tests.cli.test_commands import fail, model, named_model, succeed

__all__ = ["model", "named_model"]


@pytest.fixture
def rows(tmp_path: Path, three_clusters: np.ndarray) -> Path:
    """Files in folders that name a column, with identifiers that no float64 holds, and text with nulls."""
    root = tmp_path / "rows"
    numbers = np.arange(3000) + 2**60 + 1
    for year, cut in ((2024, slice(0, 700)), (2025, slice(700, 2999)), (2026, slice(2999, 3000))):
        folder = root / f"year={year}"
        folder.mkdir(parents=True)
        table = pa.table(
            {
                "id": numbers[cut],
                "b": three_clusters[cut, 1],
                "who": [None if n % 7 == 0 else f"ü{n}" for n in numbers[cut].tolist()],
                "a": three_clusters[cut, 0],
            }
        )
        pq.write_table(table, folder / "some.parquet", row_group_size=300)
    return root


def test_columns_go_through_beside_all_results(tmp_path: Path, named_model: Path, rows: Path):
    out = tmp_path / "labelled"
    said = succeed("predict", named_model, rows, "--out", f"{out}/", "--keep", "id,who")
    assert "id, who, label" in said
    names = [path.relative_to(rows) for path in sorted(rows.rglob("*.parquet"))]
    assert [path.relative_to(out) for path in sorted(out.rglob("*.parquet"))] == names
    mixture = dgmm.load(named_model)
    for name in names:
        given, found = (
            pq.read_table(rows / name, partitioning=None),
            pq.read_table(out / name, partitioning=None),
        )
        assert found["id"] == given["id"]
        assert found["who"] == given["who"]
        assert found.column_names == ["id", "who", "label", "log_density", "proba_0", "proba_1", "proba_2"]
        features = given.select(["a", "b"]).to_pandas()
        np.testing.assert_array_equal(found["label"], mixture.predict(features))
        np.testing.assert_allclose(found["log_density"], mixture.score_samples(features), rtol=1e-6)
        shares = np.stack([found[f"proba_{k}"].to_numpy() for k in range(3)], axis=1)
        np.testing.assert_allclose(shares, mixture.predict_proba(features), rtol=1e-5, atol=1e-7)
    back = dgmm.open_dataset(out, columns=["year", "proba_0"])  # what folders name is there, too
    assert np.unique(np.asarray(back.rows(0, back.n_rows).read())[:, 0]).tolist() == [2024, 2025, 2026]
    assert "damage    found: all is checksummed" in succeed("info", out, "--columns", "year,proba_0")


@pytest.mark.parametrize(
    ("options", "columns"), [(["--proba", "--workers", 1], ["proba_0"]), (["--scores"], ["log_density"])]
)
def test_a_single_file_and_one_result(tmp_path, named_model, rows, options, columns):
    file, out = rows / "year=2026" / "some.parquet", tmp_path / "one.parquet"
    succeed("predict", named_model, file, "--out", out, "--keep", "a", *options)
    found = pq.read_table(out / "year=2026" / "some.parquet", partitioning=None)
    assert found.column_names[:2] == ["a", *columns]
    assert found["a"] == pq.read_table(file, partitioning=None)["a"]


def test_what_is_refused(tmp_path: Path, model: Path, named_model: Path, rows: Path, rows_zarr: Path):
    out = tmp_path / "labelled"
    given = ("predict", named_model, rows, "--out", out)
    assert "has no column 'nope'; it has id, b, who, a" in fail(*given, "--keep", "id,nope")
    assert "has no column 'year'" in fail(*given, "--keep", "year")
    assert "columns of Parquet files" in fail("predict", model, rows_zarr, "--out", out, "--keep", "id")
    assert "named otherwise" in fail("predict", named_model, rows, "--out", "x.zarr", "--keep", "id")
    assert not out.exists()
    last = rows / "year=2026" / "some.parquet"
    pq.write_table(pq.read_table(last, partitioning=None).drop_columns("who"), last)
    assert "year=2026/some.parquet has no column 'who'" in fail(*given, "--keep", "who")
    assert not out.exists()
    table = pq.read_table(last, partitioning=None)
    pq.write_table(table.append_column("label", table["id"]), tmp_path / "labels.parquet")
    refused = fail("predict", named_model, tmp_path / "labels.parquet", "--out", out, "--keep", "label")
    assert "a result is also called 'label'" in refused
    succeed(*given, "--keep", "id")
    assert "exists" in fail(*given, "--keep", "id")
