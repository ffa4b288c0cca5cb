"""A fitted mixture in one file: arrays as ``.npz`` and a JSON header. No pickle, either way.

The file is written beside its target, flushed to disk and renamed, so that it is whole or not there.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dgmm.data import DataError
from dgmm.data.location import is_local, locate
from dgmm.data.writing import creating

FORMAT = "dgmm-model"
VERSION = 1
UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    RuntimeError,  # what zipfile says of compression and encryption that it does not know
    zipfile.BadZipFile,
    zlib.error,
)
"""What reading a damaged file may raise."""


@dataclass(frozen=True, eq=False)
class Saved:
    """What a model file holds of an estimator.

    Attributes
    ----------
    class_name : str
    parameters : dict
        Of its constructor.
    attributes : dict
        Fitted ones: arrays, numbers, text and lists of them.
    """

    class_name: str
    parameters: dict[str, Any]
    attributes: dict[str, Any]


def write(
    saved: Saved, path: str | os.PathLike[str], storage_options: Mapping[str, object] | None = None
) -> None:
    """Write a model file, whole or not at all.

    Parameters
    ----------
    saved : Saved
    path : str or path
        A local path, or a URL that fsspec knows.
    storage_options : mapping, optional
        For the file system of a URL.
    """
    arrays: dict[str, Any] = {}
    header: dict[str, Any] = {"format": FORMAT, "version": VERSION, "class": saved.class_name}
    for part, values in (("parameters", saved.parameters), ("attributes", saved.attributes)):
        header[part] = {}
        for name, value in values.items():
            if isinstance(value, np.ndarray) and value.dtype != object:
                arrays[name] = value
            else:
                header[part][name] = value
    buffer = io.BytesIO()
    np.savez(buffer, header=np.array(json.dumps(header, default=_to_json)), **arrays)
    filesystem, _ = _locate(path, storage_options)
    with (
        creating(path, overwrite=True, is_file=True, storage_options=storage_options) as working,
        filesystem.open(locate(working, storage_options)[1], "wb") as file,
    ):
        file.write(buffer.getvalue())
        if is_local(filesystem):
            file.flush()
            os.fsync(file.fileno())


def _locate(path: str | os.PathLike[str], storage_options: Mapping[str, object] | None) -> tuple[Any, str]:
    if not os.fspath(path):  # not the current folder
        raise FileNotFoundError("the path of the model is empty; give one")
    return locate(path, storage_options)


def _to_json(value: Any) -> Any:
    if isinstance(value, np.random.RandomState):
        return None  # a generator's place in its stream is no property of the model
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} cannot be saved in a model file")


def is_model_file(path: str) -> bool:
    """Tell whether a path is that of a model file, by its name or by what is in it."""
    if path.endswith(".npz"):
        return True
    try:
        with zipfile.ZipFile(path) as archive:
            return "header.npy" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def read(path: str | os.PathLike[str], storage_options: Mapping[str, object] | None = None) -> Saved:
    """Read a model file; the parameters are those of `write`.

    Raises
    ------
    FileNotFoundError
    DataError
        If the file is not a model file, is damaged, or is of a newer version.
    """
    try:
        header, arrays = _read(path, storage_options)
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no model file {os.fspath(path)}") from None
    except PermissionError:
        raise PermissionError(f"{os.fspath(path)} cannot be read: permission denied") from None
    except UNREADABLE as error:
        raise DataError(f"{os.fspath(path)} is not a dgmm model file, or is damaged: {error}") from error
    if header.get("format") != FORMAT:
        raise DataError(f"{os.fspath(path)} is not a dgmm model file")
    if header.get("version", 0) > VERSION:
        raise DataError(
            f"{os.fspath(path)} has format version {header['version']}; this dgmm reads up to {VERSION}: "
            "install a newer dgmm"
        )
    parameters, attributes = header.get("parameters", {}), header.get("attributes", {})
    for name, array in arrays.items():
        (attributes if name.endswith("_") else parameters)[name] = array
    return Saved(str(header.get("class")), parameters, attributes)


def _read(
    path: str | os.PathLike[str], storage_options: Mapping[str, object] | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read the header and the arrays of a file."""
    filesystem, root = _locate(path, storage_options)
    with filesystem.open(root, "rb") as file, zipfile.ZipFile(file) as archive:
        members = {name.removesuffix(".npy"): archive.read(name) for name in archive.namelist()}
    arrays = {name: np.load(io.BytesIO(data), allow_pickle=False) for name, data in members.items()}
    header = json.loads(str(arrays.pop("header")))
    if not isinstance(header, dict):
        raise ValueError("its header is not a JSON object")
    return header, arrays
