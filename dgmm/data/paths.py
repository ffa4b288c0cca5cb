"""What is stored at paths or URLs, of one kind, opened as one source."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from fsspec.core import has_magic

from dgmm.data.choice import Choice
from dgmm.data.joined import joined
from dgmm.data.listing import ZARR_MARKERS, Kind, csv_files, matching, parquet_files, stored_kind
from dgmm.data.location import is_local, locate, zarr_store
from dgmm.data.retrying import persistently
from dgmm.data.siblings import settle
from dgmm.data.source import DataError, DataWarning, Source
from dgmm.data.text import redacted
from dgmm.data.user_warnings import warn_user


def paths_of(x: Any) -> list[str]:
    """Return the paths that a user gives: one, or a list of them."""
    many = [x] if isinstance(x, (str, os.PathLike)) else x
    if isinstance(many, (list, tuple)) and all(isinstance(path, (str, os.PathLike)) for path in many):
        return [os.fspath(path) for path in many]
    return []


def open_paths(
    paths: Sequence[str], choice: Choice, options: Mapping[str, object] | None, n_dims: int, **of_zarr: Any
) -> Source:
    """Open what is stored at paths, one after another; patterns stand for what they match.

    Parameters
    ----------
    paths : sequence of str
        Paths or URLs, at least one.
    choice : Choice
    options : mapping or None
        For the file system of a URL.
    n_dims : int
        2 for rows, 1 for weights.
    **of_zarr
        ``fill_missing`` and ``sample_dims``: see `dgmm.data.open.open_dataset`.
    """
    places = [place for path in paths for place in _places(path, options)]
    name = places[0].name if len(places) == 1 else f"{places[0].name} and {len(places) - 1:,} more"
    kind, filesystem = places[0].kind, places[0].filesystem
    _once(filesystem, [place.root for place in places])
    for place in places:
        if place.kind != kind or place.filesystem != filesystem:
            raise DataError(
                f"{places[0].name} ({kind}) and {place.name} ({place.kind}) cannot be read as one: give "
                "paths of one kind, in one file system"
            )
    if kind != "zarr" and of_zarr["sample_dims"] is not None:
        raise DataError(f"sample_dims= was given, but {name} is a table, without named dimensions")
    match kind:
        case "zarr":
            return joined(
                lambda place, choice: _open_zarr(place, choice, options, n_dims, **of_zarr),
                places,
                choice,
                name,
            )
        case "parquet":
            from dgmm.data.parquet import parquet_source

            found = [path for place in places for path in parquet_files(filesystem, place.root)]
            files = _once(filesystem, found)
            return parquet_source(name, filesystem, files, choice)
        case "csv":
            from dgmm.data.csv import csv_source

            found = [path for place in places for path in csv_files(filesystem, place.root)]
            files = _once(filesystem, found)
            return csv_source(name, filesystem, files, choice)
    from dgmm.data.lakes import lake_source

    return joined(
        lambda place, choice: lake_source(
            kind, place.path, filesystem, place.root, choice=choice, options=options
        ),
        places,
        choice,
        name,
    )


def _once(filesystem: Any, paths: list[str]) -> list[str]:
    """Refuse what is there twice, as by patterns that overlap, and tell of links: rows would count twice."""
    twice = [path for path, n_times in Counter(paths).items() if n_times > 1]
    if twice:
        raise DataError(f"{redacted(twice[0])} is among the paths more than once; name it once")
    if is_local(filesystem):
        names: dict[str, str] = {}
        for path in paths:
            other = names.setdefault(os.path.realpath(path), path)
            if other != path:
                warn_user(
                    f"{other} and {path} are the same, by a link: their rows count twice; name one of them",
                    DataWarning,
                )
    return paths


@dataclass(frozen=True)
class _Place:
    """Something stored: where, what it is, and by which path or URL it is opened."""

    filesystem: Any
    root: str
    kind: Kind
    path: str

    @property
    def name(self) -> str:
        """What messages call it."""
        return redacted(self.path)


def _places(path: str, options: Mapping[str, object] | None) -> list[_Place]:
    """Find what is at a path, or what a pattern matches."""
    if not path:
        raise FileNotFoundError("the path of the data is empty; give one")
    filesystem, root = locate(path, options)
    found = matching(filesystem, root)
    paths = dict(
        zip(found, found if is_local(filesystem) else map(filesystem.unstrip_protocol, found), strict=True)
    )
    return [
        _Place(filesystem, each, _kind(filesystem, each, redacted(url)), url)
        for each, url in (paths or {root: path}).items()
    ]


def _kind(filesystem: Any, root: str, name: str) -> Kind:
    if is_local(filesystem) and os.path.exists(root):
        needed = os.R_OK | os.X_OK if os.path.isdir(root) else os.R_OK
        if not os.access(root, needed):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
    if is_local(filesystem) and not os.path.exists(root):  # its writer may have died before the last step
        settle(root)
    kind = stored_kind(filesystem, root)
    if kind is not None:
        return kind
    if not filesystem.exists(root):
        raise FileNotFoundError(
            f"{name} does not exist"
            if not has_magic(root)
            else f"nothing matches {name}, and it does not exist"
        )
    raise DataError(
        f"{name} is neither a Zarr array or group ({', '.join(ZARR_MARKERS)}) nor a Parquet or CSV "
        "file, or a folder of them (*.parquet, *.csv); read any other format yourself, "
        "and pass arrays or frames"
    )


def _open_zarr(
    place: _Place, choice: Choice, options: Mapping[str, object] | None, n_dims: int, **of_zarr: Any
) -> Source:
    import zarr

    from dgmm.data.zarr import zarr_source

    try:
        store = zarr_store(place.path, options, read_only=True)
        node = persistently(lambda: zarr.open(store, mode="r"), place.name)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{place.name} cannot be opened as Zarr, its metadata may be damaged: {error!r}"
        ) from error
    opening = partial(zarr_source, node, choice, name=place.name, n_dims=n_dims, **of_zarr)
    return persistently(opening, place.name)
