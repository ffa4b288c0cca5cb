"""Rows and row weights that are refused, with the place of the first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from dgmm.data.source import DataError, DataWarning, Source
from dgmm.data.text import plural
from dgmm.data.user_warnings import warn_user
from dgmm.model.feature_moments import FeatureMoments
from dgmm.model.statistics import Moments
from dgmm.passes.run import run_pass
from dgmm.passes.task import ChunkRows


@dataclass(frozen=True)
class CheckTuning:
    """What is refused of rows and their weights.

    Attributes
    ----------
    smallest_weight : float
        Least sum of row weights: an M-step adds 2e-15 to each component's.
    largest_squares : float
        Most that squares of distances from the mean may sum to: what is made of them needs some room.
    """

    smallest_weight: float = 1e-6
    largest_squares: float = float(np.finfo(np.float64).max) / 64.0


CHECKS = CheckTuning()


IN_FITS = (
    "leave these rows out (missing='drop'), fit their observed values (missing='marginalize'), or fill "
    "them with a `MixtureImputer`"
)
"""What to do with rows that lack values, where a mixture is fitted to them."""

OF_A_CHUNK = "in these rows"
"""Which rows were looked at, where the first chunk that has such values ends the work."""


@dataclass(frozen=True)
class NotFinite:
    """Values that are not finite numbers: how many, and where the first is."""

    n_nan: int = 0
    n_infinite: int = 0
    row: int = 0
    column: int = 0
    place: str = ""
    dtype: str = "float64"

    @classmethod
    def of(cls, chunk: ChunkRows, *, takes_nan: bool = False) -> NotFinite:
        """Look for values that are not finite in a chunk; for infinite ones alone, where NaN is allowed."""
        finite = ~np.isinf(chunk.values) if takes_nan else np.isfinite(chunk.values)
        if finite.all():
            return cls()
        row, column = np.argwhere(~finite)[0]
        n_nan = 0 if takes_nan else int(np.isnan(chunk.values).sum())
        n_infinite = int(finite.size - finite.sum()) - n_nan
        return cls(
            n_nan, n_infinite, chunk.start + int(row), int(column), chunk.place, str(chunk.values.dtype)
        )

    def __bool__(self) -> bool:
        return self.n_nan + self.n_infinite > 0

    def __add__(self, other: NotFinite) -> NotFinite:
        first = self if self or not other else other
        return replace(first, n_nan=self.n_nan + other.n_nan, n_infinite=self.n_infinite + other.n_infinite)

    def error(
        self, feature_names: tuple[str, ...] | None, advice: str = IN_FITS, among: str = "in all"
    ) -> DataError:
        """Make the error that says so, in scikit-learn's words, with the place and what to do about NaN.

        ``among`` says which rows were looked at: all of them, or `OF_A_CHUNK`.
        """
        what = "NaN" if self.n_nan else f"infinity or a value too large for dtype('{self.dtype}')"
        column = named_column(self.column, feature_names)
        advice = advice if self.n_nan else "leave these rows out"
        return DataError(
            f"Input X contains {what}.\n"
            f"The first is in row {self.row}, {column}, of {self.place}; there are {self.n_nan:,} NaN and "
            f"{self.n_infinite:,} infinite values {among}. They are not measurements: {advice}."
        )


def _first_with(column: int, value: float, chunks: Iterator[ChunkRows]) -> list[tuple[int, str]]:
    """Find the first row of a span that has a value in a column, and its place; empty where there is none."""
    found: list[tuple[int, str]] = []
    for chunk in chunks:
        there = np.flatnonzero(chunk.values[:, column] == value)
        if len(there) and not found:
            found = [(chunk.start + int(there[0]), chunk.place)]
    return found


def first_with(source: Source, column: int, value: float, purpose: str) -> tuple[int, str]:
    """Find the first row that has a value in a column, where there is one: its number, and its place."""
    return run_pass(source, partial(_first_with, column, value), purpose)[0]


def refuse_overflow(source: Source, moments: Moments) -> None:
    """Refuse rows whose squares leave the range of float64, naming the first row and column; and weights.

    Raises
    ------
    DataError
    """
    with np.errstate(all="ignore"):
        squares = np.maximum(moments.squares, moments.extent**2)
        if squares.sum() < CHECKS.largest_squares:
            return
        if moments.n_rows * np.square(moments.maximum - moments.minimum).sum() < CHECKS.largest_squares:
            raise DataError(
                f"sample_weight sums to {moments.weight:.3g}: multiplied by squared distances from the mean, "
                "this overflows float64; divide the weights, for example so that their mean is 1"
            )
    column = int(np.where(np.isfinite(squares), squares, np.inf).argmax())
    value = float(max(moments.minimum[column], moments.maximum[column], key=abs))
    row, place = first_with(source, column, value, "overflow")
    where = f"row {row}, {named_column(column, source.feature_names)}, of {place}"
    raise DataError(
        f"Input X contains a value too large for a mixture: {where}, holds {value:g}, and squares "
        "of distances from the mean overflow float64. Leave "
        "such rows out, or scale the data"
    )


def check_observed(source: Source, observed: FeatureMoments) -> None:
    """Refuse columns without values, and warn of rows without any."""
    for column in np.flatnonzero(observed.weights == 0.0).tolist():
        counted = "" if observed.minimum[column] > observed.maximum[column] else " in rows with a weight"
        named = named_column(column, source.feature_names)
        raise DataError(f"{source.name}: {named} holds only NaN{counted}: leave it out")
    if observed.n_empty:
        warn_user(
            f"{source.name}: {observed.n_empty:,} of {source.n_rows:,} rows "
            f"{plural(observed.n_empty, 'has', 'have')} no value at all; such rows count, but carry no "
            "information: their responsibilities are the weights of the components",
            DataWarning,
        )


def named_column(column: int, feature_names: Sequence[str] | None) -> str:
    """Name a column as messages do: by its name, where it has one, and its number."""
    return f"column {column}" if feature_names is None else f"column {feature_names[column]!r} ({column})"


def check_weight(weight: float) -> None:
    """Refuse weights that sum to too little.

    Raises
    ------
    DataError
    """
    if weight < CHECKS.smallest_weight:
        raise DataError(
            f"sample_weight sums to {weight:.3g}: too little compared to what is added to counts; "
            "multiply the weights, for example so that their mean is 1"
        )


def check_weights(chunk: ChunkRows) -> None:
    """Refuse weights that are negative or not finite, naming the first row."""
    assert chunk.weights is not None
    good = np.isfinite(chunk.weights) & (chunk.weights >= 0.0)
    if not good.all():
        first = int(np.flatnonzero(~good)[0])
        raise DataError(
            f"sample_weight must hold finite numbers of at least 0, but row {chunk.start + first} "
            f"has {chunk.weights[first]}"
        )
