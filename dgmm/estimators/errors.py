"""Measurement errors as users give them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dgmm.data import DataError, Source, open_dataset
from dgmm.data.convert import refuse_kind, to_array
from dgmm.data.kinds import comes_from, is_table
from dgmm.data.mapped import MappedSource, of_columns
from dgmm.data.named_columns import refuse_ambiguous
from dgmm.data.open import open_side_information
from dgmm.data.side_by_side import with_columns
from dgmm.data.text import counted, listed
from dgmm.data.types import RowsLike
from dgmm.kernels.measured import widths_of

ErrorsLike: TypeAlias = RowsLike | Sequence[str] | float
"""Variances or covariances of measurement errors: of each row, or of all; or the columns that hold them."""


@dataclass(frozen=True, eq=False)
class MeasuredRows:
    """Rows, and their measurement errors.

    Attributes
    ----------
    rows : Source
        Features alone.
    joined : Source
        Features, followed by columns of errors: see `dgmm.kernels.measured`.
    n_errors : int
        How many columns these are.
    given : Source, ndarray, tuple of str, or None
        Of each row, of all rows, or the columns that they are.
    """

    rows: Source
    joined: Source
    n_errors: int = 0
    given: Source | NDArray[np.float64] | tuple[str, ...] | None = None

    @property
    def kind(self) -> str:
        """What errors are given as: variances, or covariances; empty where there are none."""
        if not self.n_errors:
            return ""
        return "variances" if self.n_errors == self.rows.n_features else "covariances"

    @property
    def by_name(self) -> dict[str, Source | NDArray[np.float64] | tuple[str, ...]]:
        """What the errors are, by that name; empty where there are none."""
        return {} if self.given is None else {"errors": self.given}


def with_errors(source: Source, errors: ErrorsLike | None) -> MeasuredRows:
    """Open the errors of rows, and put them beside these.

    Parameters
    ----------
    source : Source
        Where ``errors`` names columns, these are among its own, and no features then.
    errors : see `ErrorsLike`, or None

    Raises
    ------
    DataError
        Where there are errors of another number of rows or features.
    """
    if errors is None:
        return MeasuredRows(source, source)
    named = columns_among(errors, source)
    if named is not None:
        if isinstance(errors, str) and os.path.exists(errors):
            refuse_ambiguous(errors, "errors")
        return _of_columns(source, named)
    same = _of_all_rows(errors, source)
    if same is not None:
        width = source.n_features + len(same)
        both = MappedSource(source, partial(_followed_by, same), width, made_dtype=np.dtype(np.float64))
        return MeasuredRows(source, both, len(same), same)
    found = _opened(errors, source)
    _check_width(found.n_features, source)
    return MeasuredRows(source, with_columns(source, found), found.n_features, found)


def refuse_measured(mixture: object, what: str) -> None:
    """Refuse what takes rows to be exact, of a mixture that was fitted with errors.

    Parameters
    ----------
    mixture : FittedMixture
    what : str
        That is asked for.

    Raises
    ------
    ValueError
    """
    if hasattr(mixture, "measurement_errors_"):
        raise ValueError(
            f"The mixture was fitted with measurement errors, which {what} would ignore: the "
            "mixture describes the true values, and measured rows spread wider. predict, score, bic and "
            "merge take errors="
        )


def require_errors(mixture: object, errors: object, what: str) -> None:
    """Refuse rows without errors for a mixture that was fitted with errors, where all rows are judged.

    Parameters
    ----------
    mixture : FittedMixture
    errors : see `ErrorsLike`, or None
    what : str
        That is asked for.

    Raises
    ------
    ValueError
    """
    if errors is None and hasattr(mixture, "measurement_errors_"):
        raise ValueError(
            f"The mixture was fitted with measurement errors, and {what} would take these rows as exact: "
            "give their errors=, as for fit, or errors=0.0 if they are exact"
        )


def names_in(errors: object) -> tuple[str, ...]:
    """Return the names of columns that errors may be; empty where they are something else."""
    if isinstance(errors, str):
        return (errors,)
    listed = list(errors) if isinstance(errors, (list, tuple)) else []
    return tuple(listed) if all(isinstance(each, str) for each in listed) else ()


def columns_among(errors: object, source: Source) -> list[int] | None:
    """Return the numbers of the columns of a source that errors name; None where they do not.

    Raises
    ------
    DataError
        Where some of them are columns, and others are not.
    """
    wanted, names = names_in(errors), list(source.feature_names or ())
    missing = [name for name in wanted if name not in names]
    if not wanted or len(missing) == len(wanted):
        return None
    if missing:
        raise DataError(
            f"errors names {', '.join(map(repr, missing))}, which are not columns of numbers in "
            f"{source.name}; it has {', '.join(map(repr, names))}"
        )
    return [names.index(name) for name in wanted]


def _of_columns(source: Source, errors: list[int]) -> MeasuredRows:
    """Take some of a source's own columns as the errors of the others."""
    names = source.feature_names
    assert names is not None
    features = [column for column in range(len(names)) if column not in errors]
    if not features:
        raise DataError(f"errors names all columns of {source.name}: there are no features left")
    rows = of_columns(source, features)
    _check_width(len(errors), rows)
    both = of_columns(source, [*features, *errors])
    return MeasuredRows(rows, both, len(errors), tuple(names[each] for each in errors))


def _of_all_rows(errors: object, source: Source) -> NDArray[np.float64] | None:
    """Return the errors that all rows have: a number, one for each feature, or a matrix; None if they differ.

    An array with a row for each row of data is taken to be that.
    """
    is_plain = isinstance(errors, (int, float, np.number, np.ndarray, list, tuple)) and not names_in(errors)
    if not is_plain or isinstance(errors, bool):
        return None
    refuse_kind(errors, "errors")
    values, n_features = to_array(errors, "errors"), source.n_features
    if values.ndim == 0:
        return np.full(n_features, float(values))
    shape = values.shape
    if shape not in {(n_features,), (n_features, n_features)} or shape[0] == source.n_rows:
        return None
    return values.astype(np.float64).ravel()


def _opened(errors: Any, source: Source) -> Source:
    """Open errors that each row has of its own: where they have names, by those of the features."""
    is_lazy = comes_from(errors, "dask", "Array")
    if is_lazy or (isinstance(errors, (np.ndarray, list, tuple)) and not names_in(errors)):
        errors = _flat(errors if is_lazy else to_array(errors, "errors"), source.n_features)
    try:
        found = open_dataset(errors) if is_table(errors) else open_side_information(errors)
    except FileNotFoundError as error:
        if source.feature_names is None or not names_in(errors):
            raise
        raise DataError(
            f"errors={errors!r} names no column of {source.name}, which has "
            f"{', '.join(map(repr, source.feature_names))}; it is not a path either: {error}"
        ) from error
    features, names = source.feature_names, found.feature_names
    if features is None or names is None or not set(names) & set(features):
        return found
    if sorted(names) == sorted(features):
        return of_columns(found, [names.index(name) for name in features])
    raise DataError(
        f"errors has the columns {listed(map(repr, names))}, some of which are features and others not "
        f"({listed(map(repr, features))}): use the names of all features, in any order, or other names, in "
        "their order"
    )


def _flat(values: Any, n_features: int) -> Any:
    """Return errors with a row of numbers for each row: whole matrices row by row."""
    if values.ndim == 1 and n_features == 1:
        return values[:, None]
    if values.ndim != 3:
        return values
    if values.shape[1:] != (n_features, n_features):
        raise DataError(
            f"errors has the shape {values.shape}: covariances of {counted(n_features, 'feature')} are of "
            f"shape (n_rows, {n_features}, {n_features})"
        )
    return values.reshape(values.shape[0], n_features**2)


def _check_width(n_errors: int, rows: Source) -> None:
    variances, triangle, whole = widths_of(rows.n_features)
    if n_errors not in {variances, triangle, whole}:
        raise DataError(
            f"errors has {counted(n_errors, 'column')} for {counted(rows.n_features, 'feature')}: give "
            f"{counted(variances, 'variance')}, {triangle} for the upper triangles of covariances, row by "
            f"row, or {whole} for whole ones"
        )


def _followed_by(values: NDArray[np.float64], rows: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.hstack([rows, np.broadcast_to(values, (len(rows), len(values)))])
