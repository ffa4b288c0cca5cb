"""Which files of a folder hold rows, in which order, and what their paths say."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal
from urllib.parse import unquote

from fsspec.core import has_magic

from dgmm.data.location import is_local
from dgmm.data.source import DataError
from dgmm.data.text import redacted

Kind = Literal["zarr", "delta", "iceberg", "lance", "parquet", "csv"]

ZARR_MARKERS = ("zarr.json", ".zarray", ".zgroup")
LAKES: dict[Kind, str] = {"delta": "_delta_log", "iceberg": "metadata/*.metadata.json", "lance": "_versions"}
"""What shows that a folder is a table whose files are not all of its rows."""

PARQUET_MAGIC = b"PAR1"
PARQUET_NAME = re.compile(r"(?s).*\.(parquet|parq|pq|pqt)(\.(snappy|gz|gzip|zst|zstd|br|brotli|lz4))?", re.I)
CSV_NAME = re.compile(r"(?s).*\.(csv|tsv|tab|psv)(\.(gz|gzip|bz2|zst|zstd|xz|lz4))?", re.I)
ASIDE = re.compile(r"(?s).*(\.(bak|old|orig|tmp|temp|part|partial|copy)|~)", re.I)
"""Names of what was put aside, or is still being written."""

OTHER_NAME = re.compile(r"(?s).*\.(txt|md|json|ya?ml|crc|properties|html?|log|py|png|pdf|xml|csv|tsv)", re.I)
"""Names of files beside Parquet that are not looked into."""

SKY_PARTITION = re.compile(r"/Norder=\d+/Dir=\d+/Npix=\d+")
"""Where a sky catalogue (HATS) has its rows; a thumbnail of them and tables about them lie beside."""

COLLECTION = "collection.properties"
NULL_KEY = "__HIVE_DEFAULT_PARTITION__"


def natural(path: str) -> list[tuple[str, int]]:
    """Order by the numbers in a name as numbers: a key to sort by."""
    return [(text, int(digits or -1)) for text, digits in re.findall(r"(\D*)(\d*)", path)]


def parquet_files(filesystem: Any, root: str) -> list[str]:
    """List the Parquet files of a folder (or give the file itself), in natural order.

    Hidden ones are left out (``_metadata``, ``.part.crc``), and what a sky catalogue has beside its rows. A
    file counts by its name, or by its first bytes where its name says nothing.

    Parameters
    ----------
    filesystem : fsspec.AbstractFileSystem
        Where they are.
    root : str
        A path in it.

    Returns
    -------
    list of str

    Raises
    ------
    DataError
        Where a file by its name was put aside, but holds Parquet.
    """
    if not filesystem.isdir(root):
        return [root]
    root = primary_catalogue(filesystem, root)
    names = visible(filesystem, root)
    found = [path for path in names if PARQUET_NAME.fullmatch(path)]
    unnamed = [path for path in names if not PARQUET_NAME.fullmatch(path) and not OTHER_NAME.fullmatch(path)]
    sniffed = [path for path in unnamed if begins_with(filesystem, path, PARQUET_MAGIC)]
    aside = next((path for path in sniffed if ASIDE.fullmatch(path)), None)
    if aside is not None:
        raise DataError(
            f"{name_of(filesystem, aside)} holds Parquet, but by its name was put aside or is not whole: "
            "remove it, or give the files to read as a list"
        )
    return _rows_of_catalogue([*found, *sniffed])


def csv_files(filesystem: Any, root: str) -> list[str]:
    """List the CSV files of a folder (or give the file itself), in natural order, by their names."""
    if not filesystem.isdir(root):
        return [root]
    return [path for path in visible(filesystem, root) if CSV_NAME.fullmatch(path)]


def visible(filesystem: Any, root: str) -> list[str]:
    """List the files under a folder that are not hidden, nor in a hidden folder, in natural order."""

    def hidden(path: str) -> bool:
        return any(part.startswith((".", "_")) for part in path.removeprefix(root).split("/"))

    return sorted((path for path in filesystem.find(root) if not hidden(path)), key=natural)


def begins_with(filesystem: Any, path: str, magic: bytes) -> bool:
    """Return whether a file begins with some bytes."""
    with filesystem.open(path, "rb") as file:
        return file.read(len(magic)) == magic


def _rows_of_catalogue(paths: Iterable[str]) -> list[str]:
    paths = sorted(paths, key=natural)
    partitions = [path for path in paths if SKY_PARTITION.search(path)]
    return partitions or paths


def primary_catalogue(filesystem: Any, root: str) -> str:
    """Return the main one of a collection of sky catalogues (margins and indices lie beside); else the root.

    Raises
    ------
    DataError
        Where the collection does not name it.
    """
    path = f"{root}/{COLLECTION}"
    if not filesystem.exists(path):
        return root
    with filesystem.open(path, "rb") as file:
        text = file.read().decode("utf-8", "replace")
    named = re.search(r"^\s*hats_primary_table_url\s*=\s*(\S+)\s*$", text, re.MULTILINE)
    if named is None:
        raise DataError(
            f"{name_of(filesystem, path)} names no primary table; give the path of a catalogue in it"
        )
    return f"{root}/{named[1].strip('/')}"


def keys_of(path: str) -> dict[str, str | None]:
    """Return what the names of a file's folders say: ``year=2020``, as Hive writes it."""
    folders = path.split("/")[:-1]
    pairs = [folder.partition("=") for folder in folders if "=" in folder]
    return {unquote(key): None if value == NULL_KEY else unquote(value) for key, _, value in pairs if key}


def matching(filesystem: Any, root: str) -> list[str]:
    """List what a pattern such as ``*.parquet`` matches, in natural order, without hidden files.

    Nothing for what is no pattern, or the name of something that is there.
    """
    if not has_magic(root) or filesystem.exists(root):
        return []
    wants_hidden = root.rsplit("/", 1)[-1].startswith((".", "_"))
    found = [path for path in filesystem.glob(root) if wants_hidden or os.path.basename(path)[:1] not in "._"]
    return sorted(found, key=natural)


def stored_kind(filesystem: Any, root: str) -> Kind | None:
    """Recognise what is stored, by what is there and, but for CSV, not by its name.

    Parameters
    ----------
    filesystem : fsspec.AbstractFileSystem
        Where it is.
    root : str
        A path in it.

    Returns
    -------
    "zarr", "delta", "iceberg", "lance", "parquet", "csv" or None
        None for something else, and for nothing.
    """
    if any(filesystem.exists(f"{root}/{marker}") for marker in ZARR_MARKERS):
        return "zarr"
    if filesystem.isdir(root):
        lakes: Iterator[Kind] = (
            kind for kind, marker in LAKES.items() if filesystem.glob(f"{escaped(root)}/{marker}")
        )
        listed: dict[Kind, Any] = {"parquet": parquet_files, "csv": csv_files}
        return next(lakes, None) or next((kind for kind in listed if listed[kind](filesystem, root)), None)
    if filesystem.exists(root) and begins_with(filesystem, root, PARQUET_MAGIC):
        return "parquet"
    return "csv" if CSV_NAME.fullmatch(root) and filesystem.exists(root) else None


def escaped(path: str) -> str:
    """Return a path as a pattern that matches it alone."""
    return re.sub(r"([*?[])", r"[\1]", path)


def name_of(filesystem: Any, path: str) -> str:
    """Return the name of a path for messages: itself on this machine, elsewhere a URL without its secrets."""
    return path if is_local(filesystem) else redacted(filesystem.unstrip_protocol(path))
