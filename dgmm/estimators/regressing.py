"""Features regressed on others, row by row, by a fitted mixture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar, overload

import numpy as np
from dask.base import is_dask_collection
from numpy.typing import NDArray

from dgmm.data import DataError, Source, open_dataset
from dgmm.data.kinds import comes_from, is_table
from dgmm.data.open import open_fitted
from dgmm.data.text import listed
from dgmm.data.types import (
    DaskArray,
    DaskDataFrame,
    DataArray,
    InMemory,
    Labelled,
    OfRows,
    RowsLike,
    Stored,
)
from dgmm.estimators.base import FittedMixture
from dgmm.estimators.empty_rows import REGRESSED, warning_of_empty
from dgmm.estimators.errors import refuse_measured
from dgmm.estimators.features import Features, numbers_of
from dgmm.estimators.parameters import parameters_of
from dgmm.estimators.rowwise import RowFunction, evaluate
from dgmm.estimators.validation import check_some_rows, open_to_predict
from dgmm.kernels.imputation import conditioned
from dgmm.model.conditional import marginal
from dgmm.model.matrices import Array
from dgmm.model.parameters import Parameters

Mean_co = TypeVar("Mean_co", covariant=True)
Covariance_co = TypeVar("Covariance_co", covariant=True)

# What X is decides on the result, and what is more special comes first. A Dask frame is also a table.
# pyright: reportOverlappingOverload=false


class Regression(NamedTuple, Generic[Mean_co, Covariance_co]):
    """What is known of some features where others are known, for each row.

    Attributes
    ----------
    mean : of shape (n_samples, n_targets)
    covariance : of shape (n_samples, n_targets, n_targets)
        In squared units of the data.
    """

    mean: Mean_co
    covariance: Covariance_co


@dataclass(frozen=True, eq=False)
class Regressing:
    """Means and covariances of the last features given the first ones: a picklable function of rows.

    Attributes
    ----------
    mixture : Parameters
        Of the known features and, after them, the targets.
    n_targets : int
    columns : ndarray of shape (n_known,) or None
        Where the known features are among the columns of rows. None: they are all columns.
    """

    mixture: Parameters
    n_targets: int
    columns: NDArray[np.intp] | None = None

    def __call__(self, rows: NDArray[np.floating]) -> Array:
        """Return means and, row by row, covariances: (n_rows, n_targets + n_targets²).

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_known), or of more columns
            Where a value is NaN, it is not known.
        """
        m = self.n_targets
        rows = rows if self.columns is None else rows[:, self.columns]
        result = np.empty((len(rows), m + m * m))
        whole = np.concatenate([rows, np.full((len(rows), m), np.nan)], axis=1)
        for numbers, given in conditioned(self.mixture, whole, makes_matrices=True):
            result[numbers, :m] = given.expected[:, -m:]
            result[numbers, m:] = given.covariances[:, -m:, -m:].reshape(-1, m * m)
        return result

    def names(self, targets: list[str]) -> tuple[str, ...]:
        """Name the results, after the targets."""
        return (*targets, *(f"cov({one}, {other})" for one in targets for other in targets))


def split_regression(values: Any, targets: list[str]) -> Regression[Any, Any]:
    """Take apart what `Regressing` gives, in any form that a result for each row has."""
    m = len(targets)
    if isinstance(values, np.ndarray):
        return Regression(values[:, :m], values[:, m:].reshape(-1, m, m))
    if hasattr(values, "to_dask_array"):
        return Regression(values[targets], _as_matrices(values.to_dask_array()[:, m:], m))
    if comes_from(values, "dask", "Array"):
        return Regression(values[:, :m], _as_matrices(values[:, m:], m))
    mean = values.isel(component=slice(m)).rename("mean", component="target").assign_coords(target=targets)
    square = values.isel(component=slice(m, None)).data
    covariance = mean.expand_dims(other_target=targets, axis=-1).copy(data=square.reshape((*mean.shape, m)))
    return Regression(mean, covariance.rename("covariance"))


def _as_matrices(values: Any, size: int) -> Any:
    chunks = (values.chunks[0], (size,), (size,))
    meta = np.empty((0, size, size), values.dtype)
    return values.map_blocks(_square, size, dtype=values.dtype, chunks=chunks, new_axis=2, meta=meta)


def _square(block: NDArray[np.floating], size: int) -> NDArray[np.floating]:
    return block.reshape(-1, size, size)


class RegressingMixture(FittedMixture):
    """A fitted mixture that predicts some features of rows from others."""

    @overload
    def regress(
        self, X_known: DaskDataFrame, targets: Features, *, known: Features | None = None
    ) -> Regression[DaskDataFrame, DaskArray]: ...
    @overload
    def regress(
        self, X_known: Labelled, targets: Features, *, known: Features | None = None
    ) -> Regression[DataArray, DataArray]: ...
    @overload
    def regress(
        self, X_known: DaskArray | Stored, targets: Features, *, known: Features | None = None
    ) -> Regression[DaskArray, DaskArray]: ...
    @overload
    def regress(
        self, X_known: InMemory, targets: Features, *, known: Features | None = None
    ) -> Regression[Array, Array]: ...
    @overload
    def regress(
        self, X_known: Source, targets: Features, *, known: Features | None = None
    ) -> Regression[OfRows, OfRows]: ...
    def regress(
        self, X_known: RowsLike, targets: Features, *, known: Features | None = None
    ) -> Regression[OfRows, OfRows]:
        """Return the mean and covariance of some features where others are known, row by row.

        They are those of the conditional mixture of each row: the mean is the regression on the known
        features that loses the least squared error, and the covariance says how sure it is, in this row.

        Parameters
        ----------
        X_known : array-like, Dask collection, path or source of shape (n_samples, n_known) or (n_samples, \
                n_features)
            The known features: of what has named columns those of these names, whatever else is in it; of
            rows without names that have all features, theirs. NaN is a value that is not known either.
        targets : str, int, or iterable of these
            Names or column numbers of the features that are wanted.
        known : iterable of str or int, optional
            Names or column numbers of the features that the columns of ``X_known`` are, or that are to be
            taken of named ones. Default: of named columns, those that are features and no targets; else all
            features but the targets, in their order. What is neither known nor wanted may have any value.

        Returns
        -------
        Regression
            A named tuple: ``mean`` of shape (n_samples, n_targets), ``covariance`` of shape (n_samples,
            n_targets, n_targets). NumPy for rows in memory; lazy for all others, as from `predict_proba`: of
            a Dask DataFrame the mean is one, with the targets as its columns.

        Raises
        ------
        ValueError
            For features that are not there, are given twice, or are both known and wanted; for values that
            are infinite; of a mixture that was fitted with measurement errors.

        Warns
        -----
        DataWarning
            Where rows have none of the known values: with their number for rows in memory, else as they are
            computed.

        Examples
        --------
        >>> from dgmm import GaussianMixture
        >>> mixture = GaussianMixture(random_state=0).fit([[0, 1], [2, 4], [4, 6], [6, 9]])
        >>> mixture.regress([[3], [1]], targets=1).mean.round(3)
        array([[5. ],
               [2.4]])
        """
        self._refuse_unfitted()
        source, function, names, columns = self._regression(X_known, targets, known)
        function = warning_of_empty(function, source, REGRESSED, columns)
        return split_regression(evaluate(function, X_known, source), names)

    def _regression(
        self, x: RowsLike, targets: Features, known: Features | None, **opening: Any
    ) -> tuple[Source, RowFunction, list[str], NDArray[np.intp] | None]:
        """Open known features; give the function of their rows that `regress` is, and names of targets.

        And which columns of the rows the known features are; None if all.
        """
        refuse_measured(self, "regression")
        wanted = self._numbers_of(targets)
        if len(wanted) == 0:
            raise DataError("targets= names no feature; name at least one")
        others = np.setdiff1d(np.arange(self._n_features), wanted)
        names = [str(number) for number in range(self._n_features)]
        if self._names is not None:
            names = [str(name) for name in self._names]
        if len(others) == 0:
            raise DataError("all features are targets, and none is known; `marginal` gives their mixture")
        opened = None
        if known is None:
            given, opened = self._known_by_name(x, others, **opening)
        else:
            given = self._numbers_of(known)
        both = np.intersect1d(given, wanted)
        if len(both):
            raise DataError(f"feature {names[both[0]]!r} is both known and a target; leave it out of one")
        if len(given) == 0:
            raise DataError("known= names no feature; name at least one, or leave it out")
        if opened is None:
            source, columns = self._open_known(x, given, **opening)
        else:
            source, columns = self._open_known(opened, given)
        check_some_rows(source, type(self).__name__)
        mixture = marginal(parameters_of(self), np.concatenate([given, wanted]))
        function = Regressing(mixture, len(wanted), columns)
        named = [names[number] for number in wanted]
        floats, results = np.result_type(source.dtype, self._floats), function.names(named)
        return (
            source,
            RowFunction(function, floats, "regression", results, source.feature_names, takes_nan=True),
            named,
            columns,
        )

    def _known_by_name(
        self, x: RowsLike, others: NDArray[np.intp], **opening: Any
    ) -> tuple[NDArray[np.intp], Source | None]:
        """Return which of some features rows have, by their names; of rows without names, all of them.

        And the rows, where they had to be opened for that, and have no other columns.
        """
        if self._names is None:
            return others, None
        number_of = {str(self._names[number]): number for number in others}
        if is_table(x) and not is_dask_collection(x) and opening.get("columns") is None:
            from dgmm.data.frames import column_names  # noqa: PLC0415 - Arrow, and there is a table

            opened, there = None, column_names(x, number_of)
        else:
            opened = open_fitted(x, number_of, **opening)
            there = opened.feature_names
        if there is None:
            return others, opened
        given = [number_of[name] for name in map(str, there) if name in number_of]
        if not given:
            raise DataError(
                f"{type(x).__name__} has none of the features that are not targets, {listed(number_of)}; it "
                f"has {listed(map(str, there))}. Name its columns as these, or say by known= which they are"
            )
        return np.array(given, np.intp), opened if len(given) == len(there) else None

    def _open_known(
        self, x: RowsLike, given: NDArray[np.intp], **opening: Any
    ) -> tuple[Source, NDArray[np.intp] | None]:
        """Open known features; and say which columns they are, where rows without names have all features."""
        own = None if self._names is None else np.asarray(self._names, dtype=object)[given]
        if own is not None and is_table(x) and opening.get("columns") is None:
            opening["columns"] = list(own)
        source = open_dataset(x, **opening) if own is None else open_fitted(x, own, **opening)
        n_whole, by_place = self._n_features, own is None or source.feature_names is None
        if by_place and source.n_features == n_whole != len(given):
            return open_to_predict(source, type(self).__name__, n_whole, self._names), given
        return open_to_predict(source, type(self).__name__, len(given), own), None

    @property
    def _names(self) -> NDArray[np.object_] | None:
        return getattr(self, "feature_names_in_", None)

    def _numbers_of(self, features: Features) -> NDArray[np.intp]:
        return numbers_of(features, self._names, self._n_features)
