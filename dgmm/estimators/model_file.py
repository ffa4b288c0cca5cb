"""Model files: arrays as ``.npz`` with a JSON header, no pickle.

The file is written next to its target, flushed to disk and renamed, so that it is whole or not there.
"""

from __future__ import annotations

import io
import json
import math
import os
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgmm.data import DataError
from dgmm.data.location import locate
from dgmm.data.text import redacted
from dgmm.data.writing import write_file
from dgmm.estimators.attributes import ARRAY_PARAMETERS, ATTRIBUTES, OF_GROUPS, PARTITION_ARRAYS
from dgmm.fitting.starts.record import SearchRecord

FORMAT = "dgmm-model"
VERSION = 2
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


NPY_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
"""What reads the header of an array, by the version of NumPy's format."""


@dataclass(frozen=True)
class ModelFileLimits:
    """What is read of a model file at the most; arrays are bounded by the file, and by each other.

    Attributes
    ----------
    header_bytes : int
        Four for each character.
    """

    header_bytes: int = 2**26


MODEL_FILES = ModelFileLimits()


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
    _locate(path, storage_options)
    write_file(path, buffer.getvalue(), overwrite=True, storage_options=storage_options)


def _locate(path: str | os.PathLike[str], storage_options: Mapping[str, object] | None) -> tuple[Any, str]:
    if not os.fspath(path):  # not the current folder
        raise FileNotFoundError("the path of the model is empty; give one")
    return locate(path, storage_options)


def _to_json(value: Any) -> Any:
    if isinstance(value, np.random.RandomState):
        return None  # a generator's place in its stream is no property of the model
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, SearchRecord):
        return asdict(value)
    raise TypeError(f"a {type(value).__name__} cannot be saved in a model file")


def is_model_file(path: str) -> bool:
    """Return whether a path is that of a model file, by its name or by what is in it."""
    return path.endswith(".npz") or holds_model(path)


def holds_model(path: str) -> bool:
    """Return whether there is a model file at a local path, by what is in it."""
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
    where = _locate(path, storage_options)
    try:
        header, arrays = _read(*where)
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no model file {redacted(path)}") from None
    except PermissionError:
        raise PermissionError(f"{redacted(path)} cannot be read: permission denied") from None
    except IsADirectoryError:
        inside = os.path.join(redacted(path), "model.npz")
        raise DataError(
            f"{redacted(path)} is a folder: give the model file, such as {inside} in that of a sweep"
        ) from None
    except UNREADABLE as error:
        why = getattr(error, "strerror", None) or error
        raise DataError(f"{redacted(path)} is not a dgmm model file, or is damaged: {why}") from error
    version = header.get("version")
    if header.get("format") != FORMAT or not isinstance(version, int):
        raise DataError(f"{redacted(path)} is not a dgmm model file")
    if version > VERSION:
        raise DataError(
            f"{redacted(path)} has format version {version}; this dgmm reads up to {VERSION}: "
            "install a newer dgmm"
        )
    parameters, attributes = header.get("parameters", {}), header.get("attributes", {})
    for name, array in arrays.items():
        (attributes if name.endswith("_") else parameters)[name] = array
    return Saved(str(header.get("class")), parameters, attributes)


def _read(filesystem: Any, root: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read the header and the arrays of a file.

    What it would take is known before it is read: members are stored as they are, as `write` writes them, so
    that they are no larger than the file.
    """
    with filesystem.open(root, "rb") as file, zipfile.ZipFile(file) as archive:
        n_bytes = file.seek(0, os.SEEK_END)
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        if any(info.compress_type != zipfile.ZIP_STORED for info in members.values()):
            raise ValueError("its members are compressed, which those of a model never are")
        if (
            len(members) < len(archive.infolist())
            or sum(info.file_size for info in members.values()) > n_bytes
        ):
            raise ValueError("its members overlap or are repeated")
        unknown = members.keys() - {*ATTRIBUTES, *ARRAY_PARAMETERS, "header"}
        if unknown:
            raise ValueError(f"it holds {sorted(unknown)[0][:80]!r}, which no model has")
        if members["header"].file_size > MODEL_FILES.header_bytes:
            raise ValueError(f"its header takes {members['header'].file_size:,} bytes")
        layouts = {name: _layout(archive, info) for name, info in members.items()}
        _check_layouts(layouts)
        arrays = {name: _array(archive, info, layouts[name]) for name, info in members.items()}
    header = json.loads(str(arrays.pop("header")))
    if not isinstance(header, dict) or not all(
        isinstance(header.get(part, {}), dict) for part in ("parameters", "attributes")
    ):
        raise ValueError("its header is not a JSON object of objects")
    return header, arrays


@dataclass(frozen=True)
class _Layout:
    """How an array is written: ``start`` bytes come before it."""

    shape: tuple[int, ...]
    in_columns: bool
    dtype: np.dtype
    start: int


def _layout(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Layout:
    """Read the header of an array, and hold it to the bytes that are there."""
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        if version not in NPY_HEADERS:
            raise ValueError(f"{info.filename} has version {version} of NumPy's format")
        try:
            shape, in_columns, dtype = NPY_HEADERS[version](file)
        except (ArithmeticError, LookupError, SyntaxError, TypeError, tokenize.TokenError) as error:
            # NumPy reads it as Python's literals, and lets through what that raises.
            raise ValueError(f"{info.filename} has no header of NumPy's: {error}") from error
        start = file.tell()
    if dtype.hasobject or dtype.kind not in "fiubU":
        raise ValueError(f"{info.filename} holds {dtype}: neither numbers nor text")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != info.file_size - start:
        raise ValueError(f"{info.filename} claims the shape {shape}, which does not match its size")
    return _Layout(shape, in_columns, dtype, start)


def _check_layouts(layouts: Mapping[str, _Layout]) -> None:
    """Refuse, before they are read, arrays that are larger than those of any mixture of their size."""
    if "weights_" not in layouts or "means_" not in layouts:
        return  # which is refused with what lacks
    n_components, means = math.prod(layouts["weights_"].shape), layouts["means_"].shape
    if len(means) != 2 or means[0] != n_components:
        raise ValueError(f"means_ has the shape {means} for {n_components} weights_")
    most = max(2 * n_components, 1) * max(means[1], 1) ** 2
    own = {name: layouts[name].shape for name in OF_GROUPS if name in layouts}
    n_groups = next((shape[0] for shape in own.values() if shape), 0)
    if own and own != {"groups_": (n_groups,), "group_weights_": (n_groups, n_components)}:
        raise ValueError(f"groups_ and group_weights_ have the shapes {[*own.values()]}")
    n_partitions = layouts[PARTITION_ARRAYS[0]].shape[:1] if PARTITION_ARRAYS[0] in layouts else (1,)
    for name, layout in layouts.items():
        allowed = most * math.prod(n_partitions) if name in PARTITION_ARRAYS else most
        if name not in {"header", *OF_GROUPS} and math.prod(layout.shape) > allowed:
            raise ValueError(f"{name} has the shape {layout.shape}, too large for means_ of {means}")


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, layout: _Layout) -> NDArray[Any]:
    """Read an array."""
    found = np.frombuffer(archive.read(info), layout.dtype, offset=layout.start)
    return found.reshape(layout.shape, order="F" if layout.in_columns else "C").copy()
