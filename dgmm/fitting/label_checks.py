"""Labels and groups checked, in passes over their columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dgmm.data.floats import LARGEST_WHOLE, whole_columns
from dgmm.data.side_by_side import with_columns
from dgmm.data.source import DataError, DataWarning, Source
from dgmm.data.text import counted
from dgmm.data.user_warnings import warn_user
from dgmm.fitting.checks import first_with
from dgmm.fitting.labels_and_groups import UNKNOWN, KnownParts
from dgmm.model.matrices import Array
from dgmm.passes.adapted import FeaturesAlone
from dgmm.passes.run import run_pass
from dgmm.passes.task import ChunkRows


@dataclass(frozen=True)
class GroupLimits:
    """How many groups there may be.

    Attributes
    ----------
    most_groups : int
        Each task counts by group and component, and each model has as many weights: with more, `groups` are
        hardly groups, but measurements or numbers of rows.
    """

    most_groups: int = 100_000


GROUP_LIMITS = GroupLimits()


@dataclass(frozen=True)
class Fault:
    """A value that is none of those that are allowed: the first.

    Attributes
    ----------
    row : int
    value : float
    column : int
    """

    row: int
    value: float
    column: int = 0


@dataclass(frozen=True, eq=False)
class Tally:
    """Distinct values of a column, counted.

    Attributes
    ----------
    values : ndarray of shape (n_values,)
        Ascending.
    n_rows : ndarray of shape (n_values,), int64
        Rows of each.
    weights : ndarray of shape (n_values,)
        What these weigh.
    fault : Fault or None
        The first value that is not finite.
    """

    values: Array
    n_rows: NDArray[np.int64]
    weights: Array
    fault: Fault | None = None

    @classmethod
    def of(cls, values: Array, weights: Array | None, fault: Fault | None = None) -> Tally:
        """Count values, (n,)."""
        found, places, n_rows = np.unique(values, return_inverse=True, return_counts=True)
        own = n_rows if weights is None else np.bincount(places, weights, len(found))
        return cls(found, n_rows, own.astype(np.float64), fault)

    def __add__(self, other: Tally) -> Tally:
        values, places = np.unique(np.concatenate([self.values, other.values]), return_inverse=True)
        n_rows, weights = (
            np.bincount(places, np.concatenate(each), len(values))
            for each in ((self.n_rows, other.n_rows), (self.weights, other.weights))
        )
        fault = self.fault or other.fault
        return Tally(values, n_rows.astype(np.int64), weights.astype(np.float64), fault)


def count_values(chunks: Iterator[ChunkRows]) -> Tally:
    """Count the distinct values of a column: the work of a pass; no more of them than may be groups."""
    total = Tally.of(np.empty(0), None)
    for chunk in chunks:
        values = chunk.values[:, 0].astype(np.float64)
        finite, fault = np.isfinite(values), None
        if not finite.all():
            row = int(np.flatnonzero(~finite)[0])
            fault = Fault(chunk.start + row, float(values[row]))
        if len(total.values) <= GROUP_LIMITS.most_groups:
            weights = None if chunk.weights is None else chunk.weights[finite].astype(np.float64)
            total += Tally.of(values[finite], weights, fault)
    return total


@dataclass(frozen=True, eq=False)
class LabelsAndGroups:
    """Labels and groups of rows as a user gives them, and row weights.

    Attributes
    ----------
    labels, groups, weights : Source or None
        Labels are one column, or one for each component.
    """

    labels: Source | None = None
    groups: Source | None = None
    weights: Source | None = None

    @property
    def columns(self) -> tuple[Source, ...]:
        """What follows the features of rows, in this order."""
        return tuple(each for each in (self.groups, self.labels) if each is not None)

    def parts(self, *n_components: int, n_before: int = 0) -> KnownParts | None:
        """Check them, in passes over these columns alone; None where neither is given.

        Parameters
        ----------
        *n_components : int
            Of the mixtures that are fitted: labels must be components of each.
        n_before : int, default=0
            Columns between features and these.

        Raises
        ------
        DataError
            Naming the first row that is wrong: see `groups_in` and `check_labels`.
        """
        groups = None if self.groups is None else groups_in(self.groups, self.weights)
        if self.labels is None:
            return None if groups is None else KnownParts(groups, n_before=n_before)
        check_labels(self.labels, self.weights, *n_components)
        is_one, fewest = self.labels.n_features == 1, min(n_components)
        return KnownParts(groups, fewest if is_one else 0, 0 if is_one else fewest, n_before)

    def with_features(self, source: Source, n_features: int | None = None) -> Source:
        """Add them after the features of rows, and after any other columns that the source has."""
        n_features = source.n_features if n_features is None else n_features
        columns = self.columns
        if not columns and source.n_features == n_features:
            return source
        return FeaturesAlone.of(with_columns(source, *columns), n_features)


def find_weights_fault(chunks: Iterator[ChunkRows]) -> list[Fault]:
    """Find the first weight of a component that is none, and rows without any: the work of a pass."""
    found: list[Fault] = []
    for chunk in chunks:
        values = chunk.values
        bad = ~np.isfinite(values) | (values < 0.0)
        empty = values.max(axis=1) == 0.0
        bad[:, 0] |= empty
        if bad.any() and not found:
            row, column = np.argwhere(bad)[0].tolist()
            found = [Fault(chunk.start + row, float(values[row, column]), column)]
    return found


def groups_in(groups: Source, weights: Source | None) -> Array:
    """Find all groups, in a pass over their column alone.

    Parameters
    ----------
    groups : Source
        One column.
    weights : Source or None
        Row weights.

    Returns
    -------
    ndarray of shape (n_groups,)
        Ascending.

    Raises
    ------
    DataError
        For values that are not finite, with the first row; for too many groups.

    Warns
    -----
    DataWarning
        Of groups of one row.
    """
    found = run_pass(groups, count_values, "groups", weights)
    if found.fault is not None:
        raise DataError(
            f"groups must be numbers or text, but row {found.fault.row} has {found.fault.value}: give rows "
            "of unknown groups a group of their own, or leave them out"
        )
    n_groups = len(found.values)
    largest = np.abs(found.values).max(initial=0.0)
    if whole_columns(groups).any() and largest >= LARGEST_WHOLE:
        raise DataError(
            "groups holds whole numbers beyond 2^53, which float64 rounds, so that groups would fall "
            "together: give them as text, or number the groups"
        )
    if n_groups > GROUP_LIMITS.most_groups:
        raise DataError(
            f"groups holds more than {GROUP_LIMITS.most_groups:,} different values in {groups.n_rows:,} "
            "rows: each group has weights of its own; are these measurements or identifiers of rows?"
        )
    n_single = int((found.n_rows == 1).sum())
    if n_single:
        warn_user(
            f"{n_single:,} of {n_groups:,} groups have a single row, which alone determines their weights",
            DataWarning,
        )
    return found.values


def check_labels(labels: Source, weights: Source | None, *n_components: int) -> None:
    """Check labels, or weights of components, in a pass over these alone.

    Parameters
    ----------
    labels : Source
        One column of labels, or ``n_components`` columns of weights.
    weights : Source or None
        Row weights.
    *n_components : int
        Of each mixture that is fitted.

    Raises
    ------
    DataError
        Naming the first row that is wrong, or the label without weight.
    """
    if labels.n_features > 1:
        _check_weights(labels, *n_components)
        return
    found, fewest = run_pass(labels, count_values, "labels", weights), min(n_components)
    wanted = f"labels must be numbers of components, 0 to {fewest - 1}, or {UNKNOWN} if not known"
    if max(n_components) > fewest:
        wanted += "; they apply to every model of the sweep: try no fewer components than labels"
    if found.fault is not None:
        raise DataError(f"labels holds {found.fault.value} in row {found.fault.row}: {wanted}")
    values = found.values
    wrong = (values != np.floor(values)) | (values < UNKNOWN) | (values >= fewest)
    if wrong.any():
        value = float(values[wrong][0])
        row, _ = first_with(labels, 0, value, "labels")
        what = f"but n_components={fewest}" if value.is_integer() else "which is not a whole number"
        shown = int(value) if value.is_integer() else value  # with all digits: 0.9999999999999999 is not 1
        raise DataError(f"labels holds {shown} in row {row}, {what}: {wanted}")
    empty = (values >= 0.0) & (found.weights == 0.0)
    if empty.any():
        raise DataError(
            f"label {values[empty][0]:g} has {found.n_rows[empty][0]:,} rows, all with a sample_weight of "
            "0: a labelled component needs rows that count; "
            f"label them {UNKNOWN}, or give them weight"
        )


def _check_weights(labels: Source, *n_components: int) -> None:
    for number in n_components:
        if labels.n_features != number:
            raise DataError(
                f"labels has {counted(labels.n_features, 'column')}, but n_components={number}: give a label "
                "for each row, or a weight for each component"
            )
    faults = run_pass(labels, find_weights_fault, "labels")
    if not faults:
        return
    fault = faults[0]
    what = f"holds {fault.value:g} in row {fault.row}, column {fault.column}"
    if fault.value == 0.0:
        what = f"holds only zeros in row {fault.row}"
    raise DataError(
        f"labels {what}: a row's weights of components are finite numbers of at least 0, not all of them 0"
    )
