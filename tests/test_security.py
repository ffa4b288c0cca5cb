"""What SECURITY.md promises: nothing that is read is unpickled."""

import io
import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dgmm
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
