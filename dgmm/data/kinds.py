"""What kind of object a user passed, without importing its library."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

import narwhals as nw
import numpy as np

if TYPE_CHECKING:
    from dgmm.data.source import Source


def comes_from(values: object, module: str, *names: str) -> bool:
    """Return whether a value's class, or one of its bases, is of a module, without importing that.

    Parameters
    ----------
    values : object
        Anything.
    module : str
        The top-level module: ``"pandas"``.
    *names : str
        Names of classes.

    Returns
    -------
    bool
    """
    return any(
        base.__module__.partition(".")[0] == module and base.__name__ in names
        for base in type(values).__mro__
    )


def is_open(x: object) -> TypeGuard[Source]:
    """Return whether rows are open already."""
    return callable(getattr(x, "spans", None))  # isinstance would ask for n_rows, and so count the rows


def is_pandas(x: object) -> bool:
    """Return whether this is a pandas DataFrame."""
    return comes_from(x, "pandas", "DataFrame")


def is_labelled(x: object) -> bool:
    """Return whether this is one of xarray's objects."""
    return comes_from(x, "xarray", "Dataset", "DataArray", "DataTree")


def is_table(x: object) -> bool:
    """Return whether this is a table of named columns in memory (or that is computed into memory)."""
    if type(x) is np.ndarray:  # asking all libraries of frames takes longer than to predict a row
        return False
    return (
        isinstance(x, (nw.DataFrame, nw.LazyFrame))
        or comes_from(x, "pyarrow", "Table", "RecordBatch", "RecordBatchReader")
        or nw.dependencies.is_into_dataframe(x)
        or nw.dependencies.is_into_lazyframe(x)
    )
