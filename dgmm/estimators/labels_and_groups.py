"""Labels and groups as users give them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgmm.data import DataError, Source, open_dataset
from dgmm.data.ambient import read_now
from dgmm.data.categories import categories_of, numbers_of, places_among
from dgmm.data.kinds import is_open
from dgmm.data.memory import MemorySource, is_in_memory
from dgmm.data.named_columns import column_named, has_column, is_path
from dgmm.data.open import open_side_information, open_without
from dgmm.data.side_by_side import with_columns
from dgmm.data.types import GroupsLike, LabelsLike, RowsLike
from dgmm.estimators.errors import ErrorsLike, MeasuredRows, names_in
from dgmm.fitting.label_checks import LabelsAndGroups
from dgmm.fitting.labels_and_groups import KnownParts
from dgmm.kernels import group_densities
from dgmm.kernels.densities import joint_log_densities
from dgmm.kernels.rare import shares_of
from dgmm.model.matrices import Array
from dgmm.model.parameters import LOG_OF_NOTHING, Parameters


def split_off_side_information(
    x: RowsLike,
    given: Mapping[str, Any],
    features: Iterable[object] | None = None,
    errors: ErrorsLike | None = None,
) -> tuple[RowsLike, dict[str, Any]]:
    """Open the columns of the rows that are named as side information, and leave them out of the features.

    Parameters
    ----------
    x : object
        As for `open_dataset`.
    given : mapping of str to object
        Row weights, labels and groups. Text names a column, or is a path.
    features : iterable of str, optional
        Of a fitted mixture.
    errors : see `dgmm.estimators.errors.ErrorsLike`, optional
        Columns that these name are kept.

    Returns
    -------
    rows : object
        As they are, where no column is named; else opened, without it.
    side_information : dict of str to object
        As given, with columns in the place of their names.

    Raises
    ------
    DataError
        Where text is no column and no path, or both.
    """
    texts = {what: value for what, value in given.items() if isinstance(value, str)}
    columns = {what: column_named(x, name, what) for what, name in texts.items()}
    columns = {what: column for what, column in columns.items() if column is not None}
    if not columns:
        return x, dict(given)
    if features is None or is_open(x):
        return open_without(x, [texts[what] for what in columns]), {**given, **columns}
    kept = [*map(str, features)]
    kept += [name for name in names_in(errors) if name not in kept and has_column(x, name)]
    return open_dataset(x, columns=kept), {**given, **columns}


def open_for_rows(name: str, value: Any, source: Source) -> Source:
    """Open labels or groups, ``name``, of rows.

    Raises
    ------
    DataError
        Where they are not as many as rows; for labels that are text.
    """
    if name == "labels":
        _refuse_text(value)
    found = open_side_information(value)
    if found.n_rows != source.n_rows:
        raise DataError(
            f"{name} has {found.n_rows:,} rows, but X has {source.n_rows:,}: give one for each row, in order"
        )
    return found


def _refuse_text(labels: Any) -> None:
    """Refuse labels that are text, such as names of classes; a list of paths is none."""
    if isinstance(labels, (list, tuple)) and any(isinstance(each, str) and is_path(each) for each in labels):
        return
    try:
        names = categories_of(labels)
        held = None if names is None else f"text, such as {str(names[0])!r}"
    except DataError:  # not in all rows
        held = "text in some rows"
    if held is not None:
        raise DataError(
            f"labels holds {held}: labels are numbers of components, from 0, or -1 where the component is "
            "not known, or a weight for each component; number the classes, as pandas.factorize does (a "
            "column or a file of numbers is given as one text: its name, or its path)"
        )


@dataclass(frozen=True, eq=False)
class InGroups:
    """A function of rows that are followed by the number of their group: picklable.

    Attributes
    ----------
    quantity : str
        See `dgmm.estimators.predictor.Quantity`.
    model : Parameters
        With weights of groups.
    groups : ndarray of shape (n_groups,)
        Their numbers, ascending.
    n_errors : int, default=0
        Columns of measurement errors between features and group.
    """

    quantity: str
    model: Parameters
    groups: Array
    n_errors: int = 0

    def __call__(self, rows: NDArray[np.floating]) -> NDArray[Any]:
        """Compute it: (n_rows, n_features + n_errors + 1) to (n_rows, …)."""
        groups = places_among(rows[:, -1], self.groups)
        if self.quantity == "log_densities":
            return group_densities.log_densities(self.model, rows[:, :-1], groups, self.n_errors)
        found = group_densities.responsibilities(self.model, rows[:, :-1], groups, self.n_errors)
        return found.argmax(axis=1) if self.quantity == "labels" else found


@dataclass(frozen=True, eq=False)
class InParts:
    """Responsibilities of rows that are followed by what is known of their components: picklable.

    Attributes
    ----------
    model : Parameters
        With weights of groups, where these are known.
    known : KnownParts
        What follows: errors are before it.
    """

    model: Parameters
    known: KnownParts

    def __call__(self, rows: NDArray[np.floating]) -> Array:
        """Compute them: (n_rows, n_features + n_columns) to (n_rows, K)."""
        n_features, n_errors = self.model.n_features, self.known.n_before
        joint = joint_log_densities(self.model, rows[:, : n_features + n_errors], n_errors)
        joint = np.maximum(joint, 0.5 * LOG_OF_NOTHING)  # labels decide, however far out the row is
        return shares_of(joint + self.known.priors_of_rows(self.model, rows[:, n_features:]))[0]


def with_groups(mixture: Any, source: Source, groups: GroupsLike) -> tuple[Source, Array]:
    """Put the groups of rows behind them, as numbers, and give the numbers of all groups.

    Parameters
    ----------
    mixture : FittedMixture
    source : Source
        Columns of errors may follow the features.
    groups : array-like, Dask collection or path

    Raises
    ------
    ValueError
        Where the mixture has no groups, or others.
    """
    given, numbers = groups_for(mixture, source, groups)
    return joined_in_memory(with_columns(source, given)), numbers


def groups_for(mixture: Any, source: Source, groups: GroupsLike) -> tuple[Source, Array]:
    """Open the groups of rows as numbers, and give the numbers of all groups of a mixture, ascending.

    Raises
    ------
    ValueError
        Where the mixture has no groups, or others.
    """
    known = getattr(mixture, "groups_", None)
    if known is None:
        raise ValueError(
            f"groups= was given, but this {type(mixture).__name__} was fitted without: its weights are "
            "those of all rows; leave groups= out"
        )
    is_text = known.dtype.kind == "U"
    if is_text != (categories_of(groups) is not None):
        has = "text" if is_text else "numbers"
        raise DataError(f"the groups of the fit are {has}, such as {known[0].item()!r}: give {has}")
    given = numbers_of(groups, known) if is_text else groups
    numbers = np.arange(len(known), dtype=np.float64) if is_text else known.astype(np.float64)
    return open_for_rows("groups", given, source), numbers


def parts_for(
    mixture: Any,
    measured: MeasuredRows,
    weights: Source | None,
    labels: LabelsLike | None,
    groups: GroupsLike | None,
) -> tuple[LabelsAndGroups, KnownParts | None]:
    """Open labels and groups of rows for a fitted mixture, and look at labels in a pass over these alone.

    Raises
    ------
    ValueError
        Where the mixture has no groups, or others; where labels are no components.
    """
    source, of_groups, numbers = measured.rows, None, None
    if groups is not None:
        of_groups, numbers = groups_for(mixture, source, groups)
    opened = LabelsAndGroups(
        None if labels is None else open_for_rows("labels", labels, source), None, weights
    )
    known = opened.parts(len(mixture.means_), n_before=measured.n_errors)
    if numbers is not None:
        own = KnownParts(n_before=measured.n_errors) if known is None else known
        known = replace(own, groups=numbers)
    return replace(opened, groups=of_groups), known


def with_parts(
    mixture: Any,
    measured: MeasuredRows,
    weights: Source | None,
    labels: LabelsLike | None,
    groups: GroupsLike | None,
) -> tuple[Source, InParts]:
    """Put groups and labels behind rows and errors, and give responsibilities as a function of all.

    At least one of the two must be given. It raises what `parts_for` does.
    """
    given, known = parts_for(mixture, measured, weights, labels, groups)
    assert known is not None
    rows = joined_in_memory(with_columns(measured.joined, *given.columns))
    return rows, InParts(mixture._model, known)


def joined_in_memory(source: Source) -> Source:
    """Return rows in memory as one array: results for each row are there at once, too."""
    if not is_in_memory(source):
        return source
    values = read_now(source.rows(0, source.n_rows))
    return MemorySource(values, source.feature_names, source.name, getattr(source, "labels", None))
