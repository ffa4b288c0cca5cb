"""Which arrays of a Zarr group are features, each by its own metadata."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import zarr

from dgmm.data.choice import Choice, check_columns
from dgmm.data.conventions import measured
from dgmm.data.dimensions import variables_named
from dgmm.data.source import DataError
from dgmm.data.text import listed
from dgmm.data.variables import dimensions_of

RELATED = ("bounds", "climatology", "grid_mapping")
"""Attributes that name variables which say where values are, beside coordinates."""


def chosen_arrays(group: zarr.Group, choice: Choice, name: str) -> dict[str, zarr.Array[Any]]:
    """Return the arrays of a group that are features, in their order.

    Parameters
    ----------
    group : zarr.Group
    choice : Choice
    name : str
        What the user would call the group.

    Returns
    -------
    dict of zarr.Array
        By their names, at least one.

    Raises
    ------
    DataError
        Where those that are named are not there, or none is a feature.
    """
    arrays, columns = _members(group), choice.columns
    if columns is None and choice.fitted is not None:
        columns = variables_named(choice.fitted, arrays)
    if columns is None:
        columns = _data_variables(arrays, group, name, choice.aside)
    check_columns(columns, list(arrays), name)
    if not columns:
        inside = sorted(group.keys())
        raise DataError(
            f"{name} is a Zarr group without arrays that can be features; give the path of one of the arrays "
            f"or groups in it ({listed(inside) or 'there are none'}), or name arrays of numbers with columns="
        )
    return {column: arrays[column] for column in columns}


def own_metadata(array: zarr.Array[Any]) -> zarr.Array[Any]:
    """Open an array again, by its own metadata: what was consolidated, or opened before, may be old."""
    return zarr.open_array(array.store_path, mode="r", zarr_format=array.metadata.zarr_format)


def _members(group: zarr.Group) -> dict[str, zarr.Array[Any]]:
    """Return the arrays of a group by their own metadata, in the order of their names.

    Consolidated metadata may be old, but where a store cannot be listed it alone tells what there is.
    """
    names = set(group.array_keys()) if group.metadata.consolidated_metadata else set()
    version = group.metadata.zarr_format
    fresh = zarr.open_group(group.store_path, mode="r", zarr_format=version, use_consolidated=False)
    if group.store.supports_listing:
        names |= set(fresh.array_keys())
    found = {name: fresh.get(name) for name in sorted(names)}
    return {name: array for name, array in found.items() if isinstance(array, zarr.Array)}


def _data_variables(
    arrays: dict[str, zarr.Array[Any]], group: zarr.Group, name: str, aside: Collection[str] = ()
) -> list[str]:
    """Return the arrays that are features if none are named: numbers that say something of a place or time.

    No coordinates, therefore: arrays named as their only dimension, those that others or the group list as
    coordinates; and none without dimensions.
    """
    attributes = {key: array.attrs.asdict() for key, array in arrays.items()}
    listed = [each.get("coordinates") for each in (*attributes.values(), group.attrs.asdict())]
    listed += [each.get(key) for each in attributes.values() for key in RELATED]
    related = {word.strip(":") for text in listed if isinstance(text, str) for word in text.split()}
    related |= {key for key, array in arrays.items() if dimensions_of(array) in ((key,), ())}
    return measured(
        {
            key: (array.dtype, attributes[key])
            for key, array in arrays.items()
            if key not in related and key not in aside
        },
        name,
    )
