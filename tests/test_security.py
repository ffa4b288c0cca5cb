"""What SECURITY.md promises: nothing that is read is unpickled, names are text, passwords are not told."""

import io
import json
import os
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import dgmm
from dgmm.cli import main
from dgmm.data import DataError


class Trap:
    """Its pickle makes a file where it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.path),))


@pytest.fixture
def sprung(tmp_path: Path) -> Path:
    """Where the trap's mark appears."""
    return tmp_path / "sprung"


def test_the_trap_springs(sprung: Path):
    pickle.loads(pickle.dumps(Trap(sprung)))
    assert sprung.exists()


PICKLE = {"id": "pickle"}
DELTA = {"id": "delta", "dtype": "<f8"}


@pytest.mark.parametrize("dtype", ["<f8", "|O", "|i1"])
@pytest.mark.parametrize(
    ("compressor", "filters"),
    [(PICKLE, None), (PICKLE, [DELTA]), (None, [PICKLE]), (None, [DELTA, PICKLE]), (None, [PICKLE, DELTA])],
)
def test_zarr_2_with_pickles_is_refused(tmp_path: Path, sprung: Path, dtype, compressor, filters):
    path = tmp_path / "rows.zarr"
    path.mkdir()
    metadata = {
        "zarr_format": 2,
        "shape": [4, 2],
        "chunks": [4, 2],
        "dtype": dtype,
        "compressor": compressor,
        "filters": filters,
        "fill_value": 0,
        "order": "C",
    }
    (path / ".zarray").write_text(json.dumps(metadata))
    (path / "0.0").write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(DataError):
        dgmm.GaussianMixture(1).fit(path)
    assert not sprung.exists()


@pytest.mark.parametrize("name", ["pickle", "numcodecs.pickle"])
@pytest.mark.parametrize("is_first", [True, False])
def test_zarr_3_with_pickles_is_refused(tmp_path: Path, sprung: Path, name, is_first):
    path = tmp_path / "rows.zarr"
    (path / "c" / "0").mkdir(parents=True)
    codecs = [{"name": "bytes", "configuration": {"endian": "little"}}]
    codecs.insert(0 if is_first else 1, {"name": name, "configuration": {"id": "pickle"}})
    metadata = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [4, 2],
        "data_type": "float64",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [4, 2]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0.0,
        "codecs": codecs,
        "attributes": {},
    }
    (path / "zarr.json").write_text(json.dumps(metadata))
    (path / "c" / "0" / "0").write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(DataError):
        dgmm.GaussianMixture(1).fit(path)
    assert not sprung.exists()


@pytest.mark.parametrize("member", ["means_", "header"])
def test_model_file_with_pickles_is_refused(tmp_path: Path, sprung: Path, member, three_clusters):
    path = tmp_path / "model.npz"
    dgmm.GaussianMixture(1).fit(three_clusters).save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    trap = io.BytesIO()
    np.save(trap, np.array(Trap(sprung), dtype=object), allow_pickle=True)
    members[f"{member}.npy"] = trap.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(DataError):
        dgmm.load(path)
    assert not sprung.exists()


SECRET = "TOPSECRET"


@pytest.mark.usefixtures("blank_pictures")
@pytest.mark.parametrize("mode", [[], ["--json"], ["--debug"]])
def test_passwords_in_urls_are_not_echoed(tmp_path: Path, three_clusters, mode, caplog):
    """By no command that succeeds or fails, nor in what is logged."""
    base = f"memory://user:{SECRET}@{tmp_path.name}-{len(mode) and mode[0][2:]}"
    local = tmp_path / "rows.parquet"
    pd.DataFrame(three_clusters, columns=["a", "b"]).to_parquet(local)
    said = []
    caplog.set_level("DEBUG", "dgmm")
    for code, command in [
        (2, "info {0}/none.zarr"),
        (2, "info {0}/none*.zarr"),
        (2, "fit {0}/none.zarr -k 2 --out {0}/m.npz"),
        (0, "convert {1} {0}/x.zarr"),
        (2, "convert {1} {0}/x.zarr"),
        (0, "convert {1} {0}/x.zarr --overwrite"),
        (0, "info {0}/x.zarr"),
        (0, "fit {0}/x.zarr -k 2 --seed 0 --out {0}/m.npz"),
        (2, "fit {0}/x.zarr -k 2 --out {0}/m.npz"),
        (2, "fit {0}/x.zarr -k 2 --columns c --out {0}/n.npz"),
        (2, "fit {0}/x.zarr -k 2 --out {2}/n.npz --checkpoint {2}/kept"),
        (0, "info {0}/m.npz"),
        (2, "info {0}/n.npz"),
        (0, "predict {0}/m.npz {0}/x.zarr --out {0}/l.parquet"),
        (2, "predict {0}/m.npz {0}/l.parquet --out {0}/l.zarr"),
        (2, "predict {0}/m.npz {0}/x.zarr --out {0}/l.txt"),
        (0, "sweep {0}/x.zarr -k 1:2 --covariance diag --out {2}/sweep"),
        (2, "score {0}/m.npz {0}/x.zarr {0}/y.zarr"),
        (2, "score {0}/m.npz {0}/x.zarr --scheduler tls://user:TOPSECRET@localhost:1"),
    ]:
        arguments = [each.format(base, local, tmp_path) for each in command.split()]
        result = CliRunner().invoke(main, [*arguments, *mode])
        assert result.exit_code == code, (command, result.output)
        said.append(result.output)
    assert "".join(said).count("user:***@") > 10
    assert SECRET not in "".join(said)
    assert SECRET not in caplog.text
    assert not (tmp_path / "kept").exists()
    assert SECRET not in (tmp_path / "sweep" / "report.html").read_text()
    source = dgmm.open_dataset(f"{base}/x.zarr")
    assert SECRET not in repr(source) + str(source) + source.rows(0, 1).place
    with pytest.raises(FileNotFoundError, match=r"user:\*\*\*@"):
        dgmm.load(f"{base}/none.npz")


ODD = "\x1b]0;title\x07\x1b[31mred\u202e\r"


def test_control_characters_of_names_reach_no_terminal(tmp_path: Path, three_clusters):
    """Names of columns, files and options, in results, errors, warnings, progress and pages."""
    path = tmp_path / f"rows{ODD}.parquet"
    columns = [f"a{ODD}", f"b{ODD}"]
    frame = pd.DataFrame(three_clusters, columns=columns).assign(**{f"text{ODD}": "x", "id": range(3000)})
    frame.to_parquet(path)
    model, out = tmp_path / f"m{ODD}.npz", tmp_path / f"out{ODD}"
    frame.iloc[:0].to_parquet(empty := tmp_path / f"none{ODD}.parquet")
    one = ["--columns", columns[0]]
    both = [*one, "--columns", columns[1]]
    features = [text for name in columns for text in ("--features", name)]
    said = []
    for code, *arguments in [
        (0, "info", path),
        (0, "fit", path, "-k", 2, "--sample-rows", 500, "--out", model, *both),
        (2, "fit", path, "-k", 2, "--out", model, *both),
        (2, "fit", path, "-k", 2, "--out", out, "--columns", f"c{ODD}"),
        (2, "fit", path, "-k", 2, "--out", tmp_path / "n.npz", "--columns", f"c{ODD}"),
        (0, "info", model),
        (0, "components", model),
        (2, "score", model, empty),
        (2, "score", model, tmp_path / f"missing{ODD}"),
        (0, "marginal", model, *features, "--out", tmp_path / f"one{ODD}.npz"),
        (2, "condition", model, f"{ODD}=1", "--out", tmp_path / "two.npz"),
        (0, "outliers", model, path, "--out", tmp_path / f"table{ODD}.parquet"),
        (0, "sample", model, "-n", 10, "--out", tmp_path / f"new{ODD}.parquet"),
        (0, "sweep", path, "-k", "1:2", "--covariance", "diag", "--out", out, *both),
        (2, "sweep", path, "-k", ODD, "--out", out),
        (2, f"{ODD}"),
        (2, "info", path, f"--{ODD}"),
        (2, "info", path, "--storage-option", ODD),
        (2, "info", path, "--fingerprint", "--scheduler", f"tls://{ODD}:1"),
        (2, "info", path, "--scheduler", f"tcp://{ODD}:1"),
    ]:
        for mode in ([], ["--json"]) if code == 0 and arguments[0] == "info" else ([],):
            result = CliRunner().invoke(main, [*map(str, arguments), *mode])
            assert result.exit_code == code, (arguments, result.output)
            said.append(result.output)
    text = "".join(said)
    assert text.count(r"\x1b") > 20
    progress = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\r|\x1b\[\?25[lh]")  # rich's own, where it is a terminal
    assert not set(ODD[:1] + "\x07\u202e") & set(progress.sub("", text))
    assert not set("\x1b\x07\u202e") & set((out / "report.html").read_text())


@pytest.mark.parametrize("folder", ["dgmm", "examples", "benchmarks", "docs", "."])
def test_no_cluster_opens_a_port_to_the_network(folder: str):
    """Dask's dashboard does, unless it is told otherwise."""
    root = Path(__file__).parent.parent / folder
    pages = [*root.glob("*.md")] if folder == "." else [*root.rglob("*.py"), *root.rglob("*.md")]
    starts = re.compile(r"\b(LocalCluster|Client)\((?=\s*(n_workers|processes|threads_per|dashboard|\*\*))")
    for page in pages:
        text = page.read_text()
        for found in starts.finditer(text):
            around = text[max(0, found.start() - 200) : found.end() + 200]
            assert "127.0.0.1" in around or "address" in around, (page, around)
