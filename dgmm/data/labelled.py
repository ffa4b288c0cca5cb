"""Rows of xarray's Datasets and DataArrays, and results with their coordinates.

Of a Dataset each data variable is a feature, over the dimensions that they share; of a DataArray the last
dimension numbers the features. ``sample_dims`` says otherwise. Nothing here imports xarray: who has such an
object has it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import dask.array as da
import numpy as np

from dgmm.data.choice import Choice, check_columns, check_no_two
from dgmm.data.conventions import CODED, coding_of, measured
from dgmm.data.convert import check_shape, to_array
from dgmm.data.dask import DaskSource, dask_source
from dgmm.data.dimensions import (
    Dimensions,
    check_sizes,
    choose_sample_dims,
    feature_names,
    variables_named,
)
from dgmm.data.kinds import comes_from
from dgmm.data.memory import MemorySource
from dgmm.data.source import DataError

NAMED_FEATURES = "UOT"
"""Kinds of NumPy's dtypes of coordinates that may name features: text."""


@dataclass(frozen=True, eq=False)
class RowLabels:
    """The dimensions and coordinates of rows.

    Attributes
    ----------
    template : xarray.DataArray
        Over the dimensions that number the rows, in their order; its values are not used.
    variables : tuple of xarray.DataArray
        Those that rows are made of, the dimensions that number rows in front; their values are not used.
    whole : xarray.Dataset or xarray.DataArray
        What was given.
    """

    template: Any
    variables: tuple[Any, ...]
    whole: Any

    def put(self, values: Any, name: str) -> Any:
        """Return results for each row their dimensions and coordinates.

        Parameters
        ----------
        values : ndarray or dask.array.Array of shape (n_rows,) or (n_rows, n_components)
        name : str
            Of the DataArray.

        Returns
        -------
        xarray.DataArray
            With a last dimension ``component``, if there is a result for each.
        """
        template = self.template
        if values.ndim == 2:
            template = template.expand_dims(component=values.shape[1], axis=-1)
        labelled = template.copy(data=values.reshape(template.shape)).rename(name)
        labelled.attrs = {}
        return labelled

    def put_rows(self, values: Any) -> Any:
        """Return rows of the same features the form of what was given.

        Parameters
        ----------
        values : ndarray or dask.array.Array of shape (n_rows, n_features)

        Returns
        -------
        xarray.Dataset or xarray.DataArray
            Of the variables that rows are made of, with their coordinates and attributes.
        """
        widths = [_width(each, _dims(self.template)) for each in self.variables]
        stops = np.cumsum(widths)
        filled = [
            each.copy(data=values[:, stop - width : stop].reshape(each.shape))
            for each, width, stop in zip(self.variables, widths, stops, strict=True)
        ]
        if comes_from(self.whole, "xarray", "DataArray"):
            (found,) = filled
            return found.transpose(*self.whole.dims)
        own = self.whole[[each.name for each in filled]]
        return own.assign({each.name: each.transpose(*own[each.name].dims) for each in filled})


def labelled_source(
    x: Any, choice: Choice, sample_dims: Sequence[str] | None, *, n_dims: int = 2
) -> MemorySource | DaskSource:
    """Make a source of a Dataset or DataArray. Computes nothing of Dask arrays.

    Parameters
    ----------
    x : xarray.Dataset or xarray.DataArray
    choice : Choice
        The variables of a Dataset, or the features of a DataArray whose last dimension has names for them.
    sample_dims : sequence of str or None
        The dimensions that number the rows.
    n_dims : int, default=2
        2 for rows, 1 for weights.

    Returns
    -------
    MemorySource or DaskSource
        With ``labels``.

    Raises
    ------
    DataError
        Where variables do not fit together, or hold no numbers, or are not decoded.

    Warns
    -----
    DataWarning
        If variables are left out as they hold no numbers, or by their names are no measurements.
    """
    what = f"xarray {type(x).__name__}"
    if comes_from(x, "xarray", "DataTree"):
        raise DataError(f"{what} has several Datasets; give one of them: tree['name'].to_dataset()")
    if comes_from(x, "xarray", "DataArray"):
        return _of_array(x, choice, sample_dims, what, n_dims)
    if n_dims == 1:
        raise DataError(f"Expected one weight for each row, but {what} has variables; give one of them")
    names = _variables(x, choice, what)
    dimensions = {name: _dims(x[name]) for name in names}
    chosen = choose_sample_dims(dimensions, sample_dims, what)
    shapes = {name: tuple(x.sizes[dim] for dim in chosen) for name in names}
    check_sizes(shapes, what)
    others = {name: [dim for dim in dimensions[name] if dim not in chosen] for name in names}
    found = [
        feature for name in names for feature in feature_names(name, tuple(x.sizes[d] for d in others[name]))
    ]
    check_no_two(found, found, what)
    arrays = [x[name].transpose(*chosen, *others[name]) for name in names]
    return _source(arrays, chosen, tuple(found), what, x)


def _of_array(
    x: Any, choice: Choice, sample_dims: Sequence[str] | None, what: str, n_dims: int
) -> MemorySource | DaskSource:
    own = _dims(x)
    if n_dims == 1:
        check_shape(x.shape, 1, what)
        return _source([x], own, None, what, x)
    if sample_dims is None and x.ndim < 2:
        check_shape(x.shape, 2, what)
    chosen = choose_sample_dims({what: own}, own[:-1] if sample_dims is None else sample_dims, what)
    others = [dim for dim in own if dim not in chosen]
    names = None
    if len(others) == 1 and others[0] in x.coords and x.coords[others[0]].dtype.kind in NAMED_FEATURES:
        names = tuple(map(str, x.coords[others[0]].values.tolist()))
        wanted = choice.columns
        if wanted is None and choice.fitted is not None and {*choice.fitted} <= {*names}:
            wanted = choice.fitted
        check_no_two(names, wanted or names, what)
        if wanted is not None:
            check_columns(wanted, names, what)
            x, names = x.isel({others[0]: [names.index(name) for name in wanted]}), tuple(wanted)
    elif choice.columns is not None:
        raise DataError(f"columns= was given, but {what} has no names for its features: text along {others}")
    return _source([x.transpose(*chosen, *others)], chosen, names, what, x)


def _dims(x: Any) -> Dimensions:
    return tuple(map(str, x.dims))


def _variables(x: Any, choice: Choice, what: str) -> list[str]:
    """Choose the variables: those that are named, or all data variables of numbers."""
    if choice.columns is not None:
        check_columns(choice.columns, [*map(str, x.variables)], what)
        return [*choice.columns]
    fitted = None if choice.fitted is None else variables_named(choice.fitted, {*map(str, x.variables)})
    if fitted is not None:
        return fitted
    names = [name for name in map(str, x.data_vars) if x[name].ndim and name not in choice.aside]
    numbers = measured({name: (x[name].dtype, x[name].attrs) for name in names}, what)
    if not numbers:
        raise DataError(
            f"{what} has no data variables of numbers over any dimensions, but for times and flags; name "
            "those that are features with columns="
        )
    return numbers


def _source(
    arrays: Sequence[Any], sample_dims: Dimensions, names: tuple[str, ...] | None, what: str, given: Any
) -> MemorySource | DaskSource:
    """Put variables side by side, with the dimensions that number rows in front, as a table."""
    for each in arrays:
        _check_decoded(each, what)
    labels = RowLabels(_template(arrays[0], sample_dims), tuple(arrays), given)
    n_rows = math.prod(labels.template.shape)
    is_lazy = any(
        each.chunks is not None or not getattr(each.variable, "_in_memory", True) for each in arrays
    )
    if not is_lazy:
        parts = [
            to_array(each.to_numpy(), what).reshape(n_rows, _width(each, sample_dims)) for each in arrays
        ]
        table = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        return MemorySource(table, names, what, labels)
    chunked = [each if each.chunks is not None else each.chunk("auto") for each in arrays]
    # Rows in their order are whole blocks where all but the first dimension are in one.
    tables = [
        each.data.rechunk(dict.fromkeys(range(1, each.ndim), -1)).reshape(n_rows, _width(each, sample_dims))
        for each in chunked
    ]
    whole = tables[0] if len(tables) == 1 else da.concatenate(tables, axis=1)
    return replace(dask_source(whole, Choice()), name=what, feature_names=names, labels=labels)


def _width(x: Any, sample_dims: Dimensions) -> int:
    """Return the number of features of a variable whose first dimensions number rows."""
    return math.prod(x.shape[len(sample_dims) :])


def _template(x: Any, sample_dims: Dimensions) -> Any:
    """Return one number for each row, with the coordinates of rows alone."""
    others = {str(dim): 0 for dim in x.dims if str(dim) not in sample_dims}
    own = x.drop_vars([name for name, each in x.coords.items() if {*map(str, each.dims)} & {*others}])
    return own.isel(others)


def _check_decoded(x: Any, what: str) -> None:
    """Refuse variables that were opened as they are stored: with ``mask_and_scale=False``, for example."""
    label = what if x.name is None else f"{what}, variable {str(x.name)!r}"
    attributes = {key: value for key, value in x.attrs.items() if key in (*CODED, "units", "dtype")}
    if coding_of(attributes, x.dtype, label).changes:
        found = ", ".join(key for key in attributes if key in CODED)
        raise DataError(f"{label} is not decoded (it has {found}): give xarray.decode_cf of the Dataset")
